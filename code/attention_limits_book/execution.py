"""Execute outdated chapters side by side, before MyST-NB asks the cache for them.

MyST-NB runs one notebook after another and caches each by its cells alone. Ours also depend on the
package, on the recorded results and on the versions installed, so the cache lives under a
fingerprint of those, and a change of any of them starts a new one.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from jupyter_cache.cache.main import JupyterCacheBase
from jupyter_cache.executors import load_executor
from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.util import logging as sphinx_logging

from attention_limits.lab import STILL

LOG = sphinx_logging.getLogger(__name__)
NOTEBOOK = "format_name: myst"  # in a page's header, where jupytext puts it


def setup(app: Sphinx) -> None:
    """Register the fingerprint and the parallel run."""
    # A change of the fingerprint makes Sphinx read every page again (rebuild="env").
    app.add_config_value("execution_fingerprint", "", "env", [str])
    app.connect("config-inited", _use_fingerprinted_cache, priority=900)
    app.connect("config-inited", _use_own_profile)
    app.connect("config-inited", _use_own_fonts)
    app.connect("config-inited", _show_still_faces)
    app.connect("config-inited", _forget_unless_clean)
    app.connect("env-before-read-docs", _execute)
    app.connect("build-finished", _mark_if_clean, priority=999)


def fingerprint(source: Path) -> str:
    """A hash of all that an execution depends on, beside the page's own cells."""
    digest = hashlib.sha256(sys.version.encode())
    for path, name in sorted(_inputs(source), key=lambda pair: pair[1]):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _inputs(source: Path) -> Iterator[tuple[Path, str]]:
    packages = [Path(str(resources.files(name))) for name in ("attention_limits", __package__)]
    for package in packages:
        for path in package.rglob("*"):
            if path.suffix in {".py", ".yml", ".json"}:
                yield path, f"{package.name}/{path.relative_to(package)}"
    if (versions := source / "constraints.txt").is_file():
        yield versions, versions.name


def _use_fingerprinted_cache(app: Sphinx, config) -> None:
    config.execution_fingerprint = fingerprint(Path(app.srcdir))
    caches = Path(app.outdir).parent / ".jupyter_cache"
    config.nb_execution_cache_path = str(caches / config.execution_fingerprint)
    for old in caches.glob("*"):
        if old.name != config.execution_fingerprint:
            shutil.rmtree(old, ignore_errors=True)


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


def is_notebook(path: Path) -> bool:
    """Whether a page has cells to run."""
    return path.suffix == ".md" and NOTEBOOK in path.read_text(encoding="utf-8")[:500]


class SharedCache(JupyterCacheBase):
    """A cache that several processes fill at once.

    Jupyter-cache trims itself each time: it lists the records to keep, then deletes all others.
    What a neighbour writes in between is deleted too, and that page would run a second time.
    """

    def truncate_caches(self) -> None:
        """Leave the cache as it is: a change of the fingerprint deletes it as a whole."""


def _execute(app: Sphinx, env, docnames: list[str]) -> None:
    if app.config.nb_execution_mode != "cache":
        return
    pages = [path for name in docnames if is_notebook(path := Path(env.doc2path(name)))]
    if len(pages) < 2:
        return  # MyST-NB runs a single page just as well
    cache = SharedCache(app.config.nb_execution_cache_path)
    for page in pages:
        read = {"name": "myst_nb_md", "type": "plugin"}
        cache.add_nb_to_project(str(page), read_data=read)
    # Kernels side by side share the cores: one thread each is fastest, and keeps sums in one order.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    executor = load_executor("local-parallel", cache, logger=logging.getLogger(__name__))
    result = executor.run_and_cache(
        filter_uris=[str(page.absolute()) for page in pages],
        timeout=app.config.nb_execution_timeout,
    )
    # A page that failed is not in the cache: MyST-NB runs it again, and reports page and cell.
    failed = len(result.excepted) + len(result.errored)
    LOG.info("executed side by side: %d pages, %d failed", len(result.succeeded), failed)


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
