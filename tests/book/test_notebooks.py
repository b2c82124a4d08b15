"""The download button's notebooks: what a reader without MyST would see wrong."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from helpers.sources import HEADER
from IPython.core.inputtransformer2 import TransformerManager

from attention_limits_book.faces import IN_NOTEBOOKS
from attention_limits_book.notebooks import convert, references
from attention_limits_book.notebooks.cells import setup

HEADER_LINES = HEADER.count("\n")

CLAIMS = {
    "cost-time": {
        "statement": "attention costs $O(n^2)$, says {cite:t}`vaswani2017attention`",
        "verdict": "holds",
        "reason": "Scores are $|Q||K|$ long.",
        "assumes": ["no mask"],
    },
    "cost-backward": {"statement": "back-propagation is a|cubic", "verdict": "false"},
}
REFERENCES = {
    "vaswani2017attention": "Vaswani et al. (2017)",
    "child2019generating": "Child et al. (2019)",
    "dao2024": "Dao (2024)",
}
BIBLIOGRAPHY = {"child2019generating": "Rewon Child. *Generating Long Sequences.* 2019."}
PAGES = {"index": "The Limits of Attention", "chapters/locality": "Locality"}
LABELS = {"elsewhere": "A Section Elsewhere"}


def notebook(source, **published):
    return convert(
        HEADER + source,
        faces=IN_NOTEBOOKS,
        claims=CLAIMS,
        references=REFERENCES,
        page_titles=PAGES,
        bibliography=BIBLIOGRAPHY,
        labels=LABELS,
        **published,
    )


def markdown(source, **published):
    """The notebook's prose, cells joined by empty lines."""
    cells = notebook(source, **published).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def code_cells(source):
    """The chapter's own code cells, without the setup cell that every notebook begins with."""
    return [c for c in notebook(source).cells[1:] if c.cell_type == "code"]


SITE = "https://example.org"
PACKAGE = "git+https://example.org/book@v1"


def link(kind, name):
    """As in a book that is published; it has no page called index, and no term but one."""
    known = {("page", "chapters/locality"), ("label", "elsewhere"), ("label", "claim-cost-time")}
    known |= {("label", "l"), ("term", "KV cache"), ("py", "a.b"), ("reference", "dao2024")}
    return f"{SITE}/{kind}/{name}" if (kind, name) in known else ""


def run_setup(monkeypatch, found, package=PACKAGE):
    """The first cell as IPython runs it, in a kernel that finds the package or not: its magics."""
    found, asked = iter(found), []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: next(found))
    shell = SimpleNamespace(run_line_magic=lambda name, line: asked.append((name, line)))
    code = TransformerManager().transform_cell(setup(package, SITE))
    exec(code, {"get_ipython": lambda: shell})
    return asked


# A page with everything in it; the tests of structure run on it.
EVERYTHING = r"""
(top)=
# Title with {py:func}`~a.b`

% a comment
Prose {cite}`vaswani2017attention`, see {eq}`cost`, {ref}`top`, {doc}`locality`
and $x_{{i}}$.[^note]

$$
\mathrm{cost} = 4 n^2 d
$$ (cost)

```{code-cell} ipython3
:tags: [exercise:one, stub]
x = 1
```

[^note]: A remark by {cite:t}`dao2024`.

::::{exercise} Outer
:label: outer
:::{exercise}
Inner {py:class}`a.B`.
:::
::::

- item
  ```{claim} cost-backward
  In a list.
  ```
- next

````{exercise} Count
:label: one
How many? {glue:text}`ratio:.2f`

$$
a &= b \\
c &= d
$$
````

```{solution} one
Many.
```

+++

```{claim} cost-time
Argued below.
```

```{verdict-table}
```

```python
{cite}`untouched` and $x$
```

```{bibliography}
:filter: docname in docnames
```
"""


