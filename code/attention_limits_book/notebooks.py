r"""From a chapter's MyST text notebook to a clean ``.ipynb``, the file behind the download button.

Jupyter, VS Code and Colab read Markdown and LaTeX, but no MyST: a chapter opened there as it is
shows its directives as code and its roles as text.  :func:`convert` rewrites every one of them
into plain Markdown, and stops at one that it has not been taught, because a build that fails is
better than a notebook that is garbled.

MyST's own parser finds the blocks and the inline constructs and says where they stand in the text.
Only those places are rewritten; code, mathematics and prose stay as the author typed them.
"""

import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import nbformat
import yaml
from markdown_it import MarkdownIt
from markdown_it.helpers import parseLinkLabel
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline, link
from markdown_it.token import Token
from mdit_py_plugins.footnote.index import footnote_ref
from mdit_py_plugins.myst_role.index import myst_role
from mdit_py_plugins.substitution import substitution_plugin
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from myst_parser.parsers.options import TokenizeError, options_to_items
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

# The first cell of every notebook: its reader may never have seen the book's repository.
SETUP = """\
import importlib.util

if importlib.util.find_spec("attention_limits") is None:
    raise ModuleNotFoundError(
        "This notebook needs the book's own package, attention_limits: "
        "run `pip install .` in a clone of the book, then restart the kernel."
    )"""

# What _config.yml enables and a chapter may use.
SYNTAX = frozenset({"amsmath", "colon_fence", "dollarmath", "tasklist"})

NOTHING: Mapping[str, str] = MappingProxyType({})


def convert(
    source: str,
    *,
    claims: Mapping[str, Mapping],
    references: Mapping[str, str],
    page_titles: Mapping[str, str],
    bibliography: Mapping[str, str] = NOTHING,
    labels: Mapping[str, str] = NOTHING,
) -> nbformat.NotebookNode:
    """A chapter as a notebook: the same source and mappings always give the same bytes.

    Args:
        source: the text notebook, jupytext header included.
        claims: claim id → its ``statement``, ``verdict`` and ``reason`` (MyST text).
        references: bib key → how prose names it; see :func:`short_references`.
        page_titles: page, as Sphinx names it ("chapters/locality") → its title.
        bibliography: bib key → its line in the list of references; see :func:`long_references`.
            A key that is missing here is listed by its short reference.
        labels: label on *another* page → the text that stands for it.

    Returns:
        A notebook of format 4.5 without outputs.

    Raises:
        ValueError: for a directive, role, claim, reference, page or label that is not known,
            naming it and its line in ``source``.
    """
    book = _Book(claims, references, page_titles, bibliography, labels)
    # Two passes, as in LaTeX: the first meets the labels and citations, the second uses them.
    survey = _Page(book)
    for _ in _cells(source, survey):
        pass
    notebook = new_notebook(
        cells=list(_cells(source, _Page(book, survey=survey))),
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
    )
    notebook.nbformat_minor = 5
    for position, cell in enumerate(notebook.cells):
        identity = f"{position}\n{cell.cell_type}\n{cell.source}"
        cell.id = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return notebook


def short_references(bib_path: str | Path) -> dict[str, str]:
    """Bib key → "Vaswani et al. (2017)", for every entry of a BibTeX file."""
    from pybtex.database import parse_file

    return {key: _short(entry) for key, entry in parse_file(str(bib_path)).entries.items()}


def long_references(bib_path: str | Path) -> dict[str, str]:
    """Bib key → authors, title, venue and links in Markdown, for every entry of a BibTeX file."""
    from pybtex.database import parse_file
    from pybtex.plugin import find_plugin

    style = find_plugin("pybtex.style.formatting", "plain")()
    markdown = find_plugin("pybtex.backends", "markdown")()
    entries = style.format_bibliography(parse_file(str(bib_path)))
    return {entry.key: " ".join(entry.text.render(markdown).split()) for entry in entries}


