"""What all tests share: the repository, when a browser is needed, and what was measured."""

import gc
import os
import shutil
import signal
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from helpers.selection import DAY, beyond_pairs, spread, today
from helpers.sources import tracked_files
from hypothesis import settings

from attention_limits import chromium

ROOT = Path(__file__).parents[1]

# The book's own list of fonts, set before anything loads Matplotlib: one that another environment
# left behind may lack some, of which Matplotlib complains in every figure.
os.environ["MPLCONFIGDIR"] = str(ROOT / "_build" / ".matplotlib")

# The same examples in every run; ``make deep`` looks for others, and for many.
settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, database=None)
settings.register_profile("deep", max_examples=2000, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Said before there are processes: what pages are looked at depends on the day.
today()

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts in turn.
# Several tests send one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tracked():
    """The files that git knows, relative to the root."""
    return tracked_files()


@pytest.fixture(scope="session")
def checkout(tracked):
    """A function that makes a clean copy of the repository, without .venv, _build and the like."""

    def copy(folder):
        for name in tracked:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        return folder

    return copy


@pytest.hookimpl(optionalhook=True)  # there without pytest-xdist, too
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: at any time, one waits for a browser or a child."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays, a million objects: nothing looks for garbage among them again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


# --- The browser --------------------------------------------------------------------------------

MISSING = "no Chromium found: install it to run the browser tests"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What cannot run here is no item; what no pair of parameters needs is for ``make deep``.

    Without a browser its tests are skipped, each in its own place; never in CI.
    """
    if not torch.cuda.is_available():
        needing = [item for item in items if item.get_closest_marker("cuda")]
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if not item.get_closest_marker("cuda")]
    for item in beyond_pairs(items):
        item.add_marker(pytest.mark.deep)
    if few := config.getoption("few"):
        kept = set(map(id, spread(items, few)))
        config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
        items[:] = [item for item in items if id(item) in kept]
    if not chromium.found() and os.environ.get("CI") != "true":
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=MISSING))


def pytest_report_header() -> str:
    """How to repeat the sample of pages and widths."""
    return f"day {today()} of pages and widths: {DAY}={today()} repeats them"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``make unit`` asks for few."""
    words = "run each test with at most N of its parameters, from the first to the last"
    parser.addoption("--few", type=int, metavar="N", help=words)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """In CI they fail instead."""
    in_ci = os.environ.get("CI") == "true"
    if in_ci and item.get_closest_marker("browser") and not chromium.found():
        pytest.fail(MISSING, pytrace=False)


@pytest.fixture(scope="session", name="chromium")
def chromium_path() -> str:
    """The path of the browser to test in."""
    return chromium.found()


def pytest_terminal_summary(terminalreporter) -> None:
    """Every figure that a test recorded with ``record_property``, and where the time went."""
    reports = [r for rs in terminalreporter.stats.values() for r in rs if hasattr(r, "when")]
    if figures := [pair for r in reports if r.when == "call" for pair in r.user_properties]:
        terminalreporter.section("measured")
        for name, value in figures:
            terminalreporter.line(f"{name}: {value}")
    seconds = Counter()
    for report in filter(lambda r: hasattr(r, "duration"), reports):
        seconds[report.nodeid.partition("::")[0]] += report.duration
    if len(seconds) > 1:
        total = sum(seconds.values())
        terminalreporter.section(f"ten slowest files, of {total:.0f} process-seconds in all")
        for name, spent in seconds.most_common(10):
            terminalreporter.line(f"{spent:7.1f} s  {name}")