class TestCells:
    def test_validates_as_format_4_5(self):
        """An invalid notebook is refused by Colab and repaired, noisily, by Jupyter."""
        nb = notebook(EVERYTHING)
        nbformat.validate(nb)
        assert (nb.nbformat, nb.nbformat_minor) == (4, 5)
        assert nb.metadata.kernelspec.name == "python3"

    def test_same_source_gives_same_bytes(self):
        """Two builds of one commit would otherwise differ in every cell id."""
        first, second = (nbformat.writes(notebook(EVERYTHING)) for _ in range(2))
        assert first == second

    def test_equal_cells_have_different_ids(self):
        """Ids derived from content alone collide when a chapter repeats a cell."""
        nb = notebook("```{code-cell}\nx\n```\n\n```{code-cell}\nx\n```\n")
        assert len({cell.id for cell in nb.cells}) == 3

    def test_no_outputs(self):
        assert all(c.outputs == [] and c.execution_count is None for c in code_cells(EVERYTHING))

    @pytest.mark.parametrize("package", ["", PACKAGE])
    def test_first_cell_provides_the_package(self, package):
        """A reader without the package would meet a bare ModuleNotFoundError further down."""
        address = f"{SITE}/chapters/locality.html" if package else ""
        first = notebook("# Title", package=package, address=address).cells[0]
        assert first.source == setup(package, address)
        assert first.metadata.tags == ["setup"]
        assert (f'%pip install -q "{package}"' if package else "`pip install .`") in first.source
        assert address in first.source

    def test_setup_names_the_remedy_where_the_package_is_missing(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ModuleNotFoundError, match=r"pip install \."):
            exec(setup(), {})

    def test_setup_installs_the_package_where_it_is_missing(self, monkeypatch, capsys):
        asked = run_setup(monkeypatch, found=[None, object()])
        assert asked == [("pip", f'install -q "{PACKAGE}"')]
        assert "Installing attention_limits" in capsys.readouterr().out

    def test_setup_says_that_pip_failed(self, monkeypatch):
        """pip's message was followed by a traceback of an import, three cells below."""
        with pytest.raises(ModuleNotFoundError, match="pip says why, above"):
            run_setup(monkeypatch, found=[None, None])

    @pytest.mark.parametrize("package", ["", PACKAGE])
    def test_setup_is_silent_where_the_package_is_there(self, package, monkeypatch, capsys):
        """Every notebook would begin with words that nobody needs, or install over a checkout."""
        assert run_setup(monkeypatch, found=[object()] * 2, package=package) == []
        assert capsys.readouterr() == ("", "")

    @pytest.mark.parametrize(
        "options",
        [
            ":tags: [exercise:one, stub]",
            ":tags: exercise:one, stub",
            "---\ntags:\n  - exercise:one\n  - stub\n---",
        ],
    )
    def test_tags_become_metadata(self, options):
        """Left in the source they are a syntax error; lost, the exercise cannot be graded."""
        (cell,) = code_cells(f"```{{code-cell}} ipython3\n{options}\n\nx = 1\n\ny = 2\n```")
        assert cell.metadata.tags == ["exercise:one", "stub"]
        assert cell.source == "x = 1\n\ny = 2"

    def test_code_is_never_rewritten(self):
        """A role, a label or a comment's percent sign inside code is code."""
        code = "%matplotlib inline\ns = '{cite}`x` $y$ [a](b.md)'\n(label)="
        (cell,) = code_cells(f"```{{code-cell}}\n{code}\n```")
        assert cell.source == code

    def test_hidden_input_is_folded(self):
        (cell,) = code_cells("```{code-cell}\n:tags: [hide-input]\nx\n```")
        assert cell.metadata.tags == ["hide-input"]
        assert cell.metadata.jupyter.source_hidden is True

    def test_cell_breaks(self):
        """Their metadata belongs to the cell that follows."""
        cells = notebook('One.\n\n+++ {"tags": ["intro"]}\n\nTwo.\n\n+++\n\nThree.').cells[1:]
        assert [c.source for c in cells] == ["One.", "Two.", "Three."]
        assert [c.metadata.get("tags") for c in cells] == [None, ["intro"], None]

    def test_cells_are_those_of_the_book(self):
        """A cell that MyST-NB executes and the notebook lacks would break the cells after it."""
        from myst_nb.core.read import read_myst_markdown_notebook

        book = read_myst_markdown_notebook(HEADER + EVERYTHING)
        ours = notebook(EVERYTHING).cells[1:]
        assert [c.cell_type for c in ours] == [c.cell_type for c in book.cells]
        assert [c.source for c in ours if c.cell_type == "code"] == [
            c.source for c in book.cells if c.cell_type == "code"
        ]

    def test_no_myst_is_left(self):
        prose = re.sub(r"```python.*?```", "", markdown(EVERYTHING), flags=re.DOTALL)
        assert "untouched" not in prose
        assert not re.search(r"\{[\w:-]+\}`|^\W*(```|:::+)\s*\{|^\(\w+\)=|^%|^\+\+\+", prose, re.M)

    def test_rule_at_the_top_of_a_cell_is_no_header(self):
        """A cell's text that begins with --- would be taken for front matter, and skipped."""
        text = markdown("```{code-cell}\nx\n```\n\n---\n\n{py:func}`a`\n\n---\n")
        assert text == "---\n\n`a`\n\n---"

    def test_windows_line_ends(self):
        source = EVERYTHING.replace("\n", "\r\n")
        assert [c.source for c in notebook(source).cells] == [
            c.source for c in notebook(EVERYTHING).cells
        ]

    @pytest.mark.slow
    def test_runs(self, monkeypatch):
        """The converted notebook does in a kernel what the chapter promises."""
        from nbclient import NotebookClient

        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "code"))
        nb = notebook("# T\n\n```{code-cell}\n:tags: [x]\na = 6\n```\n\n```{code-cell}\na * 7\n```")
        NotebookClient(nb, timeout=300).execute()
        assert nb.cells[-1].outputs[0].data["text/plain"] == "42"


