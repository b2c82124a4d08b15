"""One style sheet of several, with nothing in it that no page has.

The theme brings the whole of Bootstrap and of Font Awesome: six of seven rules are for what the
book has nowhere.
"""

import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import tinycss2
from tinycss2.ast import AtRule, Node, QualifiedRule

from attention_limits_book import assets

OWN = (assets.STATIC, assets.OF_FIGURES)
CLASS = re.compile(r"\.((?:[\w-]|\\.)+)")
NESTED = ("media", "supports")  # what other rules stand in
DARK = re.compile(r"\[data-theme=\"?dark\"?\]")


def together(folder: Path, names: Sequence[str]) -> str:
    """Several style sheets as one, to stand in ``_static``, as far as the book has a use for them.

    Args:
        folder: the built book, complete.
        names: of its style sheets, in their order. Our own are kept whole: there is little in
            them, and some of that is for what the PDF is made of.
    """
    words, own = used(folder), {path.name for sheets in OWN for path in sheets.glob("*.css")}
    parts: list[str] = []
    for name in names:
        css = in_one(folder, name)
        parts += [css] if posixpath.basename(name) in own else _kept(_rules(css), words)
    css = "\n".join(parts)
    return f"{css}\n{without_scripts(css)}"


def _rules(css: str | Sequence[Node]) -> list[Node]:
    return tinycss2.parse_rule_list(css, skip_comments=True, skip_whitespace=True)


def without_scripts(css: str) -> str:
    """The rules for the dark once more, for systems that ask for it where no script can choose.

    Of those that stand in no other rule, since all are wrapped in one. The theme shows another
    logo in the dark by a script, so that one stays.
    """
    found = []
    for rule in _rules(css):
        if isinstance(rule, QualifiedRule):
            dark = [s for s in _selectors(rule.prelude) if DARK.search(s) and ".only-" not in s]
            if dark:
                selectors = DARK.sub(":not([data-mode])", ",".join(dark))
                found.append(f"{selectors}{{{tinycss2.serialize(rule.content)}}}")
    return "@media (prefers-color-scheme: dark) {\n" + "\n".join(found) + "\n}\n"


def used(folder: Path) -> frozenset[str]:
    """The classes that pages have, and every word that scripts could make one of."""
    words: set[str] = set()
    for page in folder.rglob("*.html"):
        classes = re.findall(r'class="([^"]*)"', page.read_text(encoding="utf-8"))
        words.update(*(names.split() for names in set(classes)))
    for script in (folder / "_static").rglob("*.js"):
        words.update(re.findall(r"[\w-]+", script.read_text(encoding="utf-8")))
    return frozenset(words)


def _kept(rules: Sequence[Node], words: Collection[str]) -> Iterator[str]:
    for rule in rules:
        match rule:
            case QualifiedRule():
                if selectors := [s for s in _selectors(rule.prelude) if _applies(s, words)]:
                    yield f"{','.join(selectors)}{{{tinycss2.serialize(rule.content).strip()}}}"
            case AtRule(lower_at_keyword=name, content=content) if name in NESTED and content:
                if kept := "\n".join(_kept(_rules(content), words)):
                    yield f"@{name}{tinycss2.serialize(rule.prelude)}{{{kept}}}"
            case _:
                yield rule.serialize()


def _selectors(prelude: Sequence[Node]) -> list[str]:
    """A rule's selectors; a comma within brackets parts none."""
    parts: list[list[Node]] = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [tinycss2.serialize(part).strip() for part in parts]


def _applies(selector: str, words: Collection[str]) -> bool:
    """Whether there can be an element of this kind: what stands in brackets may be absent."""
    outside = re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", "", selector)
    return all(name.replace("\\", "") in words for name in CLASS.findall(outside))


def in_one(folder: Path, name: str) -> str:
    """A style sheet with all that it imports, to stand in ``_static``; without its icons' fonts."""
    css = (folder / name).read_text(encoding="utf-8")
    css = re.sub(r"^@charset[^;]*;|/\*# sourceMappingURL=.*?\*/", "", css)

    # Each icon's name and its place in a font that no page loads.
    css = re.sub(r"@font-face\{[^}]*vendor/fontawesome[^}]*\}", "", css)
    css = re.sub(r"(?<=\})(?:\.fa[\w-]*:before,?)+\{content:[^}]*\}", "", css)

    def path(address: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(name), address))

    def moved(link: re.Match) -> str:
        if re.match(r"data:|https?:|#|/", link[2]):
            return link[0]
        return f"url({link[1]}{path(link[2]).removeprefix('_static/')}{link[1]})"

    css = re.sub(r"""url\((["']?)([^"')]+)\1\)""", moved, css)
    return re.sub(r"""@import ["']([^"']+)["'];""", lambda link: in_one(folder, path(link[1])), css)
