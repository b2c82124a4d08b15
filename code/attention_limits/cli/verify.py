"""``attention-limits verify``: prove claims' derivations and gather their evidence."""

import argparse
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Iterator

from attention_limits import claims
from attention_limits.claims import VERDICTS, Claim, Result
from attention_limits.cli import search
from attention_limits.cli.reporting import filled, refuse

# How long a piece and its rivals take on a quiet core, in seconds, and those that take much longer.
TYPICAL = 0.6
STARTING = 4.0  # until each process has imported what it needs
SLOW = {
    "encodings.alibi_nearest": 2.0,
    "rotary.commutant": 3.0,
    "rotary.frequencies_do_not_mix": 6.0,
    "rotary.rotary_score_is_relative": 3.0,
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Tell the parser of the command."""
    parser = commands.add_parser(
        "verify",
        help="prove a claim's derivations and gather its evidence",
        description="Prove the derivations of the book's claims, gather their evidence, and say "
        "whether it bears the verdicts out. Each piece of evidence is tried on its rivals, too: "
        "programs or worlds that are wrong in just the way that the claim denies. It passes if it "
        "holds, and refuses all of them.",
        epilog="Exit status: 0 if every check passes, 1 if not, 2 if no claim matches.",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="ids of claims, such as cost-time, or words that a claim must have, such as cubic; "
        "without any, every claim that has evidence",
    )
    parser.add_argument("--list", action="store_true", help="list ids, verdicts and claims only")
    parser.add_argument("--json", action="store_true", help="print a list for machines to read")
    parser.add_argument(
        "--jobs", type=_count, metavar="N", help="processes that share the work; default one a core"
    )
    parser.set_defaults(run=_verify)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text!r}")
    return int(text)


def _verify(args: argparse.Namespace) -> int:
    ledger = claims.load()
    try:
        chosen = search.find(args.words, ledger) if args.words else list(ledger.values())
    except search.NothingFoundError as error:
        return refuse("verify", str(error))
    if args.list:
        return _list(chosen)
    if not args.words:
        chosen = [claim for claim in chosen if claim.pieces]
    _announce(chosen, args.jobs)
    with contextlib.closing(claims.verify_all(chosen, jobs=args.jobs)) as results:
        try:
            return _as_json(chosen, results) if args.json else _as_text(chosen, results)
        except KeyboardInterrupt:
            return 130


def _list(chosen: list[Claim]) -> int:
    wide = max(len(claim.id) for claim in chosen)
    for claim in chosen:
        print(f"{claim.id:<{wide}}  {claim.verdict:<9}  {claim.statement}")
    return 0


# --- how long it takes --------------------------------------------------------------------------


def expected_seconds(chosen: list[Claim], jobs: int) -> float:
    """How long these claims take on so many quiet cores, roughly."""
    pieces = {claims.home(claim, *piece): piece[1] for claim in chosen for piece in claim.pieces}
    each = [SLOW.get(name, TYPICAL) for name in pieces.values()]
    return STARTING + max([sum(each) / jobs, *each])


def _announce(chosen: list[Claim], jobs: int | None) -> None:
    jobs = jobs or os.cpu_count() or 1
    seconds = expected_seconds(chosen, jobs)
    about = f"{round(seconds, -1):.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    checks = _counted(sum(len(claim.pieces) for claim in chosen), "check")
    where = _counted(jobs, "process", "processes")
    print(
        f"{checks} of {_counted(len(chosen), 'claim')}, about {about} in {where}",
        file=sys.stderr,
        flush=True,
    )


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


# --- for machines -------------------------------------------------------------------------------


def _as_json(chosen: list[Claim], results: Iterator[Result]) -> int:
    found = list(_with_progress(chosen, results))
    reports = [_report(claim, found) for claim in chosen]
    print(json.dumps(reports, indent=2, allow_nan=False))
    return 0 if all(report["ok"] for report in reports) else 1


def _report(claim: Claim, results: list[Result]) -> dict:
    """One claim with its results. A claim with nothing to show for itself has not held."""
    own = [result.to_dict() for result in results if result.claim == claim.id]
    ok = bool(own) and all(result["ok"] for result in own)
    assumes = list(claim.assumes)
    return {"id": claim.id, "verdict": claim.verdict, "assumes": assumes, "ok": ok, "results": own}


def _with_progress(chosen: list[Claim], results: Iterator[Result]) -> Iterator[Result]:
    """The results as they come, reported on stderr: a bar for a terminal, lines for a log."""
    total = sum(len(claim.pieces) for claim in chosen)
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(results, desc="verify", total=total, unit="check", file=sys.stderr)
        return
    for k, result in enumerate(results, start=1):
        status = "holds" if result.ok else "does not hold"
        print(f"[{k}/{total}] {result.claim} {result.name} {status}", file=sys.stderr, flush=True)
        yield result


# --- for readers --------------------------------------------------------------------------------


def _as_text(chosen: list[Claim], results: Iterator[Result]) -> int:
    """Each claim, then its checks as they pass, and at the end what all of them say together."""
    failed: dict[str, int] = {}
    for claim in chosen:
        _print_claim(claim)
        for result in itertools.islice(results, len(claim.pieces)):
            _print_check(result)
            failed[claim.id] = failed.get(claim.id, 0) + (not result.ok)
        if not claim.pieces:
            print("  nothing to verify yet")
        print(flush=True)
    _print_summary(chosen, failed)
    return 0 if all(failed.get(claim.id) == 0 for claim in chosen) else 1


def _print_claim(claim: Claim) -> None:
    print(claim.id)
    verdict = f"{claim.verdict} ({VERDICTS[claim.verdict]})"
    parts = {"claim": claim.statement, "verdict": verdict, "reason": claim.reason}
    parts["assumes"] = "; ".join(claim.assumes)
    for name, words in parts.items():
        if words:
            print(filled(words, margin=f"  {name:<9}"))
    sys.stdout.flush()


def _print_check(result: Result) -> None:
    mark = "✓" if result.ok else "✗"
    detail = " ".join(result.detail.split())
    print(f"  {mark} {result.kind} {result.name} ({result.seconds:.2f} s): {detail}", flush=True)
    for rival in result.rivals:
        print(filled(claims.would_read(rival), margin="      ", hang=8), flush=True)


def _print_summary(chosen: list[Claim], failed: dict[str, int]) -> None:
    """What passed is named a verdict each: a claim whose checks pass may well be a false one."""
    checks = sum(len(claim.pieces) for claim in chosen)
    count = sum(failed.values())
    found = f"{count} of them failed" if count else "all passed"
    print(f"{_counted(checks, 'check')} of {_counted(len(chosen), 'claim')}: {found}")
    groups: dict[str, list[str]] = {}
    for claim in chosen:
        stands = "stands" if failed.get(claim.id) == 0 else "is not borne out"
        said = (
            f'the verdict "{claim.verdict}" {stands}' if claim.pieces else "nothing to verify yet"
        )
        groups.setdefault(said, []).append(claim.id)
    for said, ids in groups.items():
        print(filled(", ".join(ids), margin=f"  {said}: ", hang=4))
