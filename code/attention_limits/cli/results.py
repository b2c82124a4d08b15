"""``attention-limits results``: measure anew all that the book quotes."""

import argparse

from attention_limits.cli.measuring import add_out, config_of, recorded
from attention_limits.cli.reporting import refuse
from attention_limits.experiments import registry


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Tell the parser of the command."""
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
    add_out(parser)
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
            config = config_of(name, args)
        except ValueError as error:
            return refuse("results", str(error))
        fresh = args.fresh or not runner.is_under_way(registry.find(name), args.out)
        if status := recorded("results", name, config, args, fresh=fresh):
            return status
    return 0
