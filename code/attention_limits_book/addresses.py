"""Where the book is published: every address follows from ``repository.url`` in ``_config.yml``.

Without that line there are no addresses, no link to one and no button that would lead nowhere.
"""

import os
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

import yaml
from sphinx.application import Sphinx
from sphinx.errors import ConfigError

CONFIG = "_config.yml"
BRANCH = "notebooks"  # holds what Colab and Binder open; ``make notebooks`` makes it
TAG = re.compile(r"(v\d+\.\d+)(\.\d+)?")  # of a release, and which of these are one version
REF = "BOOK_REF"  # in the environment of a build: the commit or the tag that is published


@dataclass(frozen=True)
class Addresses:
    """Those of one repository at GitHub, which Pages publishes and Colab and Binder open.

    Args:
        owner: of the repository.
        name: of the repository.
        ref: the commit or the tag whose book this is.
    """

    owner: str
    name: str
    ref: str

    @property
    def repository(self) -> str:
        """The repository."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def package(self) -> str:
        """What pip installs."""
        return f"git+{self.repository}@{self.ref}"

    @property
    def version(self) -> str:
        """Which of the published versions this is, as in ``v0.2``, or "" for the newest state."""
        match = TAG.fullmatch(self.ref)
        return match[1] if match else ""

    @property
    def branch(self) -> str:
        """The branch that Colab and Binder open: a released version keeps its notebooks."""
        return f"{BRANCH}-{self.version}" if self.version else BRANCH

    @property
    def site(self) -> str:
        """The published book in its newest state, with a slash at its end."""
        root = f"https://{self.owner.lower()}.github.io/"
        return root if root == f"https://{self.name.lower()}/" else f"{root}{self.name}/"

    @property
    def home(self) -> str:
        """Where this version of the book is, with a slash at its end."""
        return f"{self.site}{self.version}/" if self.version else self.site

    def file(self, name: str) -> str:
        """A file of the book."""
        return f"{self.home}{quote(name)}"

    def page(self, page: str, anchor: str = "") -> str:
        """A page of the book, or a place on it."""
        return f"{self.file(page)}.html{f'#{quote(anchor)}' if anchor else ''}"

    def source(self, page: str) -> str:
        """What a page is made of."""
        return f"{self.repository}/blob/{self.ref}/{quote(page)}.md"

    def colab(self, page: str) -> str:
        """The page's notebook in Colab."""
        place = f"{self.owner}/{self.name}/blob/{self.branch}/{quote(page)}.ipynb"
        return f"https://colab.research.google.com/github/{place}"

    def binder(self, page: str) -> str:
        """The page's notebook in Binder."""
        place = quote(f"lab/tree/{page}.ipynb", safe="")
        return f"https://mybinder.org/v2/gh/{self.owner}/{self.name}/{self.branch}?urlpath={place}"


def of(url: str, ref: str = "") -> Addresses | None:
    """The addresses that follow from the repository's, or None if it has none yet.

    Args:
        url: the repository's own.
        ref: the commit or the tag that is published; by default the one of the environment, or
            the tag of this version.

    Raises:
        ValueError: for a repository that Colab, Binder or Pages cannot open.
    """
    if not url:
        return None
    match = re.fullmatch(r"https://github\.com/([\w-]+)/([\w.-]+?)(?:\.git)?/?", url)
    if match is None:
        raise ValueError(
            f"repository.url must be https://github.com/OWNER/NAME or empty, got {url!r}: "
            "from other hosts the book is not published, and Colab opens no notebook"
        )
    return Addresses(match[1], match[2], ref or os.environ.get(REF) or default_ref())


def default_ref() -> str:
    """The tag of the version that is installed."""
    return f"v{metadata.version('attention-limits')}"


def configured(source: Path) -> Addresses | None:
    """The addresses of the book in a folder, from the line in its ``_config.yml``.

    Read from there, since Jupyter Book passes it on as an option of the theme only, where ours take
    the place of all others, or its own repository if there is no such line.

    Raises:
        ValueError: for a repository that Colab, Binder or Pages cannot open.
    """
    path = source / CONFIG
    read = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return of((read.get("repository") or {}).get("url") or "")


def setup(app: Sphinx) -> None:
    """Register: other addresses are written onto all pages."""
    app.add_config_value("book_addresses", None, "html", [Addresses, type(None)])
    app.connect("config-inited", _derive)


def _derive(app: Sphinx, config) -> None:
    try:
        config.book_addresses = configured(Path(app.srcdir))
    except ValueError as error:
        raise ConfigError(f"{CONFIG}: {error}") from None
    if config.book_addresses is not None:  # for canonical links and the sitemap
        config.html_baseurl = config.book_addresses.site