DIRECTIVES = {
    # source: what the notebook says instead
    "```{exercise}\nDo.\n```": "### Exercise 1\n\nDo.",
    "```{exercise} T\n:label: e\n:points: 1\nDo.\n```": "### Exercise: T\n\n*1 point*\n\nDo.",
    "```{exercise} T\n:level: warm-up\n:points: 2\n:minutes: 10\n\nDo.\n```": (
        "### Exercise: T\n\n*Warm-up · 2 points · 10 minutes*\n\nDo."
    ),
    "```{exercise} On $n$\n---\nlabel: e\n---\nDo.\n```": "### Exercise: On $n$\n\nDo.",
    ":::{exercise}\n:label: e\n\nA.\n\nB.\n:::": "### Exercise 1\n\nA.\n\nB.",
    "```{exercise-start} T\n:label: e\n```\nDo.\n```{exercise-end}\n```": (
        "### Exercise: T\n\nDo."
    ),
    "$$\na &= b \\\\\nc &= d\n$$": (
        "$$\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}\n$$"
    ),
    "```{eval-rst}\n.. autoclass:: a.B\n   :members: c\n\n.. autofunction:: a.d\n```": (
        '- `help("a.B")`\n- `help("a.d")`'
    ),
    "```python\n{py:func}`a`\n```": "```python\n{py:func}`a`\n```",
    "\\begin{align}\na\n\\end{align}": "$$\n\\begin{align}\na\n\\end{align}\n$$",
}


@pytest.mark.parametrize(("source", "expected"), DIRECTIVES.items())
def test_directive(source, expected):
    assert markdown(source) == expected


