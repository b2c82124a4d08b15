"""The verdicts of each version of the book, to be compared with those of another.

A build leaves its verdicts in a file beside its pages, and a release keeps both. In a book that is
published, each page leads to a page of versions, which ``site`` fills in.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain

from attention_limits_book.addresses import Addresses

LEDGER = "verdicts.json"  # at the root of the built book: what each claim came to
PAGE = "versions"
LISTED_HERE = "<!-- versions -->"
ABOUT = """<h1>Versions</h1>
<p>What is published changes as the book grows. Each version that was released stays where it was,
with the verdicts that it reached.</p>
"""


@dataclass(frozen=True)
class Ledger:
    """The verdicts of one version.

    Args:
        version: its name, as in ``v0.2``; "" for the newest state.
        claims: of each claim, by its id, ``statement``, ``verdict`` and ``page``.
    """

    version: str
    claims: dict[str, dict[str, str]]

    @classmethod
    def read(cls, path: Path, version: str = "") -> "Ledger":
        """One that a build has left.

        Raises:
            ValueError: if the file holds no ledger.
            OSError: if it cannot be read.
        """
        try:
            return cls(version, json.loads(path.read_text(encoding="utf-8"))["claims"])
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} must hold the verdicts of a build: {error!r}") from None

    @property
    def folder(self) -> str:
        """Where its pages are, as seen from the root of the site."""
        return f"{self.version}/" if self.version else ""


@dataclass(frozen=True)
class Change:
    """A claim whose verdict changed; ``before`` is "" for a new claim, ``after`` for one gone."""

    claim: str
    statement: str
    before: str
    after: str


def changes(old: Ledger, new: Ledger) -> list[Change]:
    """What became of the claims between two versions, in the order of the newer ledger."""
    found = []
    for name in [*new.claims, *(name for name in old.claims if name not in new.claims)]:
        before, after = (ledger.claims.get(name, {}).get("verdict", "") for ledger in (old, new))
        if before != after:
            statement = (new.claims.get(name) or old.claims[name])["statement"]
            found.append(Change(name, statement, before, after))
    return found


# --- In a build ---------------------------------------------------------------------------------


def setup(app: Sphinx) -> None:
    """Register the ledger that a build leaves and, in a book that is published, the page."""
    app.connect("html-collect-pages", _page)
    app.connect("html-page-context", _link)
    app.connect("build-finished", _leave_ledger)


def _page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    if app.config.book_addresses:
        yield PAGE, {"title": "Versions", "body": ABOUT + LISTED_HERE}, "page.html"


def _link(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    published: Addresses | None = app.config.book_addresses
    if published:
        which = f"Version {published.version[1:]}" if published.version else "The newest state"
        link = f'<a href="{context["pathto"](PAGE)}">Other versions</a>'
        context["theme_extra_footer"] = f"<p>{which} of the book. {link}</p>"


def _leave_ledger(app: Sphinx, exception: Exception | None) -> None:
    if not app.config.book_addresses:  # and had one when it was built before
        Path(app.outdir, f"{PAGE}.html").unlink(missing_ok=True)
    if exception is not None or app.builder.format != "html":
        return
    env: Any = app.env  # where ``claims`` has put the ledger
    labels = cast(StandardDomain, env.get_domain("std")).anonlabels
    claims = {
        claim.id: {
            "statement": " ".join(claim.statement.split()),
            "verdict": claim.verdict,
            "page": labels.get(f"claim-{claim.id}", ("",))[0],
        }
        for claim in getattr(env, "claims", {}).values()
    }
    left = {"version": metadata.version("attention-limits"), "claims": claims}
    text = json.dumps(left, ensure_ascii=False, indent=1)
    Path(app.outdir, LEDGER).write_text(f"{text}\n", encoding="utf-8")
