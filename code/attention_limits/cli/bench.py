"""``attention-limits bench``: compare the library's speed and memory with its peers'."""

import argparse

from attention_limits.cli.measuring import add_out, config_of, record
from attention_limits.cli.reporting import refuse


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Tell the parser of the command."""
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
    add_out(parser)
    parser.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> int:
    changes = {"groups": tuple(dict.fromkeys(args.only))} if args.only else {}
    try:
        config = config_of("speed", args, **changes)
    except ValueError as error:
        return refuse("bench", str(error))
    from attention_limits.experiments.speed import DisagreementError, tables
    from attention_limits.runs.records import UnwritableError

    try:
        run = record("speed", config, args)
    except (DisagreementError, UnwritableError) as error:
        return refuse("bench", str(error))
    print(f"\n{tables.report(run)}")
    return 0 if run.complete else 130
