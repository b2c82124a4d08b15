"""Execute outdated chapters side by side, before MyST-NB asks the cache for them.

MyST-NB runs one notebook after another and caches each by its cells alone. The outputs also depend
on the package, on the recorded results and on the versions installed. So each page has a
fingerprint of these (``fingerprints``): outputs are taken from the cache only if they were made
under the one that the page has now.
"""

import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from docutils.nodes import document
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.db import NbCacheRecord
from jupyter_cache.cache.main import JupyterCacheBase
from jupyter_cache.executors import load_executor
from nbformat import NotebookNode
from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.util import logging as sphinx_logging

from attention_limits.notebook import STILL
from attention_limits.store import STORE
from attention_limits_book import fingerprints
from attention_limits_book.fingerprints import is_notebook

LOG = sphinx_logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Register the fingerprints and the parallel run."""
    # What is ours on the side of Sphinx may change any page: it is read again (rebuild="env").
    app.add_config_value("book_fingerprint", "", "env", [str])
    app.connect("config-inited", _use_own_folders, priority=900)
    app.connect("config-inited", _use_own_profile)
    app.connect("config-inited", _use_own_fonts)
    app.connect("config-inited", _show_still_faces)
    app.connect("config-inited", _forget_unless_clean)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-before-read-docs", _execute)
    app.connect("doctree-read", _without_inner_documents)
    app.connect("build-finished", _mark_if_clean, priority=999)


def _use_own_folders(app: Sphinx, config) -> None:
    """Keep outputs of cells, and results of evidence for as long as the versions are the same."""
    folder, versions = Path(app.outdir).parent, fingerprints.versions(Path(app.srcdir))
    config.book_fingerprint = fingerprints.of_sphinx_side(versions)
    config.nb_execution_cache_path = str(folder / ".jupyter_cache")
    results = folder / ".results"
    for old in results.glob("*"):
        if old.name != versions:
            shutil.rmtree(old, ignore_errors=True)
    os.environ[STORE] = str(results / versions)


def _without_inner_documents(app: Sphinx, doctree: document) -> None:
    """Let all nodes belong to their page.

    What was parsed by itself (reStructuredText in a page of MyST) knows a document of its own, with
    the settings of the whole build: it would be stored with each page, and read in every build.
    """
    for node in doctree.findall():
        node.document = doctree


def _outdated(app: Sphinx, env, added: set, changed: set, removed: set) -> list[str]:
    """The pages that Sphinx has to read again, beside those whose own text has changed."""
    versions = fingerprints.versions(Path(app.srcdir))
    before = getattr(env, "page_fingerprints", {})
    env.page_fingerprints = {
        name: fingerprints.of_page(Path(env.doc2path(name)), versions) for name in env.found_docs
    }
    return [name for name, now in env.page_fingerprints.items() if before.get(name) != now]


def _use_own_profile(app: Sphinx, config) -> None:
    """Run the chapters under a bare IPython profile: a reader's own start-up files stay out.

    Its kernels also keep quiet about talking over an unencrypted loopback.
    """
    profile = Path(app.outdir).parent / ".ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n")
    os.environ["IPYTHONDIR"] = str(profile.parent)


def _use_own_fonts(app: Sphinx, config) -> None:
    """Give the chapters a Matplotlib of default settings, with a list of fonts of the book's own.

    A list that another environment left behind may name fonts that are gone, of which Matplotlib
    complains in every figure. Making a new one takes seconds, and Matplotlib says so: here, before
    any cell could.
    """
    fonts = Path(app.outdir).parent / ".matplotlib"
    fonts.mkdir(parents=True, exist_ok=True)
    os.environ["MPLCONFIGDIR"] = str(fonts)
    if not any(fonts.glob("fontlist-*.json")):
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)


def _show_still_faces(app: Sphinx, config) -> None:
    """Tell the kernels that nobody will move their widgets: labs then show their recorded runs.

    MyST-NB hides widgets, but writes the state of each into the page, under names that are new in
    every build.
    """
    os.environ[STILL] = "1"


class SharedCache(JupyterCacheBase):
    """A cache that several processes fill at once.

    Jupyter-cache trims itself each time: it lists the records to keep, then deletes all others.
    What a neighbour writes in between is deleted too, and that page would run a second time.
    """

    def truncate_caches(self) -> None:
        """Leave the cache as it is; pages forget their own outdated outputs."""

    def cache_notebook_bundle(self, bundle: CacheBundleIn, *args, **kwargs) -> NbCacheRecord:
        """Keep a page's outputs, its streams in one piece each."""
        join_streams(bundle.nb)
        return super().cache_notebook_bundle(bundle, *args, **kwargs)