class TestBlocks:
    def test_claim_comes_with_its_verdict(self):
        """The card in the book shows the ledger's words; so must the notebook."""
        assert markdown("```{claim} cost-time\nArgued.\n```") == (
            "> **Claim.** attention costs $O(n^2)$, says Vaswani et al. (2017)\n>\n"
            "> **Verdict: holds.** Scores are $|Q||K|$ long.\n>\n"
            "> **Assumes:** no mask.\n>\n> Argued."
        )

    def test_claim_without_a_reason(self):
        assert markdown("```{claim} cost-backward\n```").endswith("> **Verdict: false.**")

    def test_verdict_table_has_every_claim(self):
        """A bar inside a cell, in mathematics or not, would split it in two."""
        assert markdown("```{verdict-table}\n```").splitlines()[2:] == [
            "| attention costs $O(n^2)$, says Vaswani et al. (2017) | holds | "
            r"Scores are $\vert Q\vert \vert K\vert $ long. **Assumes:** no mask. |",
            r"| back-propagation is a\|cubic | false |  |",
        ]

    def test_solution_takes_its_exercise_name(self):
        """sphinx-exercise refers by label; a label alone tells a reader nothing."""
        text = markdown("```{solution} e\nSo.\n```\n\n```{exercise} T\n:label: e\nDo.\n```")
        assert "<summary>Solution: T</summary>\n\nSo.\n\n</details>" in text

    def test_the_code_of_a_solution_is_text_in_its_box(self):
        """As a cell it took the place of the student's function, and was what the check tested."""
        cells = notebook(
            "```{exercise}\n:label: e\nDo.\n```\n"
            "```{code-cell}\n:tags: [exercise:e, check, skip-execution]\nx\n```\n"
            "```{solution-start} e\n```\nSo.\n"
            "```{code-cell}\n:tags: [exercise:e, solution]\n\ny\n```\nThus.\n"
            "```{solution-end}\n```\nNext.\n"
        ).cells[1:]
        assert [c.source for c in cells] == [
            "### Exercise 1\n\nDo.",
            "x",
            "<details>\n<summary>Solution 1</summary>\n\nSo.\n\n```python\ny\n```\n\nThus.\n\n"
            "</details>\n\nNext.",
        ]
        # With the stub untouched it raises: Run All shall not stop there.
        assert cells[1].metadata.tags == ["exercise:e", "check", "raises-exception"]

    def test_a_box_ends_where_a_cell_runs(self):
        """No box can be drawn around several cells: what follows would be folded away with it."""
        cells = notebook(
            "```{exercise}\n:label: e\nDo.\n```\n"
            "```{solution-start} e\n```\nSo.\n```{code-cell}\nx\n```\n"
            "```{solution-end}\n```\nEnd.\n"
        ).cells[1:]
        box = "<details>\n<summary>Solution 1</summary>\n\nSo.\n\n</details>"
        assert [c.source for c in cells] == [f"### Exercise 1\n\nDo.\n\n{box}", "x", "End."]

    def test_summary_is_html(self):
        """Within the line that one clicks Markdown is not read."""
        text = markdown(":::{exercise} Use `a<b`\n:label: e\nDo.\n:::\n\n:::{solution} e\nB.\n:::")
        assert "<summary>Solution: Use <code>a&lt;b</code></summary>\n\nB.\n\n</details>" in text

    def test_nesting(self):
        """Fences of more backticks or colons hold others; each level is quoted once more."""
        source = (
            "````{claim} cost-backward\n:::{claim} cost-backward\n- a\n"
            "  ```{claim} cost-backward\n  b\n  ```\n:::\nEnd.\n````"
        )
        head = ["**Claim.** back-propagation is a|cubic", "", "**Verdict: false.**", ""]
        inner = ["- a", "", *(f"  > {row}".rstrip() for row in [*head, "b"])]
        middle = [f"> {row}".rstrip() for row in [*head, *inner]]
        outer = [f"> {row}".rstrip() for row in [*head, *middle, "", "End."]]
        assert markdown(source).splitlines() == outer

    def test_what_follows_a_box_is_not_drawn_into_it(self):
        """A line right under a quotation belongs to it, in Markdown; under a fence it does not."""
        text = markdown("Before.\n```{claim} cost-backward\nIn.\n```\nAfter.")
        assert text.startswith("Before.\n\n> **Claim.**")
        assert text.endswith("> In.\n\nAfter.")

    def test_directive_that_opens_a_list_item(self):
        assert markdown("1. ```{exercise}\n   hi\n   ```\n2. two") == (
            "1. ### Exercise 1\n\n   hi\n\n2. two"
        )

    def test_directive_in_a_quotation(self):
        source = "> a\n>\n> ```{exercise}\n> hi\n> ```"
        assert markdown(source) == "> a\n>\n> ### Exercise 1\n>\n> hi"

    def test_bibliography_lists_what_the_page_cites(self):
        """Also what is cited below it, once each; in full where the full entry is known."""
        text = markdown(
            "```{bibliography}\n```\n{cite}`dao2024,child2019generating` {cite}`dao2024`"
        )
        assert text.startswith(f"- {BIBLIOGRAPHY['child2019generating']}\n- Dao (2024)\n\n")

    def test_targets_and_comments_leave_no_trace(self):
        """Nor may dropping one join the paragraphs on its two sides."""
        assert markdown("(a)=\n# T\n\none\n% c\ntwo") == "# T\n\none\n\ntwo"

    def test_footnotes(self):
        """Jupyter has none and would show the caret."""
        assert markdown("Text.[^a]\n\n[^a]: More\n    of it.") == (
            "Text.<sup>a</sup>\n\n<sup>a</sup>: More\n    of it."
        )

    def test_labelled_equation_is_numbered(self):
        """Otherwise "see (1)" points to nothing that a reader of the notebook can find."""
        text = markdown(
            "$$\na\n$$\n\n$$\nb\n$$ (b)\n\n$$\n\\begin{align}c\\end{align}\n$$ (c)\n\n{eq}`c`"
        )
        assert text == (
            "$$\na\n$$\n\n$$\nb \\tag{1}\n$$\n\n$$\n\\begin{align}c \\tag{2}\\end{align}\n$$\n\n(2)"
        )

    @pytest.mark.parametrize(
        "math",
        [
            r"$a_{b} * c_{d} * e$ and $[K](x)$ and `$x$`",
            "$$ x $$",
            "$$\n\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}\n$$",
            "> $$\n> p_{ij} = \\frac{e^{s}}{|Z|}\n> $$",
            "- $$\n  x\n  $$",
        ],
    )
    def test_mathematics_is_untouched(self, math):
        assert markdown(math) == math


