"""How a notebook names the literature: the entries of a BibTeX file as words."""

import functools
from pathlib import Path
from typing import Any


def short(bib_path: str | Path) -> dict[str, str]:
    """Bib key → "Vaswani et al. (2017)", for every entry of a BibTeX file."""
    from pybtex.plugin import find_plugin

    # Looked up once: pybtex reads what every installed package offers each time it is asked.
    plain = find_plugin("pybtex.backends", "plaintext")()
    return {key: _short(entry, plain) for key, entry in _parsed(bib_path).entries.items()}


def long(bib_path: str | Path) -> dict[str, str]:
    """Bib key → authors, title, venue and links in Markdown, for every entry of a BibTeX file."""
    from pybtex.plugin import find_plugin

    style = find_plugin("pybtex.style.formatting", "plain")()
    markdown = find_plugin("pybtex.backends", "markdown")()
    entries = style.format_bibliography(_parsed(bib_path))
    return {entry.key: " ".join(entry.text.render(markdown).split()) for entry in entries}


def addresses(bib_path: str | Path) -> dict[str, str]:
    """Bib key → where the work is to be read, for every entry that says so."""
    entries = _parsed(bib_path).entries
    return {key: found for key, entry in entries.items() if (found := _address(entry.fields))}


def _parsed(bib_path: str | Path) -> Any:
    """The file, parsed once: that takes longer than all that is made of it."""
    return _parsed_at(str(bib_path), Path(bib_path).stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _parsed_at(bib_path: str, time: int) -> Any:
    from pybtex.database import parse_file

    return parse_file(bib_path)


def _address(fields) -> str:
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if "eprint" in fields:
        return f"https://arxiv.org/abs/{fields['eprint']}"
    return fields.get("url", "")


def _short(entry, plain) -> str:
    from pybtex.richtext import Text

    people = entry.persons.get("author") or entry.persons.get("editor") or []
    surnames = [" ".join(person.prelast_names + person.last_names) for person in people]
    surnames = [Text.from_latex(name).render(plain) for name in surnames]
    if len(surnames) > 2 or surnames[1:] == ["others"]:
        who = f"{surnames[0]} et al."
    else:
        who = " and ".join(surnames) or Text.from_latex(entry.fields["title"]).render(plain)
    return f"{who} ({entry.fields.get('year', 'n.d.')})"
