"""The book's notation and its words: two lists, and links from the pages to the second.

``{notation-table}`` lists the symbols, ``{term-list}`` the terms of ``terms.yml``. On each page the
first place where a term is used leads to its entry, and shows what it means when a reader hovers
over it or reaches it by keyboard; so does the role ``{term}``. And each page is found by the
names of the terms that it introduces.
"""

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any, cast

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import ReferenceRole, SphinxDirective

from attention_limits import terms
from attention_limits.symbols import TABLE, Meaning
from attention_limits.terms import ENDINGS, Term, plain
from attention_limits_book.directive import Faces
from attention_limits_book.notebooks.inline import inline
from attention_limits_book.notebooks.page import Page
from attention_limits_book.notebooks.syntax import Directive

HOME = "chapters/notation"  # the page that has both lists
SHORTEST = 3  # letters of a name to which pages link by themselves

# Where no link is made: what leads elsewhere already, is no prose, or stands out by itself.
NO_PROSE = (
    nodes.title, nodes.rubric, nodes.caption, nodes.legend, nodes.reference, nodes.strong,
    nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.table,
    nodes.field_list, nodes.citation, addnodes.desc, addnodes.pending_xref,
)  # fmt: skip
NO_CLASSES = {"cell", "claim", "claim-row", "exercise", "solution", "dropdown"}


def setup(app: Sphinx) -> None:
    """Register the links; the directives are registered with all others."""
    # A page holds links and cards for the terms of the day: other terms write all pages again.
    app.add_config_value("terms_fingerprint", "", "html", [str])
    app.connect("config-inited", _note_terms)
    app.add_node(TermLink, override=True, html=(_open_link, _close_link))
    app.add_role_to_domain("std", "term", TermRole(), override=True)
    app.add_post_transform(LinkTerms)


def _note_terms(app: Sphinx, config) -> None:
    words = repr(sorted(terms.book().items()))
    config.terms_fingerprint = hashlib.sha256(words.encode()).hexdigest()[:16]


# --- the page of both lists ---------------------------------------------------------------------


class NotationTable(SphinxDirective):
    """``{notation-table}``: every symbol with its meaning and its unit, part by part."""

    def run(self) -> list[nodes.Node]:
        """Build a section for each part, with a heading that links can lead to."""
        return [self._part(heading, rows) for heading, rows in TABLE.items()]

    def _part(self, heading: str, rows: list[Meaning]) -> nodes.section:
        section = nodes.section("", nodes.title("", heading), ids=[nodes.make_id(heading)])
        section += self.parse_text_to_nodes(_table(rows))
        return section


def _table(rows: list[Meaning]) -> str:
    """A part of the notation in Markdown, which pages and notebooks both read."""
    with_units = any(row.unit for row in rows)
    heading = ["symbol", "meaning", *["unit"] * with_units, "page"]
    cells = [
        [f"${_in_cell(row.tex)}$", row.words, *[row.unit] * with_units, _short(row.page)]
        for row in rows
    ]
    lines = (" | ".join(line) for line in (heading, ["---"] * len(heading), *cells))
    return "\n".join(f"| {line} |" for line in lines)


def _short(page: str) -> str:
    """A link to a page by fewer words than its title has: a phone shows it in a column."""
    name = page.rpartition("/")[2].replace("-", " ")
    words = {"flops": "FLOPs", "flashattention": "FlashAttention"}.get(name, name)
    return f"{{doc}}`{words} </{page}>`"


def _in_cell(tex: str) -> str:
    """A bar would end the cell."""
    return tex.replace(r"\|", r"\Vert ").replace("|", r"\vert ")


class TermList(SphinxDirective):
    """``{term-list}``: every term, what it means, its other names, and where it is introduced."""

    def run(self) -> list[nodes.Node]:
        """Build the list."""
        entries = nodes.definition_list(classes=["simple", "glossary"])
        for term in terms.book().values():
            heading = nodes.term("", term.term, ids=[term.anchor])
            meaning = nodes.definition("", *self.parse_text_to_nodes(_entry(term)))
            entries += nodes.definition_list_item("", heading, meaning)
        return [entries]


def _entry(term: Term) -> str:
    """What stands under a term, in MyST."""
    also = f" Also: {', '.join(term.also)}." if term.also else ""
    introduced = f" Introduced in {{doc}}`/{term.page}`." if term.page else ""
    return f"{term.meaning}{also}{introduced}"


# --- links to it --------------------------------------------------------------------------------


class TermLink(nodes.Inline, nodes.TextElement):
    """A link to a term's entry which shows what it means; ``term`` says which."""


def _open_link(writer: Any, node: TermLink) -> None:
    attributes = {"href": node["refuri"], "title": node["meaning"]}
    writer.body.append(writer.starttag(node, "a", "", CLASS="term", **attributes))


def _close_link(writer: Any, node: TermLink) -> None:
    writer.body.append("</a>")