def _short(entry) -> str:
    from pybtex.richtext import Text

    people = entry.persons.get("author") or entry.persons.get("editor") or []
    surnames = [" ".join(person.prelast_names + person.last_names) for person in people]
    surnames = [Text.from_latex(name).render_as("text") for name in surnames]
    if len(surnames) > 2 or surnames[1:] == ["others"]:
        who = f"{surnames[0]} et al."
    else:
        who = " and ".join(surnames) or Text.from_latex(entry.fields["title"]).render_as("text")
    return f"{who} ({entry.fields.get('year', 'n.d.')})"


# --- What is known about the book and the page -----------------------------------------------


class _Book(NamedTuple):
    """What a page may refer to: the arguments of :func:`convert`."""

    claims: Mapping[str, Mapping]
    references: Mapping[str, str]
    page_titles: Mapping[str, str]
    bibliography: Mapping[str, str]
    labels: Mapping[str, str]


class _Landmark(NamedTuple):
    """Something with a label: the text that stands for it, and its number where it has one."""

    title: str
    number: str = ""


@dataclass
class _Page:
    """One pass over a page: what it has met so far, and what the pass before it met."""

    book: _Book
    survey: "_Page | None" = None
    env: dict = field(default_factory=dict)  # the parser's: link and footnote definitions
    met: dict[str, _Landmark] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)  # (labels)= waiting for what they name
    cited: set[str] = field(default_factory=set)
    counts: Counter = field(default_factory=Counter)

    def count(self, kind: str) -> str:
        """The number of the next thing of this kind."""
        self.counts[kind] += 1
        return str(self.counts[kind])

    def remember(self, landmark: _Landmark, *labels: str) -> None:
        """Let these labels, and those waiting above, stand for ``landmark``."""
        for label in filter(None, (*labels, *self.pending)):
            self.met[_normal(label)] = landmark
        self.pending.clear()

    def find(self, label: str, line: int) -> _Landmark:
        """What a label stands for, on this page or another one."""
        if self.survey is None:  # it may stand further down, and this pass is thrown away
            return _Landmark("")
        if found := self.survey.met.get(_normal(label)):
            return found
        return _Landmark(_look_up(self.book.labels, label, "label", line))

    def page_title(self, target: str, line: int) -> str:
        """The title of the page that a path leads to, however the path is written."""
        name = re.sub(r"^(\.{0,2}/)+|\.md(#.*)?$", "", target.strip())
        for page, title in self.book.page_titles.items():
            if f"/{page}".endswith(f"/{name}"):
                return title
        raise _error(line, f"no page called {target!r}")


def _normal(label: str) -> str:
    """Labels as Sphinx compares them."""
    return " ".join(label.lower().split())


def _error(line: int, problem: str) -> ValueError:
    return ValueError(f"line {line}: {problem}")


def _look_up(known: Mapping, key: str, kind: str, line: int):
    if key not in known:
        raise _error(line, f"no {kind} called {key!r}")
    return known[key]


# --- Finding the places to rewrite --------------------------------------------------------------


@cache
def _parser() -> MarkdownIt:
    """MyST's parser, which also notes where each role, link, … stands in the text it was given."""
    parser = create_md_parser(MdParserConfig(enable_extensions=set(SYNTAX)), RendererHTML)
    parser.use(substitution_plugin)  # Jupyter Book's default: known here in order to be refused
    for name, rule in {"myst_role": myst_role, "link": link, "footnote_ref": footnote_ref}.items():
        parser.inline.ruler.at(name, _noting_place(rule))
    return parser


def _noting_place(rule: Callable[[StateInline, bool], bool]) -> Callable:
    """An inline rule whose token says where it stood: markdown-it keeps places of blocks only."""

    def noting(state: StateInline, silent: bool) -> bool:
        start, before = state.pos, len(state.tokens)
        matched = rule(state, silent)
        if matched and not silent:
            token = next(t for t in state.tokens[before:] if t.type != "text")
            token.meta["place"] = (start, state.pos)
            if token.type == "link_open":
                token.meta["text_end"] = parseLinkLabel(state, start)
        return matched

    return noting


class _Part(NamedTuple):
    """Some blocks of a text: their tokens, and the lines from ``start`` to ``stop`` they are in."""

    tokens: list[Token]
    lines: list[str]
    start: int
    stop: int
    line: int  # where in the source the first of all ``lines`` stands


