"""What is known about the book and the page while a page becomes a notebook."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from attention_limits_book.notebooks.syntax import Directive, error_at


def nowhere(kind: str, name: str) -> str:
    """The links of a book that is not published; see ``Link``."""
    return ""


class Book(NamedTuple):
    """What a page may refer to: the arguments of :func:`convert`."""

    faces: "Mapping[str, Face]"
    claims: Mapping[str, Mapping]
    references: Mapping[str, str]
    page_titles: Mapping[str, str]
    bibliography: Mapping[str, str]
    labels: Mapping[str, str]
    recorded: Mapping[str, str] | None = None
    link: "Link" = nowhere


class Landmark(NamedTuple):
    """Something with a label: the text that stands for it, and its number where it has one."""

    title: str
    number: str = ""


@dataclass
class Page:
    """One pass over a page: what it has met so far, and what the pass before it met."""

    book: Book
    survey: "Page | None" = None
    env: dict = field(default_factory=dict)  # the parser's: link and footnote definitions
    met: dict[str, Landmark] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)  # (labels)= waiting for what they name
    cited: set[str] = field(default_factory=set)
    counts: Counter = field(default_factory=Counter)

    def count(self, kind: str) -> str:
        """The number of the next thing of this kind."""
        self.counts[kind] += 1
        return str(self.counts[kind])

    def remember(self, landmark: Landmark, *labels: str) -> None:
        """Let these labels, and those waiting above, stand for ``landmark``."""
        for label in filter(None, (*labels, *self.pending)):
            self.met[_normal(label)] = landmark
        self.pending.clear()

    def find(self, label: str, line: int) -> Landmark:
        """What a label stands for, on this page or another one."""
        if self.survey is None:  # it may stand further down, and this pass is thrown away
            return Landmark("")
        if found := self.survey.met.get(_normal(label)):
            return found
        return Landmark(look_up(self.book.labels, label, "label", line))

    def page_named(self, target: str, line: int) -> str:
        """The page that a path leads to, however the path is written."""
        name = re.sub(r"^(\.{0,2}/)+|\.md(#.*)?$", "", target.strip())
        for page in self.book.page_titles:
            if f"/{page}".endswith(f"/{name}"):
                return page
        raise error_at(line, f"no page called {target!r}")

    def address(self, kind: str, name: str) -> str:
        """Where something is in the published book; nothing as long as there is none."""
        return self.book.link(kind, _normal(name) if kind == "label" else name)


def _normal(label: str) -> str:
    """Labels as Sphinx compares them."""
    return " ".join(label.lower().split())


def look_up(known: Mapping, key: str, kind: str, line: int):
    """``known[key]``, or a ValueError that says what was looked for, and in which line."""
    if key not in known:
        raise error_at(line, f"no {kind} called {key!r}")
    return known[key]


# What a directive becomes in a notebook: Markdown.
Face = Callable[[Directive, Page], str]

# Where something is in the published book: ("page", "chapters/proofs"), ("label", …), ("term", …)
# or ("py", a dotted name) to an address, and to nothing where there is none.
Link = Callable[[str, str], str]
