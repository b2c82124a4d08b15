"""``attention-limits verify``: prove claims' derivations and gather their evidence."""

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Iterator

from attention_limits import claims
from attention_limits.claims import Claim, Result


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Tell the parser of the command."""
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
