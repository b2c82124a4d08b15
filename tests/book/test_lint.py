"""What the lints refuse and what they let pass, first alone and then in a book that fails."""

import re
from types import SimpleNamespace

import pytest
from helpers.small_book import HEADER, Book, cell

from attention_limits_book import lint
from attention_limits_book.lint import LONGEST_CELL, foreign, long_cells, without_words

# --- long cells ---------------------------------------------------------------------------------


def code(lines):
    return "\n".join(f"x = {n}" for n in range(lines))


def lengths(source):
    return [length for _, length in long_cells(HEADER + source)]


def test_a_cell_of_fifteen_lines_passes_and_one_of_sixteen_does_not():
    """The limit that the book promises is off by one."""
    assert LONGEST_CELL == 15
    assert lengths(cell(code(15))) == []
    assert lengths(cell(code(16))) == [16]


@pytest.mark.parametrize(
    "options",
    [
        ":tags: [hide-input]\n",
        ":tags: [hide-input]\n:label: figure\n",
        "---\ntags: [hide-input]\nmystnb:\n  figure:\n    caption: The cost.\n---\n",
        ":tags: [hide-input]\n\n\n",
    ],
)
@pytest.mark.parametrize("fence", ["```", "`````", "~~~"])
def test_neither_options_nor_blank_lines_count(fence, options):
    """An author had to drop a caption or an empty line to save the code."""
    spaced = code(15).replace("\n", "\n\n", 3) + "\n   \n"
    assert lengths(cell(options + spaced, fence)) == []
    assert lengths(cell(options + spaced + "x = 16", fence)) == [16]


def test_the_line_named_is_the_cells_own():
    """The warning sends the author to another cell."""
    source = f"# Title\n\n{cell(code(3))}\n\nProse.\n\n{cell(code(20))}"
    [(line, length)] = long_cells(HEADER + source)
    assert (HEADER + source).splitlines()[line - 1].startswith("```{code-cell}")
    assert length == 20
    assert line > 20


def test_each_long_cell_is_named_and_no_short_one():
    """Two short cells were counted as one long, or a long one hid behind another."""
    cells = [cell(code(n)) for n in (10, 16, 10, 30, 15)]
    assert lengths("\n\n".join(cells)) == [16, 30]
    assert lengths("\n".join(cells)) == [16, 30]


@pytest.mark.parametrize(
    "source",
    [
        f"```python\n{code(40)}\n```",
        f"````md\n```{{code-cell}}\n{code(40)}\n```\n````",
        f"```{{note}}\n{code(40)}\n```",
        code(40),
    ],
)
def test_what_is_no_cell_may_be_long(source):
    """A listing that only shows code, or shows how to write a cell, was refused."""
    assert lengths(source) == []


def test_a_fence_inside_a_cells_code_does_not_end_it():
    """Part of a long cell escaped the count, behind a string that holds a fence."""
    assert lengths(cell(f"{code(10)}\ns = '''\n```\n'''\n{code(10)}", "````")) == [23]
    assert lengths(f"```{{code-cell}}\n{code(16)}\n`````\n") == [16]


def test_a_page_is_warned_of_its_own_cells(tmp_path, caplog):
    """The check looked at something else than the page, and found nothing."""
    page = tmp_path / "page.md"
    page.write_text(HEADER)
    app = SimpleNamespace(env=SimpleNamespace(doc2path=lambda name: page))
    lint._check_source(app, "page", [HEADER + cell(code(20)) + "```{exercise}\nDo.\n```\n"])
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "a code cell of 20 lines" in said
    assert "an exercise needs a label" in said


# --- words for what cannot be seen --------------------------------------------------------------

EXPLORABLE = """
<figure class="explorable" id="cost">
<div class="explorable-view" role="img" aria-label="{alt}"><svg aria-hidden="true"></svg></div>
{caption}
</figure>
"""
CAPTION = "<figcaption>Move the slider.</figcaption>"


@pytest.mark.parametrize(
    "page",
    [
        '<img src="heat.png" alt="Nearly all weight on the diagonal">',
        '<svg aria-label="Weights fall with distance"></svg>',
        '<div role="img" aria-label="Weights fall with distance"><svg><g></g></svg></div>',
        EXPLORABLE.format(alt="The cost is a parabola", caption=CAPTION),
        # The theme's own decoration: icons of buttons, admonitions and dropdowns.
        '<summary>Solution<svg class="sd-octicon" aria-hidden="true"></svg></summary>',
        '<a href="#x" title="Link"><i class="fas fa-link"></i></a>',
    ],
)
def test_what_has_words_passes(page):
    """A page was refused that says everything it shows."""
    assert list(without_words(page)) == []


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ('<img src="heat.png">', "heat.png has no alt text"),
        ('<img src="heat.png" alt="">', "heat.png has no alt text"),
        ('<img src="heat.png" alt="  ">', "heat.png has no alt text"),
        # What docutils writes for an image that was given no alternative.
        ('<img src="../_images/heat.png" alt="../_images/heat.png">', "heat.png has no alt text"),
        ("<svg></svg>", "drawing"),
        ('<svg aria-label=" "></svg>', "drawing"),
        ('<figure><svg aria-hidden="true"></svg></figure>', "drawing"),
        (EXPLORABLE.format(alt="", caption=CAPTION), "cost has no alt text"),
        (EXPLORABLE.format(alt="A parabola", caption=""), "cost has no caption"),
        (
            EXPLORABLE.format(alt="A parabola", caption="<figcaption> </figcaption>"),
            "cost has no caption",
        ),
        ('<figure class="plot" id="heat"></figure>', "heat has no alt text"),
    ],
)
def test_what_has_no_words_is_refused(page, complaint):
    """A reader who cannot see the figure was told nothing."""
    assert any(complaint in found for found in without_words(page))


