"""The ledger: what the book claims, what it found, and the functions that carry each verdict.

``claims.yml`` is data that anyone may edit; this module refuses what does not add up, finds the
functions that a claim names, and runs them.
"""

import contextlib
import functools
import importlib
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from attention_limits import store
from attention_limits.checks import check_count
from attention_limits.evidence import Evidence, rivals

VERDICTS = {
    "holds": "true as stated",
    "qualified": "true only under conditions that the book names",
    "false": "refuted",
    "open": "not yet argued",
}

CHAPTERS = (
    "attention",
    "quadratic-cost",
    "positional-encodings",
    "locality",
    "temporal-dynamics",
    "training-stability",
    "future-directions",
)

ORIGINS = ("article", "book")

# Where a chapter keeps the functions of each kind that its claims name.
HOMES = {"derivation": "derivations", "evidence": "evidence"}


@dataclass(frozen=True)
class Claim:
    """One claim of the ledger; ``claims.yml`` says what each field means."""

    id: str
    chapter: str
    origin: str
    statement: str
    verdict: str
    derivations: tuple[str, ...]
    evidence: tuple[str, ...]
    citations: tuple[str, ...]
    reason: str = ""
    assumes: tuple[str, ...] = ()

    @property
    def pieces(self) -> list[tuple[str, str]]:
        """What there is to verify, as (kind, name), the derivations first."""
        derivations = [("derivation", name) for name in self.derivations]
        return derivations + [("evidence", name) for name in self.evidence]