def _parse(lines: list[str], line: int, page: _Page) -> _Part:
    """A whole text, be it a page or a directive's body."""
    tokens = _parser().parse("\n".join(lines), page.env)
    return _Part(tokens, lines, 0, len(lines), line)


def _cells(source: str, page: _Page) -> Iterator[nbformat.NotebookNode]:
    """The notebook's cells, cut where jupytext and MyST-NB cut them."""
    yield new_code_cell(SETUP, metadata={"tags": ["setup"]})
    whole = _parse(source.replace("\r\n", "\n").split("\n"), 1, page)
    start, metadata, between = 0, {}, []
    for token in whole.tokens:
        is_code = token.type == "fence" and _directive_name(token) == "code-cell"
        if token.level or not (is_code or token.type in ("front_matter", "myst_block_break")):
            between.append(token)
            continue
        first, last = token.map
        part = whole._replace(tokens=between, start=start, stop=first)
        yield from _markdown_cell(part, metadata, page)
        start, metadata, between = last, {}, []
        if is_code:
            yield _code_cell(token, first + 1)
        elif token.type == "myst_block_break" and token.content.startswith("{"):
            metadata = json.loads(token.content)
    yield from _markdown_cell(whole._replace(tokens=between, start=start), metadata, page)


def _markdown_cell(part: _Part, metadata: dict, page: _Page) -> Iterator[nbformat.NotebookNode]:
    """One cell, or none where only labels, comments and empty lines stood."""
    text = _markdown(part, page)
    if text.strip():
        yield new_markdown_cell(text, metadata=metadata)


def _code_cell(token: Token, line: int) -> nbformat.NotebookNode:
    """A code cell; its option block becomes its metadata."""
    options, body, _ = _split_options(token.content)
    try:
        metadata = yaml.safe_load(options) or {}
    except yaml.YAMLError as problem:
        raise _error(line, "directive {code-cell} has options that are not YAML") from problem
    if isinstance(metadata.get("tags"), str):
        metadata["tags"] = re.split(r"[,\s]+", metadata["tags"].strip())
    if {"hide-input", "hide-cell", "remove-input", "remove-cell"} & {*metadata.get("tags", ())}:
        metadata["jupyter"] = {"source_hidden": True}  # folded, as in the book
    return new_code_cell("\n".join(body).strip("\n"), metadata=metadata)


def _markdown(part: _Part, page: _Page) -> str:
    """Some blocks of MyST as plain Markdown."""
    output, done = [], part.start
    page.pending.clear()
    for i, token in enumerate(part.tokens):
        # The cells of a table's row all have the row's place: it is rewritten once.
        if token.map is None or token.map[0] < done:
            continue
        first, last = token.map
        if token.type == "amsmath":  # whose place lacks its last line
            last = first + len(token.content.split("\n"))
        lines, line = part.lines[first:last], part.line + first
        if token.type == "inline":
            text = _inline("\n".join(lines), line, page)
            if part.tokens[i - 1].type == "heading_open":
                page.remember(_Landmark(_inline(token.content, line, page)))
            page.pending.clear()
            output += [*part.lines[done:first], *text.split("\n")]
            done = last
        elif token.type == "footnote_reference_open":
            _check_footnote(part.tokens[i + 1 : i + 5], line)
        elif (text := _block(token, lines, line, page)) is not None:
            output += part.lines[done:first]
            margin = lines[0][: lines[0].index(_mark(token))]
            _append_block(output, text, margin, "".join(part.lines[last : last + 1]))
            done = last
    return "\n".join(output + part.lines[done : part.stop]).strip("\n")


def _append_block(output: list[str], text: str, margin: str, following: str) -> None:
    """Append a block where one with this margin stood ("> ", "- "), with air around it.

    A fence ends a paragraph and is ended by its closing line; what replaces it often does not,
    and a quotation would swallow the line that follows.
    """
    inner = re.sub(r"[^>\s]", " ", margin)  # the margin of its other lines: no second bullet
    is_blank = [not row.strip("> ") for row in (output[-1] if output else "", following)]
    if margin == inner and not is_blank[0]:
        output.append(inner.rstrip())
    if text or margin != inner:
        first, *others = text.split("\n")
        output += [margin + first, *(inner + row if row else inner.rstrip() for row in others)]
    if not is_blank[1] and output and output[-1].strip("> "):
        output.append(inner.rstrip())


