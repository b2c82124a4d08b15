"""Icons as drawings in the page: the theme would load two megabytes of script for a dozen of them.

Each is a few strokes on a square of 24 by 24, in the colour of the words beside it.
"""

import re
from collections.abc import Iterator

STROKES = {
    "angle-left": "M15 5l-7 7 7 7",
    "angle-right": "M9 5l7 7-7 7",
    "arrow-up": "M12 20V4M5 11l7-7 7 7",
    "arrow-up-right-from-square": "M14 4h6v6M20 4l-9 9M18 14v5H5V6h5",
    "bars": "M3 6h18M3 12h18M3 18h18",
    "chevron-down": "M5 9l7 7 7-7",
    "circle-half-stroke": "M12 3a9 9 0 0 1 0 18a9 9 0 0 1 0-18zM12 3v18M15 5v14M18 7v10",
    "code": "M8 6l-6 6 6 6M16 6l6 6-6 6",
    "code-branch": "M7 8v8M7 4a2 2 0 1 1 0 4a2 2 0 1 1 0-4zM7 16a2 2 0 1 1 0 4a2 2 0 1 1 0-4z"
    "M17 4a2 2 0 1 1 0 4a2 2 0 1 1 0-4zM17 8c0 5-10 3-10 8",
    "download": "M12 3v12M6 10l6 6 6-6M4 21h16",
    "expand": "M3 9V3h6M15 3h6v6M21 15v6h-6M9 21H3v-6",
    "file": "M6 3h8l5 5v13H6zM14 3v5h5",
    "file-lines": "M6 3h8l5 5v13H6zM14 3v5h5M9 13h6M9 17h6",
    "file-pdf": "M6 3h8l5 5v13H6zM14 3v5h5M9 18v-5h3v3H9",
    "home": "M3 11l9-8 9 8M6 9v11h12V9M10 20v-6h4v6",
    "lightbulb": "M9 16a6 6 0 1 1 6 0v2H9zM10 21h4",
    "list": "M9 6h12M9 12h12M9 18h12M4 6h1M4 12h1M4 18h1",
    "magnifying-glass": "M10 4a6 6 0 1 1 0 12a6 6 0 0 1 0-12zM14.5 14.5L21 21",
    "moon": "M19 15A8 8 0 1 1 10 4a6 6 0 0 0 9 11z",
    "outdent": "M3 5h18M11 10h10M11 14h10M3 19h18M7 9l-3 3 3 3",
    "pencil": "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
    "play": "M7 4l12 8-12 8z",
    "print": "M7 9V3h10v6M7 17H3V9h18v8h-4M7 14h10v7H7z",
    "quote-right": "M4 6h6v6c0 3-2 5-5 6M14 6h6v6c0 3-2 5-5 6",
    "rocket": "M9 15c0-6 4-11 11-12c-1 7-6 11-12 11zM9 15l-3-3 3-4M9 15l3 3 4-3M5 17l-2 4 4-2",
    "sun": "M12 8a4 4 0 1 1 0 8a4 4 0 0 1 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4"
    "M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
}  # fmt: skip
OTHER_NAMES = {"github": "code-branch", "pencil-alt": "pencil", "search": "magnifying-glass"}
KINDS = {"solid", "regular", "brands", "lg", "fw", "sm", "xs"}  # how, and not what

# An empty element of which an icon shall be made; the theme gives them to what it styles as one.
NAMED = r'class="(?:[^"]* )?fa(?:[srb]? |-)[^"]*"'
ELEMENT = re.compile(rf'<(i|span)((?: [\w-]+="[^"]*")*? {NAMED}[^>]*)></\1>')


def drawn(page: str) -> str:
    """The page with a drawing in the place of each icon; the theme finds them by their classes."""

    def draw(element: re.Match) -> str:
        name = _name(element[2])
        if name not in STROKES:
            return element[0]
        style = re.sub(r'\btitle="[^"]*"', "", element[2])
        return (
            f'<svg{style} aria-hidden="true" focusable="false" viewBox="0 0 24 24">'
            f'<path d="{STROKES[name]}"/></svg>'
        )

    return ELEMENT.sub(draw, page)


def unknown(page: str) -> Iterator[str]:
    """Icons of a page that nobody has drawn: their places would stay empty."""
    for element in ELEMENT.finditer(page):
        if _name(element[2]) not in STROKES:
            yield _name(element[2])


def _name(attributes: str) -> str:
    found = [name for name in re.findall(r"\bfa-([a-z-]+)", attributes) if name not in KINDS]
    return OTHER_NAMES.get(found[0], found[0]) if found else attributes