def join_streams(notebook: NotebookNode) -> None:
    """Put together what a kernel sent in pieces, which the clock cuts wherever it likes.

    MyST-NB merges streams, too, but ends a line at each cut.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                output
                for name, pieces in itertools.groupby(cell.outputs, lambda o: o.get("name"))
                for output in ([_joined(list(pieces))] if name else pieces)
            ]


def _joined(pieces: list[NotebookNode]) -> NotebookNode:
    return NotebookNode({**pieces[0], "text": "".join(piece.text for piece in pieces)})


def _execute(app: Sphinx, env, docnames: list[str]) -> None:
    pages = [path for name in docnames if is_notebook(path := Path(env.doc2path(name)))]
    if app.config.nb_execution_mode != "cache" or not pages:
        return
    cache = SharedCache(app.config.nb_execution_cache_path)
    made_under = _MadeUnder(cache)
    versions = fingerprints.versions(Path(app.srcdir))
    now = {str(page.absolute()): fingerprints.of_cells(page, versions) for page in pages}
    for page in pages:
        read = {"name": "myst_nb_md", "type": "plugin"}
        project = cache.add_nb_to_project(str(page), read_data=read)
        if made_under.fingerprints.get(project.uri) != now[project.uri]:
            _forget_outputs(cache, project.pk)
    # Kernels side by side share the cores: one thread each is fastest, and keeps sums in one order.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    executor = load_executor("local-parallel", cache, logger=logging.getLogger(__name__))
    result = executor.run_and_cache(filter_uris=list(now), timeout=app.config.nb_execution_timeout)
    # A page that failed is not in the cache: MyST-NB runs it again, and reports page and cell.
    failed = {*result.excepted, *result.errored}
    made_under.keep({uri: now[uri] for uri in now if uri not in failed})
    LOG.info("executed side by side: %d pages, %d failed", len(result.succeeded), len(failed))


def _forget_outputs(cache: JupyterCacheBase, page: int) -> None:
    """Remove what the cells of a page once gave, so that they run again."""
    try:
        cache.remove_cache(cache.match_cache_notebook(cache.get_project_notebook(page).nb).pk)
    except KeyError:  # they never ran
        return


class _MadeUnder:
    """Under which fingerprint the cached outputs of each page were made."""

    def __init__(self, cache: JupyterCacheBase) -> None:
        self.path = Path(cache.path) / "fingerprints.json"
        try:
            self.fingerprints = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none, or half written by a build that was killed
            self.fingerprints = {}

    def keep(self, new: dict[str, str]) -> None:
        """Write them down once the outputs are in the cache: not before, or a kill would lie."""
        self.fingerprints |= new
        self.path.write_text(json.dumps(self.fingerprints), encoding="utf-8")


def _forget_unless_clean(app: Sphinx, config) -> None:
    """Read every page again, unless the last build came to its end without a warning.

    Sphinx remembers pages and not what it warned of: a build that failed, run again unchanged,
    would read nothing and succeed. So would one that was killed after it saved what it had read.
    """
    mark = _clean_mark(app)
    if not mark.exists():
        (mark.parent / ENV_PICKLE_FILENAME).unlink(missing_ok=True)
    mark.unlink(missing_ok=True)


def _mark_if_clean(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and not app._warncount:
        _clean_mark(app).touch()


def _clean_mark(app: Sphinx) -> Path:
    return Path(app.doctreedir) / "clean"