# --- foreign addresses --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        '<script src="{}"></script>',
        '<img src="{}" alt="x">',
        '<img srcset="{} 2x" src="own.png" alt="x">',
        '<link rel="stylesheet" href="{}">',
        '<iframe src="{}"></iframe>',
        '<video src="{}" poster="own.png"></video>',
        '<video poster="{}"></video>',
        '<audio><source src="{}"></audio>',
        '<object data="{}"></object>',
        '<embed src="{}">',
        "<p style=\"background: url('{}')\"></p>",
        '<p style="background: url({})"></p>',
        "<style>p {{ background: url( {} ) }}</style>",
        '<style>@import "{}";</style>',
        '<svg><image href="{}"/></svg>',
        '<svg><image xlink:href="{}"/></svg>',
    ],
)
@pytest.mark.parametrize(
    "address", ["https://cdn.org/a.b", "http://cdn.org/a.b", "//cdn.org/a.b", "HTTPS://cdn.org/a.b"]
)
def test_what_the_browser_would_fetch_from_elsewhere_is_named(page, address):
    """The page tells a third party who reads it, and is broken offline."""
    assert list(foreign(page.format(address))) == [address]


@pytest.mark.parametrize(
    "page",
    [
        '<a href="https://arxiv.org/abs/1706.03762">the paper</a>',
        '<link rel="canonical" href="https://the-book.org/attention.html">',
        '<script src="../_static/vega.js"></script>',
        '<script>const source = "https://arxiv.org";</script>',
        '<img src="data:image/png;base64,AAAA//BBBB" alt="x">',
        '<p style="background: url(own//odd.png)"></p>',
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="#marker"/></svg>',
        "<code>url(https://cdn.org)</code>",
    ],
)
def test_links_and_our_own_files_are_fine(page):
    """A source could not be linked to, or a file of ours was taken for another's."""
    assert list(foreign(page)) == []


# --- the same in a build ------------------------------------------------------------------------

FAULTS = {
    "silent": ("```{image} ../dot.png\n```", r"image .*dot\.png has no alt text"),
    "mute": ("![](../dot.png)", r"image .*dot\.png has no alt text"),
    "plotted": (
        cell("from IPython.display import Image\nImage('../dot.png')"),
        r"image .*\.png has no alt text",
    ),
    "long": (cell(code(16)), "a code cell of 16 lines; 15 fit a screen"),
    "foreign": (
        "![A dot](https://cdn.org/dot.png)",
        r"the page would fetch https://cdn\.org/dot\.png",
    ),
    "unknown": ("```{claim} two-and-tow\n```", "no claim 'two-and-tow' in the ledger"),
    "verdicts": ("```{verdict-table}\n```", "undefined label: 'claim-two-and-two'"),
    # A box that asks about nothing.
    "asked": ("```{believe} no-such-claim\n```", "no-such-claim"),
    "stakes": ("```{claims-at-stake} no-such-chapter\n```", "no-such-chapter"),
    # A misspelt name, and its section is silently missing, or a term is shown as if it were linked.
    "tasks": ("```{tasks} lookups\n```", "module must be one of"),
    "mechanism": ("```{mechanism} tinny\n```", "there is no mechanism 'tinny'"),
    "term": ("A {term}`KV cash`.", "there is no term 'KV cash'"),
    # A reader would see TeX, or red letters.
    "formula": ("So\n\n$$\n1 = \\foo\n$$", r"formula\.md:5: .*Undefined control sequence \\foo"),
    "printed": (
        cell("from IPython.display import Math\n\nMath(r'\\frac{1}')"),
        r"printed\.md:17: .*Missing argument for \\frac",
    ),
}
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c63600000000200014821bc330000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """One book with a page for each fault, each of which the build must find."""
    book = Book(tmp_path_factory.mktemp("faulty"))
    book.file("dot.png").write_bytes(DOT)
    book.page("first", "Nothing wrong here.")
    for name, (content, _) in FAULTS.items():
        if "{code-cell}" in content:
            book.page(name, content)
        else:
            book.write(f"chapters/{name}.md", f"# The {name} page\n\n{content}\n")
    book.contents("chapters/first", "chapters/gone", *(f"chapters/{name}" for name in FAULTS))
    return book.build()


@pytest.mark.slow
@pytest.mark.parametrize("page", FAULTS)
def test_a_fault_fails_the_build_and_names_its_page(faulty, page):
    """A fault that a lint or a directive can see was published."""
    assert faulty.status != 0
    complaints = faulty.complaints(f"chapters/{page}")
    assert any(re.search(FAULTS[page][1], line) for line in complaints), complaints


@pytest.mark.slow
def test_a_page_in_the_contents_that_does_not_exist_fails_the_build(faulty):
    """A chapter was renamed, and its entry leads nowhere."""
    assert faulty.complaints("chapters/gone"), faulty.output


@pytest.mark.slow
def test_a_page_without_fault_is_left_alone(faulty):
    """The lints cry wolf, and nobody listens any more."""
    assert faulty.complaints("chapters/first") == []
