"""The branch that Colab and Binder open: the built book's notebooks, and what Binder installs.

python -m attention_limits_book.branch _build/html _build/notebooks
"""

import shutil
import sys
from pathlib import Path

from attention_limits_book import addresses, command
from attention_limits_book.addresses import Addresses
from attention_limits_book.downloads import FOLDER

POST_BUILD = """\
#!/usr/bin/env bash
# Binder runs this after it has made the environment.
set -eu
python -m pip install --no-deps "{package}"
"""
README = """\
# Notebooks

Each was made of a page of [the book]({site}), at {ref} of its [repository]({repository}), by
`make notebooks`. Nothing here is edited by hand.
"""


def make(book: Path, folder: Path, source: Path) -> list[Path]:
    """Lay the branch into a folder, in the place of what is there.

    Args:
        book: the book's HTML, built.
        folder: where the branch is laid.
        source: where ``_config.yml`` and ``environment.yml`` are.

    Returns:
        The notebooks, relative to the folder.

    Raises:
        ValueError: if the book has no notebooks, or a repository that nothing opens.
        OSError: if the folder cannot be written.
    """
    published = addresses.configured(source)
    notebooks = sorted((book / FOLDER).rglob("*.ipynb"))
    if not notebooks:
        raise ValueError(f"there is no notebook in {book / FOLDER}: build the book first")
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(book / FOLDER, folder)
    if published:
        _for_binder(published, folder, source)
        words = README.format(
            site=published.home, ref=published.ref, repository=published.repository
        )
        (folder / "README.md").write_text(words, encoding="utf-8")
    return [path.relative_to(book / FOLDER) for path in notebooks]


def _for_binder(published: Addresses, folder: Path, source: Path) -> None:
    shutil.copy(source / "environment.yml", folder)
    post_build = folder / "postBuild"
    post_build.write_text(POST_BUILD.format(package=published.package), encoding="utf-8")
    post_build.chmod(0o755)


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = command.parser(__doc__)
    parser.add_argument("book", type=Path, help="the book's HTML")
    parser.add_argument("folder", type=Path, help="where the branch is laid, anew")
    parser.add_argument("--source", type=Path, default=Path(), help="the book's own folder")
    given = parser.parse_args(arguments)

    def made() -> str:
        notebooks = make(given.book, given.folder, given.source)
        return f"{len(notebooks)} notebooks are in {given.folder}"

    return command.run(made)


if __name__ == "__main__":
    sys.exit(main())