def _check_footnote(inside: list[Token], line: int) -> None:
    """Plain Markdown has no footnotes: one paragraph can be moved, a second would become code."""
    paragraph = ["paragraph_open", "inline", "paragraph_close", "footnote_reference_close"]
    if [token.type for token in inside] != paragraph:
        raise _error(line, "a footnote must be a single paragraph")


# --- Blocks ------------------------------------------------------------------------------------

# How the first line of each block that is rewritten begins, once its margin is taken off.
MARKS = {
    "math_block": "$$",
    "math_block_label": "$$",
    "amsmath": r"\begin",
    "myst_target": "(",
    "myst_line_comment": "%",
    "myst_block_break": "+",
    "substitution_block": "{{",
}


def _mark(token: Token) -> str:
    return MARKS.get(token.type) or token.markup


def _block(token: Token, lines: list[str], line: int, page: _Page) -> str | None:
    """What replaces a block; None leaves it (and what is in it) as it is."""
    if token.type == "myst_target":
        page.pending.append(token.content)
        return ""
    if token.type == "substitution_block":
        raise _error(line, f"substitution {{{{{token.content}}}}} is not known")
    if token.type in ("fence", "colon_fence"):
        text = _fence(token, line, page)
    elif token.type in ("math_block", "math_block_label", "amsmath"):
        margin = lines[0].index(_mark(token))
        text = _math_block(token, "\n".join(row[margin:] for row in lines), page)
    else:
        return "" if token.type in MARKS else None
    page.pending.clear()
    return text


def _math_block(token: Token, text: str, page: _Page) -> str | None:
    if token.type == "amsmath":  # a bare environment: outside Sphinx not every reader sees it
        return _displayed(text)
    tex = re.match(r"\$\$(.*)\$\$", text, re.DOTALL)[1].strip("\n")
    equation = _equation(tex, token.info, page)
    return None if equation == _displayed(tex) else equation


def _displayed(tex: str) -> str:
    return f"$$\n{tex}\n$$"


