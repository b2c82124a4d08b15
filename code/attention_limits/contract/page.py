"""A report as one file of HTML, which needs no network and follows the reader's light or dark."""

import html
import re
from collections.abc import Iterable

from attention_limits.contract.findings import Line, Report
from attention_limits.style import Figure

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --page: #fff; --quiet: #57606a; --line: #d0d7de;
  --failed: #b83d00; --passed: #006b4f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --page: #14181f; --quiet: #a3adba;
  --line: #3a424d; --failed: #ff9a5c; --passed: #3fd0a4; } }
body { font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 46rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
dl { margin: 0; } dt { margin-top: .9rem; padding-top: .9rem; border-top: 1px solid var(--line); }
dt b { margin-right: .4rem; } dd { margin: .2rem 0 0; } dd span { color: var(--quiet); }
.failed dt b, p.failed { color: var(--failed); } .passed dt b, p.passed { color: var(--passed); }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption { color: var(--quiet); font-size: .9rem; }
"""


def page(report: Report, figures: Iterable[Figure]) -> str:
    """The whole page.

    Args:
        report: what was found.
        figures: its pictures.
    """
    name = html.escape(report.name)
    verdict = "failed" if report.failed else "passed"
    words = f"Failed: {', '.join(report.failed)}." if report.failed else "Nothing failed."
    # What failed comes first: who opens this page looks for it.
    lines = sorted(report.lines(), key=lambda line: line.finding.status != "failed")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: {html.escape(words)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><h1>{name}, held to the contract</h1>\n"
        f'<p class="{verdict}"><b>{html.escape(words)}</b></p><p>{report.summary()}.</p>\n'
        f"<h2>Checks</h2>\n{''.join(map(_entry, lines))}"
        f"<h2>Pictures</h2>\n{''.join(figure._repr_html_() for figure in figures)}"
        "</main></body></html>\n"
    )


def _words(words: str) -> str:
    """What stands in backquotes is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(words))


def _entry(line: Line) -> str:
    """One check: its name and how it ended, then what there is to say."""
    finding = line.finding
    parts = {"": finding.found}
    if finding.status == "failed":
        parts = {"expected": finding.expected, "found": finding.found}
        parts |= {"smallest input": finding.smallest} if finding.smallest else {}
    said = "".join(
        f"<dd>{f'<span>{name}:</span> ' if name else ''}{_words(words)}</dd>"
        for name, words in parts.items()
    )
    return (
        f'<dl class="{finding.status.replace(" ", "-")}"><dt><b>{html.escape(line.heading)}</b>'
        f"<span>{finding.status}</span></dt>{said}</dl>\n"
    )
