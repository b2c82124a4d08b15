"""The published site: the newest state of the book, and every version that was released.

Each version has a folder, and each of its pages says that there is a newer one. The page of
versions lists them, with the verdicts that changed from one to the next.

python -m attention_limits_book.site _build/html _build/releases _build/site
"""

import html
import re
import shutil
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from packaging.version import Version

from attention_limits_book import command, mathematics
from attention_limits_book.addresses import TAG
from attention_limits_book.versions import LEDGER, LISTED_HERE, PAGE, Ledger, changes

ARCHIVE = "book.tar.gz"  # of a release: the built book
# Files of the root, which search engines and servers look for there and nowhere else.
OF_THE_ROOT = ("404.html", "sitemap.xml", ".nojekyll")
# What an old version's own page of versions becomes: it knew of none that came after.
MOVED = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Versions</title>
<meta http-equiv="refresh" content="0; url=../versions.html"></head>
<body><a href="../versions.html">Versions of the book</a></body></html>
"""


def lay(book: Path, releases: Path, site: Path) -> list[str]:
    """Lay the site into a folder, in the place of what is there.

    Args:
        book: the book's HTML, built with an address.
        releases: a folder with one for each release, named by its tag, with its ``ARCHIVE``.
        site: where all of it is laid.

    Returns:
        The versions that the site holds beside the newest state, newest first.

    Raises:
        ValueError: for a book or an archive that is not whole, or a release that is none.
        OSError: if the folder cannot be written.
    """
    if not (book / f"{PAGE}.html").is_file():
        raise ValueError(
            f"there is no page of versions in {book}: set repository.url, and build the book"
        )
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(book, site)
    ledgers = [Ledger.read(site / LEDGER)]
    for version, archive in newest(releases).items():
        _unpack(archive, site / version)
        ledgers.append(Ledger.read(site / version / LEDGER, version))
        _mark_as_old(site / version, version)
    page = site / f"{PAGE}.html"
    text = page.read_text(encoding="utf-8")
    text = mathematics.with_style(text.replace(LISTED_HERE, listed(ledgers)), "")
    page.write_text(text, encoding="utf-8")
    return [ledger.version for ledger in ledgers[1:]]


def newest(releases: Path) -> dict[str, Path]:
    """The archive of each version, newest first; one that mends another takes its place."""
    archives = {path.parent.name: path for path in releases.glob(f"*/{ARCHIVE}")}
    found: dict[str, Path] = {}
    for tag in sorted(archives, key=_number):
        match = TAG.fullmatch(tag)
        assert match is not None  # or it had no number
        found[match[1]] = archives[tag]
    return dict(reversed(found.items()))


def _number(tag: str) -> Version:
    if not TAG.fullmatch(tag):
        raise ValueError(f"a release must be named as in v0.2 or v0.2.1, got {tag!r}")
    return Version(tag)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise ValueError(f"{archive} must be the book of a release: {error}") from error
    if not (folder / "index.html").is_file():
        raise ValueError(f"{archive} must hold the built book, and has no index.html")


def _mark_as_old(folder: Path, version: str) -> None:
    """Say on each of its pages that there is a newer one, and leave to the root what is its own."""
    for name in OF_THE_ROOT:
        (folder / name).unlink(missing_ok=True)
    for path in folder.rglob("*.html"):
        start, body, rest = path.read_text(encoding="utf-8").partition("<body")
        attributes, end, content = rest.partition(">")
        if body:
            root = "../" * (len(path.relative_to(folder).parts))
            line = (
                f'<p class="old-version" role="note">You read version {version[1:]} of the book. '
                f'<a href="{root}index.html">There is a newer one.</a></p>'
            )
            path.write_text(f"{start}{body}{attributes}{end}{line}{content}", encoding="utf-8")
    (folder / f"{PAGE}.html").write_text(MOVED, encoding="utf-8")


def listed(ledgers: Sequence[Ledger]) -> str:
    """The versions, newest first, each with the verdicts that changed since the one before."""
    parts = []
    for new, old in zip(ledgers, [*ledgers[1:], None], strict=True):
        name = f"Version {new.version[1:]}" if new.version else "The newest state"
        parts.append(f'<h2><a href="{new.folder}index.html">{name}</a></h2>')
        parts.append(_changed(old, new) if old else f"<p>{len(new.claims)} claims.</p>")
    return "\n".join(parts)


def _changed(old: Ledger, new: Ledger) -> str:
    found = changes(old, new)
    if not found:
        return f"<p>All {len(new.claims)} verdicts are those of version {old.version[1:]}.</p>"
    rows = "\n".join(
        f"<tr><td>{_in_html(change.statement)}</td>"
        f"<td>{_verdict(old, change.claim)}</td><td>{_verdict(new, change.claim)}</td></tr>"
        for change in found
    )
    after = f"in {new.version[1:]}" if new.version else "now"
    return (
        f"<p>Of {len(new.claims)} claims, these have another verdict than in version "
        f'{old.version[1:]}.</p>\n<div class="pst-scrollable-table-container"><table class="table">'
        f"<thead><tr><th>Claim</th><th>in {old.version[1:]}</th><th>{after}</th></tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _in_html(statement: str) -> str:
    pieces = [
        mathematics.TYPESETTER.set(piece).html if i % 2 else html.escape(piece, quote=False)
        for i, piece in enumerate(statement.split("$"))
    ]
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", "".join(pieces))


def _verdict(ledger: Ledger, name: str) -> str:
    """A claim's verdict in one version, linked to where that argues it."""
    claim = ledger.claims.get(name)
    if claim is None:
        return "no claim"
    if not claim["page"]:
        return claim["verdict"]
    return f'<a href="{ledger.folder}{claim["page"]}.html#claim-{name}">{claim["verdict"]}</a>'


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = command.parser(__doc__)
    parser.add_argument("book", type=Path, help="the book's HTML")
    parser.add_argument("releases", type=Path, help=f"a folder for each release, with {ARCHIVE}")
    parser.add_argument("site", type=Path, help="where the site is laid, anew")
    given = parser.parse_args(arguments)

    def made() -> str:
        found = lay(given.book, given.releases, given.site)
        return f"The site is in {given.site}: {', '.join(['the newest state', *found])}"

    return command.run(made)


if __name__ == "__main__":
    sys.exit(main())
