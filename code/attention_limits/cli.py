"""The command line: ``attention-limits verify`` checks what the book says, on your machine.

``attention-limits run`` repeats its measurements there, and ``attention-limits bench`` compares the
library with its peers.
"""

import argparse
import dataclasses
import difflib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from attention_limits import claims, experiments
from attention_limits.claims import Claim, Result

if TYPE_CHECKING:
    from attention_limits.experiments.records import Run


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
        description="Run an experiment and save what it measured, with where and when, as JSON.",
        epilog="Ctrl-C stops it and saves what was measured so far. Exit status: 0 if it came to "
        "its end, 2 if it cannot start, 130 if it was interrupted.",
    )
    parser.add_argument("name", metavar="NAME", help=" or ".join(experiments.EXPERIMENTS))
    parser.add_argument(
        "--preset",
        choices=("smoke", "book", "full"),
        default="full",
        help="smoke: does it run; book: what a chapter runs; full: what it quotes (default)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, …; auto: the fastest there is")
    _add_out(parser)
    parser.set_defaults(run=_run)


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder, default results")


def _run(args: argparse.Namespace) -> int:
    if args.name not in experiments.EXPERIMENTS:
        near = difflib.get_close_matches(args.name, experiments.EXPERIMENTS, cutoff=0.5)
        names = " or ".join(near or experiments.EXPERIMENTS)
        return _refuse("run", f"there is no experiment {args.name!r}; did you mean {names}?")
    try:
        config = _config(args.name, args)
    except (ValueError, OSError) as error:
        return _refuse("run", str(error))
    return 0 if _record(args.name, config, args).complete else 130


def _config(name: str, args: argparse.Namespace, **changes: object) -> object:
    """The preset that was asked for, on the device that was, with changes.

    Raises:
        ValueError: if the device is not here, or a change is wrong.
        OSError: if the folder cannot keep a run.
    """
    # PyTorch takes seconds to arrive, and a misspelt name should not wait for it.
    from attention_limits import devices
    from attention_limits.experiments import records

    device = str(devices.choose(args.device))
    records.check_writable(args.out)
    preset = experiments.find(name).PRESETS[args.preset]
    return dataclasses.replace(preset, device=device, **changes)


def _record(name: str, config: object, args: argparse.Namespace) -> "Run":
    """Measure, and save the run."""
    from attention_limits.experiments import records

    experiment = experiments.find(name)
    print(f"{name} on {config.device} takes {experiment.TAKES[args.preset]}", file=sys.stderr)
    rows, complete = _measure(experiment, config)
    run = records.new(name, config, rows, complete=complete)
    path = args.out / f"{name}.json"
    records.save(path, run)
    print(f"saved {path}{'' if complete else ', incomplete: it was interrupted'}")
    return run


def _measure(experiment: ModuleType, config: object) -> tuple[list[dict], bool]:
    """The rows, and whether they are all."""
    rows = []
    try:
        for row in experiment.measure(config, _say):
            rows.append(row)
    except KeyboardInterrupt:
        return rows, False
    return rows, True


def _refuse(command: str, words: str) -> int:
    print(f"attention-limits {command}: {words}", file=sys.stderr)
    return 2


def _say(share: float | None, words: str) -> None:
    done = "  ..  " if share is None else f"[{share:4.0%}]"
    print(done, words, file=sys.stderr, flush=True)


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
    except (ValueError, OSError) as error:
        return _refuse("bench", str(error))
    from attention_limits.experiments.speed import DisagreementError, tables

    try:
        run = _record("speed", config, args)
    except DisagreementError as error:
        return _refuse("bench", str(error))
    _allow_any_console()
    print(f"\n{tables.report(run)}")
    return 0 if run.complete else 130