class TermRole(ReferenceRole):
    """``{term}`KV cache``` or ``{term}`words <KV cache>```."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Build the link, or fail the build for a term that the list lacks."""
        term = _by_name().get(plain(self.target))
        if term is None:
            message = self.inliner.reporter.error(
                f"there is no term {self.target!r} in terms.yml", line=self.lineno
            )
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        return [TermLink(self.rawtext, self.title, term=term.term)], []


class LinkTerms(SphinxPostTransform):
    """Link the first place on a page where each term is used, and index those that it introduces.

    A page that introduces a term, or has it in bold, does not send its readers away.
    """

    default_priority = 400  # when references are resolved
    formats: tuple[str, ...] = ("html",)

    def run(self, **kwargs: object) -> None:
        """Change one page, its tree as it is written and not as it is kept."""
        if HOME not in self.env.found_docs:
            return
        page, book = self.env.docname, terms.book()
        introduced = [term for term in book.values() if term.page == page]
        bold = list(self.document.findall(nodes.strong))
        done = {term.term for term in book.values() if _named(term, bold)}
        done |= {term.term for term in introduced}
        done |= {link["term"] for link in self.document.findall(TermLink)}
        if page != HOME:
            for text in list(self.document.findall(nodes.Text)):
                if _is_prose(text):
                    _link_in(text, done)
        home = cast(Any, self.app.builder).get_relative_uri(page, HOME)
        for link in self.document.findall(TermLink):
            term = book[link["term"]]
            link["refuri"], link["meaning"] = f"{home}#{term.anchor}", term.meaning
        for term in introduced:
            place = _section(_named(term, bold))
            entries = [("single", name, place, "main", None) for name in term.spoken]
            self.document.append(addnodes.index(entries=entries))


def _named(term: Term, bold: list[nodes.strong]) -> nodes.strong | None:
    """Where a page has the term in bold, if it does."""
    return next((node for node in bold if term.is_called(node.astext())), None)


def _link_in(text: nodes.Text, done: set[str]) -> None:
    """Replace a text by its parts, the first use of each term that is not done being a link."""
    written, parts, end = text.astext(), [], 0
    for match in _pattern().finditer(written):
        name = _by_name()[plain(match[0])].term
        if name not in done:
            done.add(name)
            link = TermLink("", match[0], term=name)
            parts += [nodes.Text(written[end : match.start()]), link]
            end = match.end()
    if parts:
        text.parent.replace(text, [*parts, nodes.Text(written[end:])])


def _is_prose(text: nodes.Text) -> bool:
    above: Any = text.parent
    while above is not None:
        if isinstance(above, NO_PROSE) or NO_CLASSES & {*above.get("classes", ())}:
            return False
        above = above.parent
    return True


def _section(node: nodes.Node | None) -> str:
    """The id of the section that something stands in; none for a page's first."""
    while node is not None and not isinstance(node, nodes.section):
        node = node.parent
    if node is None or not isinstance(node.parent, nodes.section):
        return ""
    return node["ids"][0]


@functools.cache
def _by_name() -> Mapping[str, Term]:
    """The terms that pages link to, by all of their names, and those in the plural."""
    names = {plain(name): term for term in terms.book().values() for name in term.names}
    return {f"{name}{ending}": names[name] for ending in reversed(ENDINGS) for name in names}


@functools.cache
def _pattern() -> re.Pattern:
    """A name of any term that pages link to; where several fit, the longest."""
    linked = (term for term in terms.book().values() if term.link)
    names = [name for term in linked for name in term.names if len(name) >= SHORTEST]
    names = [name for name in names if name[-1].isalpha()]
    alternatives = "|".join(map(_as_written, sorted(names, key=len, reverse=True)))
    return re.compile(rf"(?<![\w–-])(?:{alternatives})(?:e?s)?(?![\w–-])")


def _as_written(name: str) -> str:
    """A pattern for a name: its first letter large or small, and broken between any words."""
    first = f"[{name[0].upper()}{name[0].lower()}]"
    rest = re.escape(name[1:]).replace(r"\ ", r"\s+").replace("'", "['’]").replace("–", "[–-]")
    return first + rest


# --- In notebooks -------------------------------------------------------------------------------


def _notation_in_notebook(directive: Directive, page: Page) -> str:
    parts = (f"### {heading}\n\n{_table(rows)}" for heading, rows in TABLE.items())
    return inline("\n\n".join(parts), directive.line, page)


def _terms_in_notebook(directive: Directive, page: Page) -> str:
    return "\n".join(
        f"- **{term.term}**: {inline(_entry(term), directive.line, page)}"
        for term in terms.book().values()
    )


def _rests_on() -> tuple[str, ...]:
    return ("attention_limits.terms", "attention_limits.symbols")


DIRECTIVES = {
    "notation-table": Faces(NotationTable, _notation_in_notebook, _rests_on),
    "term-list": Faces(TermList, _terms_in_notebook, _rests_on),
}
