"""Claim cards and the table of verdicts, both made from the ledger and its evidence.

Each build gathers the evidence anew when anything that it depends on has changed, and fails if a
verdict is not borne out.
"""

import functools
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains import ObjType
from sphinx.domains.std import StandardDomain
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from attention_limits import claims, closure
from attention_limits_book.directive import Faces
from attention_limits_book.notebooks.blocks import body, details, quote
from attention_limits_book.notebooks.inline import inline
from attention_limits_book.notebooks.page import Page, look_up
from attention_limits_book.notebooks.syntax import Directive, error_at
from attention_limits_book.publishing import plain_text

# How words are spelled that a function's name cannot hold.
SPELLED = {"pytorchs": "PyTorch's", "flops": "FLOPs", "bptt": "BPTT", "vjp": "VJP"} | {
    "newton": "Newton", "jacobian": "Jacobian", "jacobians": "Jacobians", "softmaxs": "softmax's"
}  # fmt: skip

LOG = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Register the gates behind the directives ``claim`` and ``verdict-table``."""
    app.add_config_value("claims_file", None, "env", [str, type(None)])
    app.add_config_value("claims_jobs", None, "", [int, type(None)])  # None: one a core
    gathering = _Gathering()
    app.connect("builder-inited", _let_claims_be_found)
    app.connect("env-before-read-docs", gathering.begin, priority=400)
    app.connect("env-before-read-docs", gathering.collect, priority=600)


def _let_claims_be_found(app: Sphinx) -> None:
    """A claim is a thing that has a name, its statement, by which the search finds the card.

    As a result it is of the least weight, for a word has many claims; ``scorer.js`` has it come
    first where several words of it were typed.
    """
    app.env.get_domain("std").add_object_type("claim", ObjType("claim", searchprio=2))


class _Gathering:
    """The evidence of a build, gathered while cells run: a piece that both want runs once."""

    def __init__(self) -> None:
        self.results: Iterator[claims.Result] = iter(())

    def begin(self, app: Sphinx, env, docnames: list[str]) -> None:
        """Read the ledger, and set to work on the evidence.

        Pages that show claims are read again when a claim or its evidence has changed; where no
        page is read, nothing has.
        """
        if not docnames and hasattr(env, "claim_results"):
            return
        path = app.config.claims_file and Path(app.srcdir, app.config.claims_file)
        try:
            env.claims = claims.load(path)
        except ValueError as error:
            raise ExtensionError(str(error)) from error
        env.claim_results = {name: [] for name in env.claims}
        results = claims.verify_all(env.claims.values(), jobs=app.config.claims_jobs)
        first = list(itertools.islice(results, 1))  # asked for, it sets all others to work
        self.results = itertools.chain(first, results)

    def collect(self, app: Sphinx, env, docnames: list[str]) -> None:
        """Note what came of each piece, and warn of each that does not hold."""
        for result in self.results:
            env.claim_results[result.claim].append(result.to_dict())
            if not result.ok:
                LOG.warning("claim %s: %s: %s", result.claim, result.name, result.detail)


def _ledger(env) -> dict[str, claims.Claim]:
    """The ledger, for a page that Sphinx has to read again when the ledger changes.

    The library's own ledger is in the fingerprint already, with the rest of the library.
    """
    if env.config.claims_file:
        env.note_dependency(env.config.claims_file)
    return env.claims


def _results(env, claim: claims.Claim) -> list[dict]:
    """What came of each piece of a claim."""
    return env.claim_results[claim.id]


class ClaimCard(SphinxDirective):
    """``{claim} id``: the claim, its verdict, the reason, what it assumes and what it refuses."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Build the card, or fail the build for an id that the ledger lacks."""
        claim = _ledger(self.env).get(self.arguments[0])
        if claim is None:
            raise self.error(f"there is no claim {self.arguments[0]!r} in the ledger")
        card = nodes.container(classes=["claim", f"claim-{claim.verdict}"])
        label = f"claim-{claim.id}"
        card["ids"].append(label)
        standard = cast(StandardDomain, self.env.get_domain("std"))
        standard.note_hyperlink_target(label, self.env.docname, label, claim.statement)
        statement = "".join(map(plain_text, self.parse_text_to_nodes(claim.statement)))
        standard.note_object("claim", statement, label, location=self.get_location())
        card += self.parse_text_to_nodes(_headline(claim))
        for text in (claim.reason, _assumes(claim.assumes)):
            card += self.parse_text_to_nodes(text)
        card += _folded(self, _results(self.env, claim), found=False)  # the chapter has shown it
        card += self.parse_text_to_nodes(_sources(claim))
        self.state.nested_parse(self.content, self.content_offset, card)
        return [card]


