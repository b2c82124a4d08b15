"""The command line: ``attention-limits verify`` checks what the book says, on your machine.

``attention-limits run`` repeats its measurements there.
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

from attention_limits import claims, experiments
from attention_limits.claims import Claim, Result


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
    if hasattr(sys.stdout, "reconfigure"):  # a console that knows no ✓ or × shows a ? instead
        sys.stdout.reconfigure(errors="replace")
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
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder, default results")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.name not in experiments.EXPERIMENTS:
        near = difflib.get_close_matches(args.name, experiments.EXPERIMENTS, cutoff=0.5)
        names = " or ".join(near or experiments.EXPERIMENTS)
        return _refuse(f"there is no experiment {args.name!r}; did you mean {names}?")
    # PyTorch takes seconds to arrive, and a misspelt name should not wait for it.
    from attention_limits import devices
    from attention_limits.experiments import records

    experiment = experiments.find(args.name)
    try:
        device = str(devices.choose(args.device))
        records.check_writable(args.out)
    except (ValueError, OSError) as error:
        return _refuse(str(error))
    config = dataclasses.replace(experiment.PRESETS[args.preset], device=device)
    print(f"{args.name} on {device} takes {experiment.TAKES[args.preset]}", file=sys.stderr)
    rows, complete = _measure(experiment, config)
    path = args.out / f"{args.name}.json"
    records.save(path, records.new(args.name, config, rows, complete=complete))
    print(f"saved {path}{'' if complete else ', incomplete: it was interrupted'}")
    return 0 if complete else 130


def _measure(experiment: ModuleType, config: object) -> tuple[list[dict], bool]:
    """The rows, and whether they are all."""
    rows = []
    try:
        for row in experiment.measure(config, _say):
            rows.append(row)
    except KeyboardInterrupt:
        return rows, False
    return rows, True


def _refuse(words: str) -> int:
    print(f"attention-limits run: {words}", file=sys.stderr)
    return 2


def _say(share: float | None, words: str) -> None:
    done = "  ..  " if share is None else f"[{share:4.0%}]"
    print(done, words, file=sys.stderr, flush=True)
