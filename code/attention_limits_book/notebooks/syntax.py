"""MyST's own parser, which finds the blocks and the inline constructs and says where they stand."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

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

# What _config.yml enables and a chapter may use.
SYNTAX = frozenset({"amsmath", "colon_fence", "dollarmath", "tasklist"})
NOT_RUN = "skip-execution"  # the tag of a cell that a build shows and does not run: nbclient's own
MAY_RAISE = "raises-exception"  # Jupyter's own: what stands below such a cell runs all the same


@cache
def parser() -> MarkdownIt:
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


class Part(NamedTuple):
    """Some blocks of a text: their tokens, and the lines from ``start`` to ``stop`` they are in."""

    tokens: list[Token]
    lines: list[str]
    start: int
    stop: int
    line: int  # where in the source the first of all ``lines`` stands


def parse(lines: list[str], line: int, env: dict) -> Part:
    """A whole text, be it a page or a directive's body; ``env`` collects what it defines."""
    tokens = parser().parse("\n".join(lines), env)
    return Part(tokens, lines, 0, len(lines), line)


@dataclass(frozen=True)
class Directive:
    """A directive as it was written; ``line`` is its first line, ``body_line`` its body's."""

    name: str
    argument: str
    options: Mapping[str, str]
    body: list[str]
    line: int
    body_line: int


def directive_name(token: Token) -> str | None:
    """The name in braces that makes a fence a directive; None for any other block."""
    match = re.match(r"\{([^}\s]+)\}", token.info.strip())
    return match and match[1]


def split_options(content: str) -> tuple[str, list[str], int]:
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


def read_directive(token: Token, line: int) -> Directive:
    """The directive that a fence, whose first line is ``line``, spells out.

    Raises:
        ValueError: naming the line, if its options cannot be read.
    """
    name = directive_name(token) or ""
    options, body, above = split_options(token.content)
    try:
        items, _ = options_to_items(options)
    except TokenizeError as problem:
        raise error_at(line, f"directive {{{name}}} has options that cannot be read") from problem
    argument = token.info.strip()[len(name) + 2 :].strip()
    return Directive(name, argument, dict(items), body, line, line + 1 + above)


def code_options(content: str, line: int) -> tuple[dict, list[str]]:
    """The options of a code cell, its tags as a list, and its code line by line."""
    options, body, _ = split_options(content)
    try:
        metadata = yaml.safe_load(options) or {}
    except yaml.YAMLError as problem:
        raise error_at(line, "directive {code-cell} has options that are not YAML") from problem
    if isinstance(metadata.get("tags"), str):
        metadata["tags"] = re.split(r"[,\s]+", metadata["tags"].strip())
    return metadata, body


def error_at(line: int, problem: str) -> ValueError:
    """What is wrong, and in which line of the page."""
    return ValueError(f"line {line}: {problem}")