def _folded(directive: SphinxDirective, results: list[dict], *, found: bool) -> list[nodes.Node]:
    """The pieces behind one line, which says how many there are and that they passed."""
    before = f'<details class="checks"><summary>{_summary(results)}</summary>'
    pieces = directive.parse_text_to_nodes(_pieces(results, found=found))
    return [
        nodes.raw("", before, format="html"),
        nodes.container("", *pieces, classes=["pieces"]),
        nodes.raw("", "</details>", format="html"),
    ]


class VerdictTable(SphinxDirective):
    """``{verdict-table}``: every claim of the ledger, by chapter, with what carries its verdict."""

    def run(self) -> list[nodes.Node]:
        """Build the table, each argued claim linked to its card."""
        ledger = _ledger(self.env).values()
        by_chapter = defaultdict(list)
        for claim in ledger:
            by_chapter[claim.chapter].append(claim)
        table = self.parse_text_to_nodes(f"{len(ledger)} claims; {_counted(ledger)}.")
        contents = nodes.bullet_list()
        for chapter, group in by_chapter.items():
            title = chapter.replace("-", " ").capitalize()
            place = f"verdicts-{chapter}"
            way = nodes.reference("", title, refid=place, internal=True)
            words = nodes.Text(f" ({len(group)}; {_counted(group)})")
            contents += nodes.list_item("", nodes.paragraph("", "", way, words))
            section = nodes.section("", nodes.title("", title), ids=[place])
            section += [self._row(claim) for claim in group]
            table.append(section)
        return [table[0], contents, *table[1:]]

    def _row(self, claim: claims.Claim) -> nodes.Node:
        row = nodes.container(classes=["claim-row"])
        row += self.parse_text_to_nodes(_headline(claim))
        if claim.verdict != "open":
            # The reference fails the build, should no chapter show the claim.
            link = f"{claim.reason} {{ref}}`Argued here <claim-{claim.id}>`."
            row += self.parse_text_to_nodes(link)
            row += self.parse_text_to_nodes(_assumes(claim.assumes))
            row += _folded(self, _results(self.env, claim), found=True)
        row += self.parse_text_to_nodes(_sources(claim))
        return row


def _counted(group: Collection[claims.Claim]) -> str:
    """How many have which verdict, as in "holds: 2, open: 1"."""
    counts = Counter(claim.verdict for claim in group)
    return ", ".join(f"{name}: {counts[name]}" for name in claims.VERDICTS if counts[name])


def _headline(claim: claims.Claim) -> str:
    return f'<span class="verdict verdict-{claim.verdict}">{claim.verdict}</span> {claim.statement}'


def _sources(claim: claims.Claim) -> str:
    return f"Sources: {{cite:t}}`{','.join(claim.citations)}`" if claim.citations else ""


def _assumes(assumptions: Sequence[str]) -> str:
    return f"**Assumes:** {'; '.join(assumptions)}." if assumptions else ""


def _summary(results: Sequence[Mapping]) -> str:
    """How many pieces passed, and how many of those that measure have a rival to refuse."""
    passed = sum(result["ok"] for result in results)
    count = "1 check" if len(results) == 1 else f"{len(results)} checks"
    measured = [result for result in results if result["kind"] == "evidence"]
    severe = sum(bool(result["rivals"]) for result in measured)
    each = {
        len(measured): "each piece of evidence refuses its rivals",
        0: "no piece of evidence names a rival yet",
    }
    refusing = each.get(severe, f"{severe} of {len(measured)} pieces of evidence refuse a rival")
    return f"{count}, {'all passed' if passed == len(results) else f'{passed} passed'}; {refusing}"


