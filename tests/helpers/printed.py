"""What a PDF says: its bookmarks, its links, its words and where they stand."""

from pypdf import PageObject, PdfReader

MARGIN = 16 * 72 / 25.4  # of a page, in points: print.css has it in millimetres
# How wide a page is between its margins, in pixels of a style sheet.
PAPER = {"A4": int((210 - 2 * 16) * 96 / 25.4), "Letter": int((215.9 - 2 * 16) * 96 / 25.4)}
# Words and pictures beyond the window's right edge; what is for screen readers takes no room.
CUT = """() => {
    const found = [], text = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    while (text.nextNode()) {
        if (text.currentNode.parentElement.closest(".spoken, svg, style, script")) continue;
        range.selectNodeContents(text.currentNode);
        if (range.getBoundingClientRect().right > innerWidth + 1) found.push(text.currentNode.data);
    }
    for (const e of document.querySelectorAll("body svg, body img, mjx-math"))
        if (e.getBoundingClientRect().right > innerWidth + 1) found.push(e.outerHTML.slice(0, 80));
    return found;
}"""


def tree(pdf: PdfReader) -> list[tuple[int, str]]:
    """The bookmarks in their order, each with how deep it is."""

    def below(items: list, depth: int) -> list[tuple[int, str]]:
        return [
            found
            for item in items
            for found in (
                below(item, depth + 1) if isinstance(item, list) else [(depth, item.title)]
            )
        ]

    return below(pdf.outline, 1)


def text_of(pdf: PdfReader, page: int) -> str:
    """The words of a page, counted from zero."""
    return pdf.pages[page].extract_text()


def all_of(pdf: PdfReader) -> str:
    """The words of all pages."""
    return "\n".join(page.extract_text() for page in pdf.pages)


def numbers_at_the_foot(pdf: PdfReader) -> list[int | None]:
    """The number that is printed on each page, and None where there is none."""
    return [
        next((int(t) for t, _, y in words(page) if y < 50 and t.isdigit()), None)
        for page in pdf.pages
    ]


def words(page: PageObject) -> list[tuple[str, float, float]]:
    """Each piece of text with the place where it begins."""
    found = []

    def hear(text, transform, matrix, font, size) -> None:
        x = matrix[4] * transform[0] + matrix[5] * transform[2] + transform[4]
        y = matrix[4] * transform[1] + matrix[5] * transform[3] + transform[5]
        if text.strip():
            found.append((text.strip(), x, y))

    page.extract_text(visitor_text=hear)
    return found


def cut(pdf: PdfReader) -> list[str]:
    """Pieces of text that begin beyond the right margin."""
    return [
        text
        for page in pdf.pages
        for text, x, _ in words(page)
        if x > float(page.mediabox.width) - MARGIN
    ]


def links(pdf: PdfReader) -> tuple[list[list[int | None]], list[str]]:
    """Where the links of each page lead, None being nowhere; and the addresses of all others."""
    inner: list[list[int | None]] = []
    outer: list[str] = []
    for page in pdf.pages:
        inner.append([])
        for link in (one.get_object() for one in page.get("/Annots", [])):
            if "/A" in link and "/URI" in link["/A"]:
                outer.append(link["/A"]["/URI"])
            elif "/Dest" in link:
                place = pdf.named_destinations.get(link["/Dest"])
                inner[-1].append(pdf.get_destination_page_number(place) if place else None)
    return inner, outer


def colours(pdf: PdfReader) -> set[tuple[float, ...]]:
    """The colours in which text is written."""
    found: set[tuple[float, ...]] = set()
    for page in pdf.pages:
        now: list[tuple[float, ...]] = [(0.0, 0.0, 0.0)]

        def hear(operator, operands, *_, now=now) -> None:
            if operator == b"q":
                now.append(now[-1])
            elif operator == b"Q":
                now.pop()
            elif operator == b"rg":
                now[-1] = tuple(map(float, operands))
            elif operator in (b"Tj", b"TJ"):
                found.add(now[-1])

        page.extract_text(visitor_operand_before=hear)
    return found