ROLES = {
    "{cite}`vaswani2017attention`": "(Vaswani et al., 2017)",
    "{cite}`vaswani2017attention, dao2024`": "(Vaswani et al., 2017; Dao, 2024)",
    "{cite:t}`vaswani2017attention`": "Vaswani et al. (2017)",
    "{glue:text}`ratio:.2f`": "`ratio`",
    "{doc}`locality`": "Locality",
    "{doc}`/chapters/locality`": "Locality",
    "{doc}`../index.md`": "The Limits of Attention",
    "{doc}`there <locality>`": "there",
    "{ref}`there <anywhere>`": "there",
    "{ref}`elsewhere`": "A Section Elsewhere",
    "{py:func}`~attention_limits.cli.main`": "`main`",
    "{py:mod}`attention_limits`": "`attention_limits`",
    "{py:func}`dense.attend <attention_limits.attention.dense.attend>`": "`dense.attend`",
    "**bold {py:func}`a`**": "**bold `a`**",
    "`{py:func}` and \\{py:func}`a`": "`{py:func}` and \\{py:func}`a`",
    "``{py:func}`a` ``": "``{py:func}`a` ``",
    "[text](locality.md)": "text",
    "[*text* {py:func}`a`](locality.md#part)": "*text* `a`",
    "[text](#label)": "text",
    "[](locality.md)": "Locality",
    "[](#elsewhere)": "A Section Elsewhere",
    "[text](https://example.org/a_b)": "[text](https://example.org/a_b)",
    "<https://example.org>": "<https://example.org>",
    "[a][b]\n\n[b]: https://example.org": ("[a](https://example.org)\n\n[b]: https://example.org"),
    "> over {ref}`two\n> lines <x>` and [a\n> link](index.md)": "> over two lines and a\n> link",
    "| a | b |\n|---|---|\n| {py:func}`x` | {doc}`locality` |": (
        "| a | b |\n|---|---|\n| `x` | Locality |"
    ),
}


@pytest.mark.parametrize(("source", "expected"), ROLES.items())
def test_role(source, expected):
    assert markdown(source) == expected


