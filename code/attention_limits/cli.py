"""The command line: ``attention-limits verify`` checks what the book says, on your machine.

``attention-limits run`` repeats its measurements there, ``attention-limits results`` all of those
that it quotes, and ``attention-limits bench`` compares the library with its peers.
"""

import argparse
import contextlib
import dataclasses
import difflib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from attention_limits import claims
from attention_limits.claims import Claim, Result
from attention_limits.experiments import registry

if TYPE_CHECKING:
    from attention_limits.runs.records import Run


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    args = _parser().parse_args(argv)
    return args.run(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="attention-limits",
        description="The library behind The Limits of Attention, on the command line.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_verify(commands)
    _add_run(commands)
    _add_results(commands)
    _add_bench(commands)
    return parser


def _version() -> str:
    try:
        return metadata.version("attention-limits")
    except metadata.PackageNotFoundError:
        return "(from source, not installed)"


# --- verify -----------------------------------------------------------------------------


def _add_verify(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "verify",
        help="prove a claim's derivations and gather its evidence",
        description="Prove the derivations of the book's claims, gather their evidence, and say "
        "whether it bears the verdicts out.",
        epilog="Exit status: 0 if everything holds, 1 if not, 2 if an ID is unknown.",
    )
    parser.add_argument(
        "ids",
        nargs="*",
        metavar="ID",
        help="claims, such as cost-time; without any, every claim that has evidence",
    )
    parser.add_argument("--json", action="store_true", help="print a list for machines to read")
    parser.set_defaults(run=_verify)


def _verify(args: argparse.Namespace) -> int:
    ledger = claims.load()
    unknown = [name for name in args.ids if name not in ledger]
    if unknown:
        print(*(_unknown(name, ledger) for name in unknown), sep="\n", file=sys.stderr)
        return 2
    chosen = [ledger[name] for name in dict.fromkeys(args.ids)]
    chosen = chosen or [claim for claim in ledger.values() if claim.pieces]
    results = list(_with_progress(chosen))
    reports = [_report(claim, results) for claim in chosen]
    if args.json:
        print(json.dumps(reports, indent=2, allow_nan=False))
    else:
        _print_table(reports)
    return 0 if all(report["ok"] for report in reports) else 1


def _unknown(name: str, ledger: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, ledger, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the claims are {', '.join(ledger)}"
    return f"attention-limits verify: there is no claim {name!r}; {hint}"


def _report(claim: Claim, results: list[Result]) -> dict:
    """One claim with its results. A claim with nothing to show for itself has not held."""
    own = [result.to_dict() for result in results if result.claim == claim.id]
    ok = bool(own) and all(result["ok"] for result in own)
    return {"id": claim.id, "verdict": claim.verdict, "ok": ok, "results": own}


def _with_progress(chosen: list[Claim]) -> Iterator[Result]:
    """The results as they come, reported on stderr: a bar for a terminal, lines for a log."""
    results = (result for claim in chosen for result in claims.verify(claim))
    total = sum(len(claim.pieces) for claim in chosen)
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(results, desc="verify", total=total, unit="piece", file=sys.stderr)
        return
    for k, result in enumerate(results, start=1):
        status = "holds" if result.ok else "does not hold"
        print(f"[{k}/{total}] {result.claim} {result.name} {status}", file=sys.stderr, flush=True)
        yield result


def _print_table(reports: list[dict]) -> None:
    _allow_any_console()
    width = max((len(r["name"]) for report in reports for r in report["results"]), default=0)
    for report in reports:
        print(f"{_mark(report)} {report['id']}: {report['verdict']}")
        for r in report["results"]:
            piece = f"{_mark(r)} {r['kind']:<10}  {r['name']:<{width}}  {r['seconds']:6.2f} s"
            print(f"  {piece}  {' '.join(r['detail'].split())}")
        if not report["results"]:
            print("  nothing to verify yet")
    failed = [report["id"] for report in reports if not report["ok"]]
    count = f"{len(reports)} claim{'' if len(reports) == 1 else 's'}"
    print(f"\n{count}, {'not borne out: ' + ', '.join(failed) if failed else 'all borne out'}")


def _allow_any_console() -> None:
    """A console that knows no ✓ or × shows a ? instead."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")


def _mark(checked: dict) -> str:
    return "✓" if checked["ok"] else "✗"


# --- run --------------------------------------------------------------------------------


def _add_run(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "run",
        help="repeat one of the book's measurements",
        description="Run an experiment and save what it measured, with where and when, as JSON. "
        "What is timed or counted is measured anew each time. An experiment that trains goes on "
        "from where it was killed, if settings and code are the same, and shares its work with "
        "every other process that runs it in the same folder; its complete record is kept as long "
        "as the settings are the same, even if the code is not: see --fresh.",
        epilog="Ctrl-C stops it and saves what was measured so far. Exit status: 0 if it came to "
        "its end, 2 if it cannot start or save or all its workers died, 130 if it was interrupted.",
    )
    parser.add_argument("name", metavar="NAME", help=" or ".join(registry.EXPERIMENTS))
    parser.add_argument(
        "--preset",
        choices=("smoke", "book", "full"),
        default="full",
        help="smoke: does it run; book: what a chapter runs; full: what it quotes (default)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, …; auto: the fastest there is")
    parser.add_argument(
        "--seeds", type=int, metavar="K", help="train with the seeds 0 … K − 1, not the preset's"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="throw away what an earlier run left unfinished, and measure everything anew",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="train in N processes of one core each; the others take up the work of one that dies",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="train on the Dask cluster whose scheduler has this address, such as "
        "tcp://127.0.0.1:8786; needs the extra cluster",
    )
    _add_out(parser)
    parser.set_defaults(run=_run)


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder, default results")


def _run(args: argparse.Namespace) -> int:
    if args.name not in registry.EXPERIMENTS:
        near = difflib.get_close_matches(args.name, registry.EXPERIMENTS, cutoff=0.5)
        names = " or ".join(near or registry.EXPERIMENTS)
        return _refuse("run", f"there is no experiment {args.name!r}; did you mean {names}?")
    try:
        changes = _seeds(args.name, args.seeds)
        config = _config(args.name, args, **changes)
    except ValueError as error:
        return _refuse("run", str(error))
    how = {"fresh": args.fresh, "workers": args.workers, "scheduler": args.scheduler}
    return _recorded("run", args.name, config, args, **how)


def _seeds(name: str, count: int | None) -> dict[str, tuple[int, ...]]:
    """The change that ``--seeds`` makes to a config.

    Raises:
        ValueError: if the experiment has no seeds to change, or there would be none.
    """
    if count is None:
        return {}
    if "seeds" not in {field.name for field in dataclasses.fields(registry.find(name).Config)}:
        raise ValueError(f"--seeds must be left out: {name} is not repeated over seeds")
    if count < 1:
        raise ValueError(f"--seeds must be at least 1, got {count}")
    return {"seeds": tuple(range(count))}


def _config(name: str, args: argparse.Namespace, **changes: object) -> object:
    """The preset that was asked for, on the device that was, with changes.

    Raises:
        ValueError: if the device is not here, or a change is wrong.
    """
    # PyTorch takes seconds to arrive, and a misspelt name should not wait for it.
    from attention_limits import devices

    device = str(devices.choose(args.device))
    preset = registry.find(name).PRESETS[args.preset]
    return dataclasses.replace(preset, device=device, **changes)


def _recorded(command: str, name: str, config: object, args: argparse.Namespace, **how) -> int:
    """The exit status of measuring and saving a run."""
    from attention_limits.runs.records import UnwritableError
    from attention_limits.runs.runner import TeamError
    from attention_limits.runs.store import LeftoverError
    from attention_limits.runs.workers import LostWorkersError

    try:
        return 0 if _record(name, config, args, **how).complete else 130
    except (LeftoverError, UnwritableError, TeamError, LostWorkersError) as error:
        return _refuse(command, str(error))


def _record(name: str, config: object, args: argparse.Namespace, **how) -> "Run":
    """Measure, and save the run."""
    from attention_limits.runs import runner

    experiment = registry.find(name)
    takes = experiment.DURATIONS[args.preset]
    changed = " with the seeds of its preset" if getattr(args, "seeds", None) else ""
    print(f"{name} on {config.device} takes {takes}{changed}", file=sys.stderr)
    with _reporting() as report:
        run = runner.run(experiment, config, args.out, report, **how)
    if run.complete or not runner.has_cells(experiment):
        interrupted = "" if run.complete else ", incomplete: it was interrupted"
        print(f"saved {args.out / name}.json{interrupted}")
    return run


def _refuse(command: str, words: str) -> int:
    print(f"attention-limits {command}: {words}", file=sys.stderr)
    return 2


@contextlib.contextmanager
def _reporting() -> Iterator[Callable[[float | None, str], None]]:
    """How far a run is, on stderr: a bar for a terminal; for a log a line each percent."""
    if not sys.stderr.isatty():
        yield _Log()
        return
    from tqdm import tqdm

    with tqdm(total=1, bar_format="{l_bar}{bar}| {elapsed}{postfix}", file=sys.stderr) as bar:

        def show(share: float | None, words: str) -> None:
            if share is None:
                bar.write(words, file=sys.stderr)
            else:
                bar.n = share
                bar.set_postfix_str(words)  # which draws it

        yield show


class _Log:
    """Lines as a run goes on; training would report many times in a percent."""

    def __init__(self) -> None:
        self.last = None

    def __call__(self, share: float | None, words: str) -> None:
        done = "  ..  " if share is None else f"[{share:4.0%}]"
        if share is None or done != self.last:
            print(done, words, file=sys.stderr, flush=True)
            self.last = done if share is not None else self.last


# --- results ----------------------------------------------------------------------------


def _add_results(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "results",
        help="measure anew all that the book quotes",
        description="Run every experiment of the book in full, but for the comparison with peers "
        "(see bench), and save what each measured. One that was killed on its way goes on.",
        epilog="Exit status: as that of run.",
    )
    parser.add_argument("--list", action="store_true", help="say which and for how long, no more")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, …")
    parser.add_argument(
        "--fresh", action="store_true", help="throw away what was killed on its way, too"
    )
    _add_out(parser)
    parser.set_defaults(run=_results, preset="full")


def _results(args: argparse.Namespace) -> int:
    # What rests on packages that the library does not need is a matter of `bench`.
    names = [n for n in registry.EXPERIMENTS if not hasattr(registry.find(n), "PACKAGES")]
    for name in names:
        print(f"{name} takes {registry.find(name).DURATIONS[args.preset]}", flush=True)
    if args.list:
        return 0
    from attention_limits.runs import runner

    for name in names:
        try:
            config = _config(name, args)
        except ValueError as error:
            return _refuse("results", str(error))
        fresh = args.fresh or not runner.is_under_way(registry.find(name), args.out)
        if status := _recorded("results", name, config, args, fresh=fresh):
            return status
    return 0


# --- bench ------------------------------------------------------------------------------


def _add_bench(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "bench",
        help="compare the library's speed and memory with its peers'",
        description="Time every mechanism and its peers in one run, save it as speed.json, and "
        "print ratios: ours over the peer's. Peers that are not installed are named.",
        epilog="Ctrl-C stops it and saves what was measured so far. Exit status: 0 if it came to "
        "its end, whatever it found, 2 if it cannot start or compares different things, 130 if it "
        "was interrupted.",
    )
    parser.add_argument(
        "--preset",
        choices=("smoke", "full"),
        default="full",
        help="smoke: does it run; full: what the book shows (default)",
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, …")
    parser.add_argument(
        "--only", nargs="+", metavar="GROUP", help="groups, such as window; without, all of them"
    )
    _add_out(parser)
    parser.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> int:
    changes = {"groups": tuple(dict.fromkeys(args.only))} if args.only else {}
    try:
        config = _config("speed", args, **changes)
    except ValueError as error:
        return _refuse("bench", str(error))
    from attention_limits.experiments.speed import DisagreementError, tables
    from attention_limits.runs.records import UnwritableError

    try:
        run = _record("speed", config, args)
    except (DisagreementError, UnwritableError) as error:
        return _refuse("bench", str(error))
    _allow_any_console()
    print(f"\n{tables.report(run)}")
    return 0 if run.complete else 130
