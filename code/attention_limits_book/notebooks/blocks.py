"""Blocks of MyST as plain Markdown."""

import html
import re

from markdown_it.token import Token

from attention_limits_book.notebooks.inline import inline
from attention_limits_book.notebooks.page import Face, Landmark, Page
from attention_limits_book.notebooks.syntax import (
    Directive,
    Part,
    code_options,
    directive_name,
    error_at,
    parse,
    read_directive,
)


def markdown(part: Part, page: Page) -> str:
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
            text = inline("\n".join(lines), line, page)
            if part.tokens[i - 1].type == "heading_open":
                page.remember(Landmark(inline(token.content, line, page, links=False)))
            page.pending.clear()
            output += [*part.lines[done:first], *text.split("\n")]
            done = last
        elif token.type == "footnote_reference_open":
            _check_footnote(part.tokens[i + 1 : i + 5], line)
        elif (block := _block(token, lines, line, page)) is not None:
            output += part.lines[done:first]
            margin = lines[0][: lines[0].index(_mark(token))]
            _append_block(output, block, margin, "".join(part.lines[last : last + 1]))
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
        raise error_at(line, "a footnote must be a single paragraph")


OPENED, CLOSED = "<details>", "</details>"

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


def _block(token: Token, lines: list[str], line: int, page: Page) -> str | None:
    """What replaces a block; None leaves it (and what is in it) as it is."""
    if token.type == "myst_target":
        page.pending.append(token.content)
        return ""
    if token.type == "substitution_block":
        raise error_at(line, f"substitution {{{{{token.content}}}}} is not known")
    if token.type in ("fence", "colon_fence"):
        text = _fence(token, line, page)
    elif token.type in ("math_block", "math_block_label", "amsmath"):
        margin = lines[0].index(_mark(token))
        text = _math_block(token, "\n".join(row[margin:] for row in lines), page)
    else:
        return "" if token.type in MARKS else None
    page.pending.clear()
    return text


def _math_block(token: Token, text: str, page: Page) -> str | None:
    if token.type == "amsmath":  # a bare environment: outside Sphinx not every reader sees it
        return _displayed(text)
    match = re.match(r"\$\$(.*)\$\$", text, re.DOTALL)
    assert match is not None  # or it were no such block
    tex = match[1].strip("\n")
    equation = _equation(tex, token.info, page)
    return None if equation == _displayed(tex) else equation


def _displayed(tex: str) -> str:
    return f"$$\n{tex}\n$$"


def _equation(tex: str, label: str, page: Page) -> str:
    """Display mathematics as Sphinx sets it: rows aligned, and a number where there is a label."""
    tex = re.sub(r"\n\s*\n", "\\\\\\\\\n", tex.strip("\n"))  # an empty line begins a new row
    outside = re.sub(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", "", tex, flags=re.DOTALL)
    if r"\\" in outside:
        tex = f"\\begin{{aligned}}\n{tex}\n\\end{{aligned}}"
    if label:
        number = page.count("equation")
        page.remember(Landmark(f"({number})", number), label)
        # Within align and its kin a tag belongs to a row; after any other formula, to the whole.
        match = re.search(r"(\\end\{(align|gather|equation|multline|flalign)\*?\})?\s*$", tex)
        assert match is not None  # at the end nothing matches, too
        end = match.start()
        tex = f"{tex[:end].rstrip()} \\tag{{{number}}}{tex[end:].rstrip()}"
    return _displayed(tex)


def _fence(token: Token, line: int, page: Page) -> str | None:
    """What replaces a fence: a directive is looked up, a listing in some language is left."""
    name = directive_name(token)
    if name is None:
        if token.type == "fence":
            return None
        raise error_at(line, "a fence of colons must name a directive")
    if name == "code-cell" and is_solution(token, line):
        _, code = code_options(token.content, line)
        return "\n".join(["```python", *code, "```"])
    face = OF_SPHINX.get(name) or page.book.faces.get(name)
    if face is None:
        problem = f"directive {{{name}}} is not known to the notebook converter"
        raise error_at(line, f"{problem}: say in DIRECTIVES of its module what it becomes")
    return face(read_directive(token, line), page)


def is_solution(token: Token, line: int) -> bool:
    """Whether a code cell solves an exercise: to be read, and not to be run after the stub."""
    metadata, _ = code_options(token.content, line)
    return "solution" in metadata.get("tags", ())


def body(directive: Directive, page: Page) -> str:
    """The body of a directive as plain Markdown."""
    return markdown(parse(directive.body, directive.body_line, page.env), page)


def title(directive: Directive, page: Page) -> str:
    """What stands behind the name of a directive, as plain Markdown that leads nowhere."""
    return inline(directive.argument, directive.line, page, links=False)


def paragraphs(*parts: str) -> str:
    """Those that are not empty, with an empty line between them."""
    return "\n\n".join(filter(None, parts))


def quote(*parts: str) -> str:
    """A box, as far as Markdown has one: a quotation of paragraphs."""
    return "\n".join(f"> {row}".rstrip() for row in paragraphs(*parts).split("\n"))


def details(summary: str, inside: str) -> str:
    """A box to open; within its summary Markdown is not read, so that code there becomes HTML."""
    return paragraphs(opened(summary), inside, CLOSED)


def opened(summary: str) -> str:
    """How such a box begins."""
    summary = re.sub(r"`+(.+?)`+", r"<code>\1</code>", html.escape(summary, quote=False))
    return f"{OPENED}\n<summary>{summary}</summary>"


def _documented(directive: Directive, page: Page) -> str:
    """What the book prints of docstrings, a notebook's own Python prints."""
    rows = []
    for number, row in enumerate(directive.body):
        if match := re.fullmatch(r"\.\. auto\w+:: (\S+)", row):
            address = page.address("py", match[1])
            elsewhere = f", or [its page]({address})" if address else ""
            rows.append(f'- `help("{match[1]}")`{elsewhere}')
        elif not re.match(r" +:\w|\s*$", row):
            problem = f"{row!r} is not known to the notebook converter: docstrings alone are"
            raise error_at(directive.body_line + number, problem)
    return "\n".join(rows)


def _bibliography(directive: Directive, page: Page) -> str:
    """What this page cites, wherever on the page it does."""
    entries = {**page.book.references, **page.book.bibliography}
    cited = page.survey.cited if page.survey else ()
    order = sorted(cited, key=lambda key: (page.book.references[key].casefold(), key))
    return "\n".join(f"- {entries[key]}" for key in order)


# The directives of Sphinx itself. Those of the book come from ``attention_limits_book.faces``.
OF_SPHINX: dict[str, Face] = {"bibliography": _bibliography, "eval-rst": _documented}