AT = f"{SITE}/page/chapters/locality"
LINKED = {
    "{doc}`locality` {doc}`there <locality>`": f"[Locality]({AT}) [there]({AT})",
    "[](locality.md) [*text*](locality.md#part)": f"[Locality]({AT}) [*text*]({AT})",
    "[*text* {py:func}`~a.b`](locality.md)": f"[*text* `b`]({AT})",
    "{ref}`elsewhere`": f"[A Section Elsewhere]({SITE}/label/elsewhere)",
    "[here](#elsewhere)": f"[here]({SITE}/label/elsewhere)",
    "{py:func}`~a.b` {py:func}`c`": f"[`b`]({SITE}/py/a.b) `c`",
    "{term}`caches <KV cache>` {term}`n`": f"[caches]({SITE}/term/KV cache) n",
    "{cite:t}`dao2024`": f"[Dao (2024)]({SITE}/reference/dao2024)",
    "{cite}`dao2024,child2019generating`": (
        f"([Dao, 2024]({SITE}/reference/dao2024); Child et al., 2019)"
    ),
    "{doc}`/index` [text](index.md)": "The Limits of Attention text",
    "(l)=\n## A {py:func}`a.b`\n\n{ref}`l`": (
        f"## A [`a.b`]({SITE}/py/a.b)\n\n[A `a.b`]({SITE}/label/l)"
    ),
    "```{claim} cost-backward\n```": "> **Claim.** back-propagation is a|cubic\n>\n"
    "> **Verdict: false.**",
    "```{eval-rst}\n.. autofunction:: a.b\n```": f'- `help("a.b")`, or [its page]({SITE}/py/a.b)',
}


@pytest.mark.parametrize(("source", "expected"), LINKED.items())
def test_in_a_published_book_words_lead_to_it(source, expected):
    """Who read "see Locality" had to look for it; one link within another is none at all."""
    assert markdown(source, link=link) == expected


def test_a_claim_leads_to_its_card():
    text = markdown("```{claim} cost-time\n```\n\n```{verdict-table}\n```", link=link)
    card = f"]({SITE}/label/claim-cost-time)"
    assert f"> **[Claim{card}.**" in text
    assert f"| [holds{card} |" in text


RECORDED = {"ratio": "2.345", "tokens": "131072", "gap": "3.2e-08", "words": "'no'"}
NUMBERS = {"ratio:.2f": "2.35", "tokens": "131,072", "gap:.0e": "3 · 10⁻⁸", "words": "no"}


@pytest.mark.parametrize(("role", "number"), NUMBERS.items())
def test_a_number_is_the_one_that_was_recorded(role, number):
    """The prose read "The last gives `ratio`", and a reader had to find out what that was."""
    assert markdown(f"It is {{glue:text}}`{role}`.", recorded=RECORDED) == f"It is `{number}`."


def test_a_number_that_was_not_recorded_stops_the_build():
    with pytest.raises(ValueError, match="no number called 'missing'"):
        markdown("{glue:text}`missing:.0f`", recorded=RECORDED)


LANDMARKS = {
    "(l)=\n## A *title*\n": ("{ref}`L`", "A *title*"),
    "```{exercise} T\n:label: l\n```\n": ("{ref}`l`", "Exercise: T"),
    "$$\nx\n$$ (l)\n": ("{eq}`l`", "(1)"),
    "(l)=\n```{exercise} T\nX.\n```\n": ("{ref}`l`", "Exercise: T"),
}


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize(("landmark", "reference"), LANDMARKS.items())
def test_reference_within_the_page(landmark, reference, order):
    """In a notebook no link resolves it: the text itself has to say what is meant."""
    role, expected = reference
    if order == "before":
        assert markdown(f"See {role}.\n\n{landmark}").startswith(f"See {expected}.\n")
    else:
        assert markdown(f"{landmark}\nSee {role}.").endswith(f"\nSee {expected}.")


def test_target_does_not_name_what_comes_later():
    """A label above a paragraph has no title; the next heading is not it."""
    with pytest.raises(ValueError, match="no label called 'l'"):
        markdown("(l)=\nA paragraph.\n\n# Heading\n\n{ref}`l`")


