"""The picture that others show with a link to a page: its title, and its first figure.

Drawn for a book that is published, since whoever fetches one needs its whole address.
"""

import functools
import hashlib
import io
import re
import textwrap
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

SIZE = WIDTH, HEIGHT = 1200, 630  # pixels: what is shown whole everywhere
MARGIN = 60
COLUMN = 500  # of the words, where a figure stands beside them
COLOURS = 64
INK, GREY = "#14181e", "#48566b"
MADE_OF = "made-of"  # in the file: a card that is there is not drawn again
FIGURE = re.compile(r'<figure class="(?:explorable|plot)".*?(<svg .*?</svg>)', re.DOTALL)


def draw(target: Path, title: str, book: str, description: str, body: str, made_by: str) -> None:
    """Draw the card of a page into a file, unless that has it already.

    Args:
        target: the file.
        title: of the page.
        book: its name.
        description: what the page is about.
        body: the page in HTML, where the figure is.
        made_by: a fingerprint of all that draws.
    """
    figure = FIGURE.search(body)
    svg = figure[1] if figure else ""
    made_of = hashlib.sha256(repr((title, book, description, svg, made_by)).encode()).hexdigest()
    if _made_of(target) == made_of:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    note = PngImagePlugin.PngInfo()
    note.add_text(MADE_OF, made_of)
    card = _card(title, book, description, svg).quantize(COLOURS, dither=Image.Dither.NONE)
    card.save(target, "PNG", pnginfo=note, compress_level=6)


def _made_of(target: Path) -> str | None:
    try:
        with Image.open(target) as card:
            return card.info.get(MADE_OF)
    except OSError:  # none, or half written by a build that was killed
        return None


def _card(title: str, book: str, description: str, svg: str) -> Image.Image:
    from attention_limits.style import BLUE  # with Matplotlib, which the build has set up by now

    card = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(card)
    pen.rectangle((0, 0, WIDTH, 12), fill=BLUE)
    wide = COLUMN if svg else WIDTH - 2 * MARGIN
    bottom = _write(pen, title, MARGIN, wide, INK, size=52, bold=True)
    if svg:
        picture = _picture(svg, WIDTH - COLUMN - 2 * MARGIN, HEIGHT - 2 * MARGIN)
        place = (WIDTH - MARGIN // 2 - picture.width, (HEIGHT - picture.height) // 2)
        card.paste(picture, place, picture)
    else:
        _write(pen, description, bottom + 30, wide, GREY, size=32)
    if title != book:
        pen.text((MARGIN, HEIGHT - MARGIN), book, fill=BLUE, font=_font(28, bold=True), anchor="ls")
    return card


def _picture(svg: str, width: int, height: int) -> Image.Image:
    """A figure as large as fits."""
    import vl_convert

    drawn = Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=1.5)))
    scale = min(width / drawn.width, height / drawn.height)
    return drawn.resize((round(scale * drawn.width), round(scale * drawn.height)))


def _write(
    pen: ImageDraw.ImageDraw, text: str, top: int, width: int, colour: str, **of: Any
) -> int:
    """Write text in lines that fit a width; where it ends."""
    font = _font(**of)
    place: dict[str, Any] = {"font": font, "spacing": of["size"] // 3}
    lines = _lines(text, font, width)
    pen.multiline_text((MARGIN, top), lines, fill=colour, **place)
    return round(pen.multiline_textbbox((MARGIN, top), lines, **place)[3])


def _lines(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """A text broken between words, or within one that is wider than a line."""
    for characters in range(len(text), 1, -1):
        lines = textwrap.wrap(text, characters, break_on_hyphens=False)
        if all(font.getlength(line) <= width for line in lines):
            break
    return "\n".join(lines)


@functools.cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path

    name = f"DejaVuSans{'-Bold' * bold}.ttf"  # which Matplotlib brings: the same everywhere
    return ImageFont.truetype(Path(get_data_path(), "fonts/ttf", name), size)
