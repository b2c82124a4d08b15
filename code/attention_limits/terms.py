"""The book's words: what each term means, what papers also call it, and where it is introduced.

``terms.yml`` is data that anyone may edit; this module refuses what does not add up.
"""

import functools
import re
from collections import Counter
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

import yaml

ENDINGS = ("", "s", "es")  # of one, and of several


@dataclass(frozen=True)
class Term:
    """One term; ``terms.yml`` says what each field means."""

    term: str
    meaning: str
    also: tuple[str, ...] = ()
    page: str = ""
    link: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called, the book's own name first."""
        return (self.term, *self.also)

    @property
    def spoken(self) -> tuple[str, ...]:
        """Its names in a sentence, where "kernel (program)" is a kernel."""
        return tuple(re.sub(r" \(.*\)$", "", name) for name in self.names)

    def is_called(self, words: str) -> bool:
        """Whether words from a page are one of its names, in the plural or not."""
        forms = (f"{plain(name)}{ending}" for name in self.spoken for ending in ENDINGS)
        return plain(words) in forms

    @property
    def anchor(self) -> str:
        """Where it is on the page of terms: ``term-kv-cache``."""
        return "term-" + re.sub(r"[^a-z0-9]+", "-", self.term.lower()).strip("-")


def plain(name: str) -> str:
    """Names as they are compared: no matter where a line ends, which dash, large or small."""
    return " ".join(name.lower().replace("–", "-").replace("’", "'").split())


def load(path: Path | None = None) -> dict[str, Term]:
    """The terms by name, in the order of the alphabet.

    Args:
        path: a file; None: the book's own.

    Raises:
        ValueError: naming the term and the field, if something is missing, unknown or there twice.
    """
    source = path or resources.files("attention_limits") / "terms.yml"
    entries = yaml.safe_load(source.read_text(encoding="utf-8"))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("a list of terms is wanted, each with its fields")
    terms = [_term(entry) for entry in entries]
    counts = Counter(name.casefold() for term in terms for name in term.names)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise ValueError(f"two terms have the name {twice[0]!r}")
    return {term.term: term for term in sorted(terms, key=lambda term: term.term.casefold())}


@functools.cache
def book() -> dict[str, Term]:
    """The book's own terms, read once."""
    return load()


def _term(entry: dict) -> Term:
    name = entry.get("term")
    if not isinstance(name, str) or not name:
        raise ValueError(f"a term must have a name, got {entry!r}")
    known = {field.name for field in fields(Term)}
    if unknown := sorted(entry.keys() - known):
        raise ValueError(f"term {name!r}: field {unknown[0]!r} is not known, {sorted(known)} are")
    if not isinstance(entry.get("meaning"), str) or not entry["meaning"].strip():
        raise ValueError(f"term {name!r}: meaning must be some text, got {entry.get('meaning')!r}")
    also = entry.get("also", [])
    if not isinstance(also, list) or not all(isinstance(other, str) for other in also):
        raise ValueError(f"term {name!r}: also must be a list of names, got {also!r}")
    return Term(**{**entry, "also": tuple(also)})