def _pieces(results: Sequence[Mapping], *, found: bool) -> str:
    """A list of pieces: what each would have given for its rivals and, if asked, what it found.

    A chapter has shown on the same page what was found.
    """
    lines = []
    for result in results:
        shown = found or not result["ok"] or result["kind"] == "derivation"
        detail = " ".join(result["detail"].split()) if shown else ""
        mark, words = "✓" if result["ok"] else "✗", _in_words(result["name"])
        lines.append(f"- {mark} {words}: {detail}" if detail else f"- {mark} {words}")
        lines += [f"  - {claims.would_read(rival)}" for rival in result["rivals"]]
    return "\n".join(lines)


def _in_words(name: str) -> str:
    """What a piece is about: the name of its function is a sentence without its spaces."""
    words = name.rpartition(".")[2].split("_")
    return " ".join(SPELLED.get(word, word) for word in words)


# --- In notebooks -------------------------------------------------------------------------------


def _claim_in_notebook(directive: Directive, page: Page) -> str:
    claim = look_up(page.book.claims, directive.argument, "claim", directive.line)
    statement, reason = (
        _claim_text(claim, part, directive.line, page) for part in ("statement", "reason")
    )
    results = claim.get("results", ())
    listed = _pieces(results, found=False).split("\n")
    pieces = "\n".join(inline(line, directive.line, page) for line in listed)
    card = page.address("label", f"claim-{directive.argument}")
    return quote(
        f"**{f'[Claim]({card})' if card else 'Claim'}.** {statement}",
        f"**Verdict: {claim['verdict']}.** {reason}".rstrip(),
        inline(_assumes(claim.get("assumes", ())), directive.line, page),
        details(_summary(results), pieces) if results else "",
        body(directive, page),
    )


def _claim_text(claim: Mapping, part: str, line: int, page: Page) -> str:
    return inline(" ".join((claim.get(part) or "").split()), line, page)


def _verdicts_in_notebook(directive: Directive, page: Page) -> str:
    if directive.argument or directive.options:
        raise error_at(directive.line, "directive {verdict-table} takes no argument and no option")
    rows = ["| Claim | Verdict | Why |", "|---|---|---|"]
    for name, claim in page.book.claims.items():
        statement, reason = (
            _table_cell(_claim_text(claim, part, directive.line, page))
            for part in ("statement", "reason")
        )
        assumes = _table_cell(inline(_assumes(claim.get("assumes", ())), directive.line, page))
        card = page.address("label", f"claim-{name}")
        verdict = f"[{claim['verdict']}]({card})" if card else claim["verdict"]
        rows.append(f"| {statement} | {verdict} | {f'{reason} {assumes}'.strip()} |")
    return "\n".join(rows)


def _table_cell(text: str) -> str:
    r"""A bar would end the cell: in mathematics it becomes \vert, elsewhere it is escaped."""
    pieces = text.split("$")
    for i, piece in enumerate(pieces):
        if i % 2:
            piece = piece.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
        pieces[i] = re.sub(r"(?<!\\)\|", r"\|", piece)
    return "$".join(pieces)


@functools.cache
def _ledger_and_evidence() -> tuple[str, ...]:
    """The ledger, and what claims may name: the derivations and the evidence of every chapter."""
    chapters = closure.ROOT / "attention_limits" / "chapters"
    found = [
        *chapters.glob("*/derivations.py"),
        *chapters.glob("*/derivations/*.py"),
        *chapters.glob("*/evidence/*.py"),
    ]
    relative = (path.relative_to(closure.ROOT).with_suffix("") for path in sorted(found))
    names = (".".join(path.parts).removesuffix(".__init__") for path in relative)
    return (closure.LEDGER, *names)


DIRECTIVES = {
    "claim": Faces(ClaimCard, _claim_in_notebook, _ledger_and_evidence),
    "verdict-table": Faces(VerdictTable, _verdicts_in_notebook, _ledger_and_evidence),
}