def _equation(tex: str, label: str, page: _Page) -> str:
    """Display mathematics as Sphinx sets it: rows aligned, and a number where there is a label."""
    tex = re.sub(r"\n\s*\n", "\\\\\\\\\n", tex.strip("\n"))  # an empty line begins a new row
    outside = re.sub(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", "", tex, flags=re.DOTALL)
    if r"\\" in outside:
        tex = f"\\begin{{aligned}}\n{tex}\n\\end{{aligned}}"
    if label:
        number = page.count("equation")
        page.remember(_Landmark(f"({number})", number), label)
        # Within align and its kin a tag belongs to a row; after any other formula, to the whole.
        end = re.search(r"(\\end\{(align|gather|equation|multline|flalign)\*?\})?\s*$", tex).start()
        tex = f"{tex[:end].rstrip()} \\tag{{{number}}}{tex[end:].rstrip()}"
    return _displayed(tex)


@dataclass(frozen=True)
class _Directive:
    """A directive as it was written; ``line`` is its first line, ``body_line`` its body's."""

    name: str
    argument: str
    options: Mapping[str, str]
    body: list[str]
    line: int
    body_line: int

    @property
    def label(self) -> str:
        """Sphinx calls it name, its proof and exercise extensions call it label."""
        return self.options.get("label") or self.options.get("name", "")


def _directive_name(token: Token) -> str | None:
    match = re.match(r"\{([^}\s]+)\}", token.info.strip())
    return match and match[1]


def _split_options(content: str) -> tuple[str, list[str], int]:
    """The option block of a directive as YAML, its body, and how many lines stand above that."""
    lines = content.removesuffix("\n").split("\n")
    above = 0
    if re.match(r"-{3,}\s*$", lines[0]):
        closing = (i for i, row in enumerate(lines[1:], 1) if re.match(r"-{3,}", row))
        above = next(closing, len(lines) - 1) + 1
        options = lines[1 : above - 1]
    else:
        while above < len(lines) and re.match(r"\s*:[\w-]+:", lines[above]):
            above += 1
        options = [row.lstrip()[1:] for row in lines[:above]]
    while above < len(lines) and not lines[above].strip():
        above += 1
    return "\n".join(options), lines[above:], above


def _fence(token: Token, line: int, page: _Page) -> str | None:
    """What replaces a fence: a directive is looked up, a listing in some language is left."""
    name = _directive_name(token)
    if name is None:
        if token.type == "fence":
            return None
        raise _error(line, "a fence of colons must name a directive")
    if name not in DIRECTIVES:
        raise _error(line, f"directive {{{name}}} is not known to the notebook converter")
    options, body, above = _split_options(token.content)
    try:
        items, _ = options_to_items(options)
    except TokenizeError as problem:
        raise _error(line, f"directive {{{name}}} has options that cannot be read") from problem
    argument = token.info.strip()[len(name) + 2 :].strip()
    directive = _Directive(name, argument, dict(items), body, line, line + 1 + above)
    return DIRECTIVES[name](directive, page)


def _body(directive: _Directive, page: _Page) -> str:
    return _markdown(_parse(directive.body, directive.body_line, page), page)


def _title(directive: _Directive, page: _Page) -> str:
    return _inline(directive.argument, directive.line, page)


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(filter(None, parts))


def _quote(*parts: str) -> str:
    return "\n".join(f"> {row}".rstrip() for row in _paragraphs(*parts).split("\n"))


def _details(title: str, body: str) -> str:
    """A box to open; within its summary Markdown is not read, so that code there becomes HTML."""
    summary = re.sub(r"`+(.+?)`+", r"<code>\1</code>", html.escape(title, quote=False))
    return _paragraphs(f"<details>\n<summary>{summary}</summary>", body, "</details>")


def _boxed(title: str, directive: _Directive, page: _Page) -> str:
    """A titled quotation, or a box to open where the author asked for one."""
    page.remember(_Landmark(title), directive.label)
    if "dropdown" in directive.options.get("class", ""):
        return _details(title, _body(directive, page))
    return _quote(title and f"**{title}**", _body(directive, page))


def _body_from_first_line(directive: _Directive) -> _Directive:
    """These take no argument: what stands on their first line begins the body."""
    if not directive.argument:
        return directive
    body = [directive.argument, *directive.body]
    return replace(directive, argument="", body=body, body_line=directive.line)


def _dropped(directive: _Directive, page: _Page) -> str:
    return ""


def _transparent(directive: _Directive, page: _Page) -> str:
    return _body(directive, page)


def _admonition(directive: _Directive, page: _Page) -> str:
    title = "See also" if directive.name == "seealso" else directive.name.capitalize()
    return _boxed(title, _body_from_first_line(directive), page)


def _titled_box(directive: _Directive, page: _Page) -> str:
    return _boxed(_title(directive, page), directive, page)


def _quotation(directive: _Directive, page: _Page) -> str:
    return _quote(_body(_body_from_first_line(directive), page))


def _dropdown(directive: _Directive, page: _Page) -> str:
    title = _title(directive, page) or "Details"
    page.remember(_Landmark(title), directive.label)
    return _details(title, _body(directive, page))


def _rubric(directive: _Directive, page: _Page) -> str:
    return f"**{_title(directive, page)}**"


def _claim(directive: _Directive, page: _Page) -> str:
    claim = _look_up(page.book.claims, directive.argument, "claim", directive.line)
    statement, reason = (
        _claim_text(claim, part, directive.line, page) for part in ("statement", "reason")
    )
    return _quote(
        f"**Claim.** {statement}",
        f"**Verdict: {claim['verdict']}.** {reason}".rstrip(),
        _body(directive, page),
    )


def _claim_text(claim: Mapping, part: str, line: int, page: _Page) -> str:
    return _inline(" ".join((claim.get(part) or "").split()), line, page)


def _verdict_table(directive: _Directive, page: _Page) -> str:
    if directive.argument or directive.options:
        raise _error(directive.line, "directive {verdict-table} takes no argument and no option")
    rows = ["| Claim | Verdict | Why |", "|---|---|---|"]
    for claim in page.book.claims.values():
        statement, reason = (
            _table_cell(_claim_text(claim, part, directive.line, page))
            for part in ("statement", "reason")
        )
        rows.append(f"| {statement} | {claim['verdict']} | {reason} |")
    return "\n".join(rows)


def _table_cell(text: str) -> str:
    r"""A bar would end the cell: in mathematics it becomes \vert, elsewhere it is escaped."""
    pieces = text.split("$")
    for i, piece in enumerate(pieces):
        if i % 2:
            piece = piece.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
        pieces[i] = re.sub(r"(?<!\\)\|", r"\|", piece)
    return "$".join(pieces)


def _exercise(directive: _Directive, page: _Page) -> str:
    number, title = page.count("exercise"), _title(directive, page)
    name = f"Exercise: {title}" if title else f"Exercise {number}"
    page.remember(_Landmark(name, number), directive.label)
    return _paragraphs(f"### {name}", _body(directive, page))


def _solution_name(directive: _Directive, page: _Page) -> str:
    exercise = page.find(directive.argument, directive.line).title
    name = exercise.replace("Exercise", "Solution", 1)
    page.remember(_Landmark(name), directive.label)
    return name


def _solution(directive: _Directive, page: _Page) -> str:
    return _details(_solution_name(directive, page), _body(directive, page))


def _solution_start(directive: _Directive, page: _Page) -> str:
    # Code cells follow, and no box can be drawn around several cells.
    return f"#### {_solution_name(directive, page)}"


def _statement(directive: _Directive, page: _Page) -> str:
    """A theorem and its kin: numbered, each kind by itself."""
    kind = directive.name.removeprefix("prf:")
    name, title = kind.capitalize(), _title(directive, page)
    if "nonumber" not in directive.options:
        name = f"{name} {page.count(kind)}"
    page.remember(_Landmark(name, name.removeprefix(kind.capitalize()).strip()), directive.label)
    return _quote(f"**{name}**" + (f" ({title})" if title else ""), _body(directive, page))


def _proof(directive: _Directive, page: _Page) -> str:
    return _quote("*Proof.*", _body(_body_from_first_line(directive), page), "∎")


def _math(directive: _Directive, page: _Page) -> str:
    body = _body_from_first_line(directive).body
    return _equation("\n".join(body), directive.label, page)


def _captioned(kind: str, directive: _Directive, caption: str, page: _Page) -> str:
    """The caption of a figure or table, numbered."""
    number = page.count(kind)
    page.remember(_Landmark(f"{kind} {number}", number), directive.label)
    return f"**{kind} {number}.** {caption}"


def _image(directive: _Directive, page: _Page) -> str:
    alt = re.sub(r"([\[\]])", r"\\\1", directive.options.get("alt", ""))
    return f"![{alt}]({directive.argument})"


def _figure(directive: _Directive, page: _Page) -> str:
    caption = ""
    if directive.body:
        caption = _captioned("Figure", directive, "", page) + _body(directive, page)
    return _paragraphs(_image(directive, page), caption)


def _table(directive: _Directive, page: _Page) -> str:
    caption = directive.argument and _captioned("Table", directive, _title(directive, page), page)
    return _paragraphs(caption, _body(directive, page))


def _listing(directive: _Directive, page: _Page) -> str:
    body = "\n".join(directive.body)
    ticks = max([2, *map(len, re.findall("`+", body))]) + 1
    return f"{'`' * ticks}{directive.argument}\n{body}\n{'`' * ticks}"


def _glued(directive: _Directive, page: _Page) -> str:
    return _paragraphs(_glued_name(directive.argument), _body(directive, page))


def _documented(directive: _Directive, page: _Page) -> str:
    """What the book prints of docstrings, a notebook's own Python prints."""
    names = []
    for number, row in enumerate(directive.body):
        if match := re.fullmatch(r"\.\. auto\w+:: (\S+)", row):
            names.append(match[1])
        elif not re.match(r" +:\w|\s*$", row):
            problem = f"{row!r} is not known to the notebook converter: docstrings alone are"
            raise _error(directive.body_line + number, problem)
    return "\n".join(f'- `help("{name}")`' for name in names)


def _bibliography(directive: _Directive, page: _Page) -> str:
    """What this page cites, wherever on the page it does."""
    entries = {**page.book.references, **page.book.bibliography}
    cited = page.survey.cited if page.survey else ()
    order = sorted(cited, key=lambda key: (page.book.references[key].casefold(), key))
    return "\n".join(f"- {entries[key]}" for key in order)


STATEMENTS = ["algorithm", "assumption", "axiom", "conjecture", "corollary", "criterion"]
STATEMENTS += ["definition", "example", "lemma", "notation", "observation", "property"]
STATEMENTS += ["proposition", "remark", "theorem"]
ADMONITIONS = ["attention", "caution", "danger", "error", "hint", "important", "note", "seealso"]
ADMONITIONS += ["tip", "warning"]

DIRECTIVES: dict[str, Callable[[_Directive, _Page], str]] = {
    "claim": _claim,
    "verdict-table": _verdict_table,
    "dropdown": _dropdown,
    "toggle": _dropdown,
    "exercise": _exercise,
    "exercise-start": _exercise,
    "solution": _solution,
    "solution-start": _solution_start,
    "prf:proof": _proof,
    "math": _math,
    "image": _image,
    "figure": _figure,
    "table": _table,
    "bibliography": _bibliography,
    "rubric": _rubric,
    "eval-rst": _documented,
    **dict.fromkeys([f"prf:{kind}" for kind in STATEMENTS], _statement),
    **dict.fromkeys(ADMONITIONS, _admonition),
    **dict.fromkeys(["admonition", "card", "margin", "sidebar", "tab-item", "topic"], _titled_box),
    **dict.fromkeys(["epigraph", "pull-quote", "highlights"], _quotation),
    **dict.fromkeys(["container", "div", "tab-set"], _transparent),
    **dict.fromkeys(["code", "code-block"], _listing),
    **dict.fromkeys(["glue", "glue:any", "glue:figure", "glue:math", "glue:md"], _glued),
    **dict.fromkeys(["contents", "index", "raw", "tableofcontents", "toctree"], _dropped),
    **dict.fromkeys(["exercise-end", "solution-end"], _dropped),
}


# --- Inline ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Role:
    """A role as it was written; ``text <target>`` is taken apart."""

    name: str
    content: str
    line: int

    @property
    def text(self) -> str:
        """The author's own words for the target, or nothing."""
        return self._parts[0]

    @property
    def target(self) -> str:
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        match = re.fullmatch(r"(.*?)\s*<([^<>]+)>", self.content)
        return (match[1], match[2]) if match else ("", self.content)


def _inline(text: str, line: int, page: _Page) -> str:
    """Text of one block without MyST: roles, links between pages and footnotes rewritten."""
    if fence := re.search(r"^\W*(```|:::)\s*\{[^`]", text, re.MULTILINE):
        at = line + text.count("\n", 0, fence.end())
        raise _error(at, "a fence that MyST reads as text (is there a backtick in its first line?)")
    edits = []
    for token in _parser().parseInline(text, page.env)[0].children or ():
        start, end = token.meta.get("place", (0, 0))
        at = line + text.count("\n", 0, start)
        if token.type == "myst_role":
            edits.append((start, end, _role(token, text[start:end], at, page)))
        elif token.type == "footnote_ref":
            edits.append((start, end, f"<sup>{token.meta['label']}</sup>"))
        elif token.type == "link_open":
            edits += _link(token, text, at, page)
        elif token.type == "substitution_inline":
            raise _error(line, f"substitution {{{{{token.content}}}}} is not known")
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _role(token: Token, written: str, line: int, page: _Page) -> str:
    name = token.meta["name"]
    if name not in ROLES:
        raise _error(line, f"role {{{name}}} is not known to the notebook converter")
    # The token's content has spaces for newlines, and so keeps the ">" of a quotation's margin.
    content = re.sub(r"\s*\n[>\s]*", " ", written[len(name) + 2 :].strip("`"))
    return ROLES[name](_Role(name, content.strip(), line), page)


def _link(token: Token, text: str, line: int, page: _Page) -> list[tuple[int, int, str]]:
    """A link keeps its address only if that leads somewhere from the reader's own machine."""
    href = str(token.attrs["href"])
    is_web = re.match(r"(https?|mailto):", href)
    if token.info == "auto":
        if not is_web:
            raise _error(line, f"link <{href}> is not known to the notebook converter")
        return []
    (start, end), text_end = token.meta["place"], token.meta["text_end"]
    if is_web:  # a [text][reference] would be lost where its definition is in another cell
        return [] if text[end - 1] == ")" else [(text_end, end, f"]({href})")]
    if text[start + 1 : text_end].strip():
        return [(start, start + 1, ""), (text_end, end, "")]
    if re.search(r"\.md(#.*)?$", href):
        return [(start, end, page.page_title(href, line))]
    return [(start, end, page.find(href.removeprefix("#"), line).title)]


def _keys(role: _Role, page: _Page) -> list[str]:
    keys = [key.strip() for key in role.content.split(",")]
    page.cited.update(keys)
    return [_look_up(page.book.references, key, "reference", role.line) for key in keys]


def _cite_in_sentence(role: _Role, page: _Page) -> str:
    return ", ".join(_keys(role, page))


def _cite_in_parentheses(role: _Role, page: _Page) -> str:
    """From "Vaswani et al. (2017)" to "(Vaswani et al., 2017)"."""
    inner = [re.sub(r" \(([^()]*)\)$", r", \1", name) for name in _keys(role, page)]
    return f"({'; '.join(inner)})"


def _glued_name(name: str) -> str:
    """In a notebook the cell that measures a number prints it under this name."""
    return f"`{name}`"


def _glue(role: _Role, page: _Page) -> str:
    return _glued_name(role.content.partition(":")[0])


def _doc(role: _Role, page: _Page) -> str:
    return role.text or page.page_title(role.target, role.line)


def _ref(role: _Role, page: _Page) -> str:
    return role.text or page.find(role.target, role.line).title


def _numref(role: _Role, page: _Page) -> str:
    landmark = page.find(role.target, role.line)
    if not landmark.number:
        return landmark.title
    return re.sub(r"%s|\{number\}", landmark.number, role.text) or landmark.title


def _as_is(role: _Role, page: _Page) -> str:
    return role.content


def _inline_math(role: _Role, page: _Page) -> str:
    return f"${role.content}$"


def _inline_code(role: _Role, page: _Page) -> str:
    """A name of Python's or a snippet; ``~`` asks Sphinx for the last part of a dotted name."""
    name = role.text or role.target
    return f"`{name.rpartition('.')[2] if name.startswith('~') else name}`"


def _literal(role: _Role, page: _Page) -> str:
    return f"`{role.content}`"


def _emphasis(role: _Role, page: _Page) -> str:
    return f"*{role.text or role.target}*"


def _words(role: _Role, page: _Page) -> str:
    return role.text or role.target


def _html(role: _Role, page: _Page) -> str:
    return f"<{role.name}>{html.escape(role.content, quote=False)}</{role.name}>"


PYTHON_NAMES = ["attr", "class", "data", "exc", "func", "meth", "mod", "obj"]

ROLES: dict[str, Callable[[_Role, _Page], str]] = {
    "cite": _cite_in_parentheses,
    "cite:p": _cite_in_parentheses,
    "cite:t": _cite_in_sentence,
    "doc": _doc,
    "ref": _ref,
    "prf:ref": _ref,
    "numref": _numref,
    "eq": _ref,
    "math:numref": _ref,
    "math": _inline_math,
    "abbr": _as_is,
    "term": _emphasis,
    "download": _words,
    **dict.fromkeys(["kbd", "sub", "sup"], _html),
    **dict.fromkeys(["glue", "glue:", "glue:any", "glue:md", "glue:text"], _glue),
    **dict.fromkeys(["code", "command", "envvar", "file", "literal"], _literal),
    **dict.fromkeys([*PYTHON_NAMES, *(f"py:{name}" for name in PYTHON_NAMES)], _inline_code),
}
