"""``attention-limits run``: repeat one of the book's measurements."""

import argparse
import dataclasses
import difflib

from attention_limits.cli.measuring import add_out, config_of, recorded
from attention_limits.cli.reporting import refuse
from attention_limits.experiments import registry


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Tell the parser of the command."""
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
    add_out(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.name not in registry.EXPERIMENTS:
        near = difflib.get_close_matches(args.name, registry.EXPERIMENTS, cutoff=0.5)
        names = " or ".join(near or registry.EXPERIMENTS)
        return refuse("run", f"there is no experiment {args.name!r}; did you mean {names}?")
    try:
        changes = _seeds(args.name, args.seeds)
        config = config_of(args.name, args, **changes)
    except ValueError as error:
        return refuse("run", str(error))
    how = {"fresh": args.fresh, "workers": args.workers, "scheduler": args.scheduler}
    return recorded("run", args.name, config, args, **how)


def _seeds(name: str, count: int | None) -> dict[str, tuple[int, ...]]:
    """The change that ``--seeds`` makes to a config.

    Raises:
        ValueError: if the experiment has no seeds to change, or there would be none.
    """
    if count is None:
        return {}
    if "seeds" not in {field.name for field in dataclasses.fields(registry.find(name).Config)}:
        raise ValueError(
            f"--seeds must be left out for {name}, not repeated over seeds, got {count}"
        )
    if count < 1:
        raise ValueError(f"--seeds must be at least 1, got {count}")
    return {"seeds": tuple(range(count))}