@dataclass(frozen=True)
class Result:
    """What came of running one derivation or one piece of evidence.

    Each of ``rivals`` is what the piece would have given for one: its ``words``, all that
    ``Evidence.to_dict`` has, and ``found`` and ``expectation`` as they are printed.
    """

    claim: str
    kind: str
    name: str
    ok: bool
    detail: str
    evidence: dict[str, object] | None
    seconds: float
    rivals: tuple[dict[str, object], ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Every field, ready for JSON."""
        return asdict(self)


def load(path: Path | None = None) -> dict[str, Claim]:
    """Read the ledger, or another one at ``path``: the claims by id, in the order of the file.

    Raises:
        ValueError: naming the claim and the field, for whatever does not add up; above all for a
            verdict that no reason and no evidence stand behind.
    """
    source = path or resources.files("attention_limits") / "claims.yml"
    # The base loader leaves every scalar a string. The others read `verdict: false` as a boolean.
    entries = yaml.load(source.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    if not isinstance(entries, list):
        raise ValueError(f"claims: {source} must be a list of claims, got {type(entries).__name__}")
    ledger: dict[str, Claim] = {}
    for entry in entries:
        claim = _claim(entry)
        if claim.id in ledger:
            raise ValueError(f"claim {claim.id!r}: id is used twice")
        ledger[claim.id] = claim
    return ledger


_LISTS = ("derivations", "evidence", "citations", "assumes")
_OF_VERDICTS = ("reason", "assumes")  # which an open claim does without
_CHOICES = {"chapter": CHAPTERS, "origin": ORIGINS, "verdict": tuple(VERDICTS)}


def _claim(entry: object) -> Claim:
    """One validated claim from one entry of the file."""
    if not isinstance(entry, dict):
        raise ValueError(f"claims: every claim must be a mapping of its fields, got {entry!r}")
    where = f"claim {entry.get('id', '(without id)')!r}"
    known = [field.name for field in fields(Claim)]
    for name in entry:
        if name not in known:
            raise ValueError(f"{where}: unknown field {name!r}, the fields are {', '.join(known)}")
    for name in known:
        if name not in _OF_VERDICTS or name in entry:
            _check_field(where, name, entry.get(name))
    values: dict[str, Any] = {
        name: tuple(value) if name in _LISTS else value.strip() for name, value in entry.items()
    }
    claim = Claim(**values)
    if claim.verdict != "open":
        for name in (*_OF_VERDICTS, "evidence"):
            if not getattr(claim, name):
                raise ValueError(f"{where}: verdict {claim.verdict!r} needs {name}, it has none")
    return claim


def _check_field(where: str, name: str, value: object) -> None:
    if value is None:
        raise ValueError(f"{where}: {name} is missing")
    if name in _LISTS:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{where}: {name} must be a list of names, got {value!r}")
    elif not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: {name} must be some text, got {value!r}")
    elif name in _CHOICES and value not in _CHOICES[name]:
        raise ValueError(f"{where}: {name} must be one of {_CHOICES[name]}, got {value!r}")


def resolve(claim: Claim, kind: str, name: str) -> Callable[[], object]:
    """The function that a claim names, from its chapter's folder.

    The derivation ``crossover`` of a claim of "quadratic-cost" is
    ``chapters.quadratic_cost.derivations.crossover``, and its evidence ``cost.x`` is
    ``chapters.quadratic_cost.evidence.cost.x``.

    Raises:
        ValueError: naming the claim and ``name``, if there is no such function.
    """
    path, function_name = home(claim, kind, name)
    unknown = ValueError(
        f"claim {claim.id!r}: {kind} names {name!r}, which is no function of {path}"
    )
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        # The module is there, and something that it imports is not.
        if not f"{path}.".startswith(f"{error.name}."):
            raise
        raise unknown from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise unknown
    return function


def home(claim: Claim, kind: str, name: str) -> tuple[str, str]:
    """The module, and the function in it, that a claim means by a name."""
    chapter = claim.chapter.replace("-", "_")
    path = f"attention_limits.chapters.{chapter}.{HOMES[kind]}.{name}"
    module, _, function = path.rpartition(".")
    return module, function


# --- running it -------------------------------------------------------------------------


def verify(claim: Claim) -> Generator[Result, None, None]:
    """Prove each derivation of a claim and gather each piece of its evidence, one result each.

    A piece passes if it holds and refuses each of its rivals, of which it has at least one.
    Whatever goes wrong with one of them, it is a result that is not ok and says what went wrong,
    and the next one has its turn.
    """
    yield from verify_all([claim], jobs=1)


def verify_all(chosen: Iterable[Claim], jobs: int | None = None) -> Generator[Result, None, None]:
    """The results of several claims, in their order, each as soon as it is there.

    A piece that several claims name runs once.

    Args:
        chosen: the claims.
        jobs: how many processes share the work; None: one a core. One is this process itself.

    Raises:
        ValueError: if ``jobs`` is no positive integer.
    """
    jobs = (os.cpu_count() or 1) if jobs is None else jobs
    jobs = check_count("jobs", jobs, least=1)
    wanted = [(claim, *piece) for claim in chosen for piece in claim.pieces]
    pieces: dict[tuple[str, str], tuple[Claim, str, str]] = {}
    for piece in wanted:
        pieces.setdefault(home(*piece), piece)
    if jobs == 1 or len(pieces) == 1:
        checked = functools.cache(lambda key: _checked(*pieces[key]))
        for piece in wanted:
            yield replace(checked(home(*piece)), claim=piece[0].id)
        return
    with _workers(jobs) as pool:
        futures = {key: pool.submit(_checked, *piece) for key, piece in pieces.items()}
        for piece in wanted:
            yield replace(_result(futures[home(*piece)], piece), claim=piece[0].id)


def _checked(claim: Claim, kind: str, name: str) -> Result:
    """The result of one piece; whatever goes wrong is part of it."""
    start = time.perf_counter()
    try:
        outcome = _RUN[kind](claim, name)
    except Exception as error:
        outcome = {"ok": False, "detail": f"{type(error).__name__}: {error}", "evidence": None}
    return Result(claim.id, kind, name, **outcome, seconds=time.perf_counter() - start)


def _prove(claim: Claim, name: str) -> dict[str, Any]:
    derivation: Callable = resolve(claim, "derivation", name)
    module, own = home(claim, "derivation", name)
    store.kept(module, f"{own}.proof", lambda: bool(derivation().prove()))
    return {"ok": True, "detail": "every step proven", "evidence": None}


def _gather(claim: Claim, name: str) -> dict[str, Any]:
    """What a piece finds, and would have found of its rivals, none of which may pass."""
    piece: Callable = resolve(claim, "evidence", name)
    found = piece()
    against = tuple(_against(words, read) for words, read in rivals(piece).items())
    passing = [would_read(rival) for rival in against if rival["holds"]]
    ok, detail = found.holds and not passing, str(found)
    if passing:
        detail += f"; but a rival passes as well: it {passing[0]}"
    if not against:
        ok, detail = False, f"{detail}; but {NO_RIVAL}"
    return {"ok": ok, "detail": detail, "evidence": found.to_dict(), "rivals": against}


NO_RIVAL = (
    "it names no rival: give it @evidence(rivals={words: arguments}) with a small program, or a "
    "world, that is wrong in just the way that the claim denies (CONTRIBUTING, A claim)"
)


def _against(words: str, read: Callable[[], Evidence]) -> dict[str, object]:
    try:
        found = read()
    except Exception as error:
        raise ValueError(f"rival {words!r}: {type(error).__name__}: {error}") from error
    reading = {"found": found.found, "expectation": found.expectation}
    return {"words": words} | reading | found.to_dict()


def would_read(rival: Mapping) -> str:
    """What a piece would have found of a rival, in words that follow its name; Markdown."""
    expected = f"(expected {rival['expectation']})"
    return f"would have given {rival['found']} {expected} for {rival['words']}"


_RUN = {"derivation": _prove, "evidence": _gather}


@contextlib.contextmanager
def _workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each; none outlives the block, however it ends."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:  # what pieces share, such as a trained model
        shared = os.environ.get(store.STORE) or folder
        pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(shared,))
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
                child.join()


def _begin(shared: str) -> None:
    """Workers side by side take a thread each, and leave Ctrl-C to their parent."""
    os.environ[store.STORE] = shared
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # which PyTorch reads when it is imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _result(future: Future, piece: tuple[Claim, str, str]) -> Result:
    """What a worker found. One that died takes its neighbours' work along: that is done again."""
    try:
        return future.result()
    except BrokenProcessPool:
        with _workers(1) as alone:
            try:
                return alone.submit(_checked, *piece).result()
            except BrokenProcessPool:
                claim, kind, name = piece
                return Result(claim.id, kind, name, False, "the process died", None, 0.0)
