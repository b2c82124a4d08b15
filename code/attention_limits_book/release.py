"""What a release consists of: the book, its PDF and verdicts, the package, and what changed.

python -m attention_limits_book.release v0.2.0                 whether all files agree on it
python -m attention_limits_book.release v0.2.0 _build/release
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import yaml
from packaging.version import Version

from attention_limits_book import command
from attention_limits_book.addresses import TAG
from attention_limits_book.site import ARCHIVE
from attention_limits_book.versions import LEDGER, Ledger, changes

NOTES = "notes.md"


def check(tag: str, root: Path) -> None:
    """Refuse a tag that is not the version which everything else names, on the commit at hand.

    Raises:
        ValueError: for a tag that is none, a file that names another version or lacks this one, and
            for what ``check_commit`` refuses.
    """
    if not TAG.fullmatch(tag):
        raise ValueError(f"the tag must be as in v0.2 or v0.2.1, got {tag!r}")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    for name, version in (("pyproject.toml", project), ("CITATION.cff", citation)):
        if (found := str(version["version"])) != tag[1:]:
            raise ValueError(f"{name} must say version {tag[1:]}, as the tag does; it says {found}")
    section((root / "CHANGELOG.md").read_text(encoding="utf-8"), tag)
    check_commit(tag, root)


def check_commit(tag: str, root: Path) -> None:
    """Refuse files that are edited, and a tag that is on another commit; it need not exist yet.

    A folder without a history, as from an archive, has nothing that could differ.

    Raises:
        ValueError: saying which files, or which commit.
    """

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )

    edited = git("status", "--porcelain", "--untracked-files=no")
    if edited.returncode:
        return
    if lines := edited.stdout.split("\n")[:-1]:
        names = ", ".join(line[3:] for line in lines)
        raise ValueError(f"a release is made of what is committed; edited since: {names}")
    head = git("rev-parse", "HEAD").stdout.strip()
    tagged = git("rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}").stdout.strip()
    if tagged and tagged != head:
        raise ValueError(f"{tag} must be on the commit {head[:7]} that is here, not {tagged[:7]}")


def section(changelog: str, tag: str) -> str:
    """What a changelog says of one version.

    Raises:
        ValueError: if it says nothing.
    """
    parts = re.split(r"^## (.*)$", changelog, flags=re.MULTILINE)
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        if title.split()[:1] == [tag[1:]] and text.strip():
            return text.strip()
    raise ValueError(
        f"CHANGELOG.md must have a section '## {tag[1:]}' with what changed; it has {parts[1::2]}"
    )


def notes(changelog: str, tag: str, old: Ledger | None, new: Ledger) -> str:
    """The words of a release: its part of the changelog, and the verdicts that changed.

    Args:
        changelog: the whole of it.
        tag: of the release.
        old: the verdicts of the release before, if there was one.
        new: those of this one.
    """
    if old is None:
        lines = [f"{len(new.claims)} claims have a verdict or are open."]
    elif found := changes(old, new):
        rows = (
            f"| {change.statement} | {change.before or 'no claim'} | {change.after or 'no claim'} |"
            for change in found
        )
        lines = ["| Claim | before | now |", "|---|---|---|", *rows]
    else:
        lines = [f"None of {len(new.claims)}."]
    return "\n".join([section(changelog, tag), "", "## Verdicts that changed", "", *lines, ""])


def before(tag: str, folder: Path) -> Ledger | None:
    """The verdicts of the newest version that is older than a tag's, if there is one.

    Not of the release that was made last: that may be of a newer version, or of this one.

    Args:
        tag: of the release.
        folder: holds one for each release, named by its tag, with its verdicts.
    """
    found = {path.parent.name: path for path in folder.glob(f"*/{LEDGER}")}
    older = [name for name in found if TAG.fullmatch(name) and Version(name) < Version(tag)]
    return Ledger.read(found[max(older, key=Version)]) if older else None


def make(tag: str, root: Path, folder: Path) -> None:
    """Lay what a release consists of into a folder, in the place of what is there.

    Raises:
        ValueError: if versions disagree, or the book or the package was not built.
        OSError: if the folder cannot be written.
    """
    check(tag, root)
    book, packages = root / "_build/html", [*(root / "_build/dist").glob("attention_limits-*")]
    if not (book / LEDGER).is_file() or not packages:
        raise ValueError(
            "there is no book or no package in _build: run make notebooks pdf dist first"
        )
    old = before(tag, root / "_build/before")  # where the workflow puts those of all releases
    words = notes(
        (root / "CHANGELOG.md").read_text(encoding="utf-8"), tag, old, Ledger.read(book / LEDGER)
    )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / NOTES).write_text(words, encoding="utf-8")
    for path in (book / LEDGER, *book.glob("*.pdf"), *packages):
        shutil.copy(path, folder)
    with tarfile.open(folder / ARCHIVE, "w:gz") as archive:
        archive.add(book, arcname=".")


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = command.parser(__doc__)
    parser.add_argument("tag", help="of the release, as in v0.2.0")
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where it is laid; without one, the tag is checked"
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the book's own folder")
    given = parser.parse_args(arguments)

    def made() -> str:
        if given.folder is None:
            check(given.tag, given.root)
            return f"All files agree on {given.tag}"
        make(given.tag, given.root, given.folder)
        return f"The release is in {given.folder}"

    return command.run(made)


if __name__ == "__main__":
    sys.exit(main())