UNKNOWN = {
    # source: (line within it, what the message names)
    "ok\n\n```{mystery} x\ny\n```": (3, "{mystery}"),
    "```{eval-rst}\n.. autofunction:: a.b\n\nWords.\n```": (4, "'Words.'"),
    "ok\n\nmore\n{mystery}`x`": (4, "{mystery}"),
    "```{exercise}\n:class: x\n\nok\n{mystery}`x`\n```": (5, "{mystery}"),
    "````{exercise}\n- a\n  ```{mystery}\n  ```\n````": (3, "{mystery}"),
    "| a |\n|---|\n| b |\n| {mystery}`x` |": (4, "{mystery}"),
    "```{exercise}\n```\n\n````{exercise}\n```{code-cell}\nx\n```\n````": (5, "{code-cell}"),
    "ok\n\n::: mystery\n:::": (3, "fence"),
    "ok {{ mystery }}": (1, "mystery"),
    "{{ mystery }}": (1, "mystery"),
    "<project:mystery.md>": (1, "project:mystery.md"),
    "ok\n\n```{exercise} Use `a`\nB.\n```": (3, "fence"),
    "```{mechanism} dense\n```": (1, "DIRECTIVES of its module"),
    "{cite}`mystery`": (1, "reference called 'mystery'"),
    "{doc}`mystery`": (1, "page called 'mystery'"),
    "a\n{ref}`mystery`": (2, "label called 'mystery'"),
    "```{claim} mystery\n```": (1, "claim called 'mystery'"),
    "```{verdict-table} mystery\n```": (1, "{verdict-table}"),
    "[^a]\n\n[^a]: one\n\n    two": (3, "footnote"),
    "```{exercise}\n:class: 'x\ny\n```": (1, "{exercise}"),
    "```{code-cell}\n:tags: [a\nx\n```": (1, "{code-cell}"),
}


@pytest.mark.parametrize(("source", "where"), UNKNOWN.items())
def test_unknown_stops_the_build(source, where):
    """A construct passed over in silence would be garbled in every copy downloaded."""
    line, named = where
    pattern = rf"^line {HEADER_LINES + line}: .*{re.escape(named)}"
    with pytest.raises(ValueError, match=pattern):
        notebook(source)


BIB = r"""
@article{one,   author = {R{\'e}, Christopher}, title = {A}, year = 2020, doi = {1/2}}
@article{two,   author = {van den Oord, A{\"a}ron and {\L}ukasz, Anna}, title = {B}, year = 2021}
@article{three, author = {Lee-Thorp, James and B, C and D, E}, title = {C_1}, year = 2022}
@misc{team,     author = {{DeepSeek-AI}}, title = {V3}, year = 2024, eprint = {2412.19437}}
@misc{more,     author = {Brown, Tom and others}, title = {D}, year = 2020}
@misc{nobody,   title = {An {\'E}tude}}
"""


def test_short_references(tmp_path):
    """LaTeX's accents and braces would show in the middle of a sentence."""
    (tmp_path / "a.bib").write_text(BIB)
    assert references.short(tmp_path / "a.bib") == {
        "one": "Ré (2020)",
        "two": "van den Oord and Łukasz (2021)",
        "three": "Lee-Thorp et al. (2022)",
        "team": "DeepSeek-AI (2024)",
        "more": "Brown et al. (2020)",
        "nobody": "An Étude (n.d.)",
    }


def test_addresses_of_references(tmp_path):
    """An entry with a DOI and a preprint leads to what was published."""
    (tmp_path / "a.bib").write_text(BIB)
    assert references.addresses(tmp_path / "a.bib") == {
        "one": "https://doi.org/1/2",
        "team": "https://arxiv.org/abs/2412.19437",
    }


def test_references_of_the_book():
    """Every entry has a name for the sentence and a line for the list, free of LaTeX."""
    bib = Path(__file__).parents[2] / "references.bib"
    short, full = references.short(bib), references.long(bib)
    assert short.keys() == full.keys()
    assert short["vaswani2017attention"] == "Vaswani et al. (2017)"
    assert [name for name in short.values() if not re.fullmatch(r"[^\\{}$]+ \(\d{4}\)", name)] == []
    assert [line for line in full.values() if re.search(r"\\[a-zA-Z]|[{}]|\n", line)] == []


def test_survives_json(tmp_path):
    """What is served is a file: nothing in it may be of a type that JSON does not keep."""
    nb = notebook(EVERYTHING)
    assert nbformat.reads(nbformat.writes(nb), as_version=4) == nb
    assert json.loads(nbformat.writes(nb))["nbformat"] == 4
