"""What the reader believes of a claim before it is argued: asked on pages, kept on her device.

A page says which claims it asks about. ``beliefs.js`` draws the question, so that no page shows a
control that does nothing; without JavaScript the claims stand there all the same.
"""

import html
import json
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from attention_limits import claims, closure
from attention_limits_book.directive import Faces
from attention_limits_book.notebooks.blocks import quote
from attention_limits_book.notebooks.inline import inline
from attention_limits_book.notebooks.page import Page, look_up
from attention_limits_book.notebooks.syntax import Directive

QUESTION = "What do you believe: does it hold, is it qualified, or false?"


class Believe(SphinxDirective):
    """``{believe} id``: a claim without its verdict, and the question what the reader believes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build the box, or fail the build for an id that the ledger lacks."""
        claim = _claims(self.env).get(self.arguments[0])
        if claim is None:
            raise self.error(f"there is no claim {self.arguments[0]!r} in the ledger")
        return [self._asked(claim, f"**Claim.** {claim.statement}")]

    def _asked(self, claim: claims.Claim, words: str) -> nodes.container:
        box = nodes.container(classes=["at-stake"])
        box += self.parse_text_to_nodes(words)
        box += _place(f'class="belief" data-claim="{html.escape(claim.id)}"')
        return box


class ClaimsAtStake(Believe):
    """``{claims-at-stake} chapter``: all claims of a chapter, each with the same question."""

    def run(self) -> list[nodes.Node]:
        """Build the boxes, each argued claim linked to where it is argued."""
        chapter = self.arguments[0]
        found = [claim for claim in _claims(self.env).values() if claim.chapter == chapter]
        if not found:
            raise self.error(f"there is no claim of chapter {chapter!r} in the ledger")
        boxes: list[nodes.Node] = []
        for claim in found:
            box = self._asked(claim, _linked(claim))
            box["ids"].append(f"claim-{claim.id}")  # where links to a page that was split now lead
            boxes.append(box)
        return boxes


class BeliefScore(SphinxDirective):
    """``{belief-score}``: how often what the reader said agrees with the verdicts."""

    def run(self) -> list[nodes.Node]:
        """Leave the place, and the verdicts to compare with."""
        argued = {c.id: c.verdict for c in _claims(self.env).values() if c.verdict != "open"}
        return [_place(f"class=\"belief-score\" data-verdicts='{json.dumps(argued)}'")]


def _claims(env: Any) -> dict[str, claims.Claim]:
    if env.config.claims_file:
        env.note_dependency(env.config.claims_file)
    return env.claims


def _place(attributes: str) -> nodes.raw:
    """Where the script draws; hidden until it has."""
    return nodes.raw("", f"<div {attributes} hidden></div>", format="html")


def _linked(claim: claims.Claim) -> str:
    """A claim's statement, and the way to its card if there is one."""
    where = f" {{ref}}`Argued here <claim-{claim.id}>`." if claim.verdict != "open" else ""
    return claim.statement + where


# --- In notebooks -------------------------------------------------------------------------------


def _believe_in_notebook(directive: Directive, page: Page) -> str:
    claim = look_up(page.book.claims, directive.argument, "claim", directive.line)
    return quote(f"**Claim.** {_statement(claim, directive.line, page)}", QUESTION)


def _at_stake_in_notebook(directive: Directive, page: Page) -> str:
    chapter = directive.argument
    found = [claim for claim in page.book.claims.values() if claim["chapter"] == chapter]
    lines = (f"- {_statement(claim, directive.line, page)}" for claim in found)
    return "\n".join([*lines, "", QUESTION])


def _statement(claim: Any, line: int, page: Page) -> str:
    return inline(" ".join(claim["statement"].split()), line, page)


def _nothing_in_notebook(directive: Directive, page: Page) -> str:
    return ""


DIRECTIVES = {
    "believe": Faces(Believe, _believe_in_notebook, lambda: (closure.LEDGER,)),
    "claims-at-stake": Faces(ClaimsAtStake, _at_stake_in_notebook, lambda: (closure.LEDGER,)),
    "belief-score": Faces(BeliefScore, _nothing_in_notebook, lambda: (closure.LEDGER,)),
}
