"""The command line: ``attention-limits verify`` checks what the book says, on your machine.

``attention-limits run`` repeats its measurements there, ``attention-limits results`` all of those
that it quotes, and ``attention-limits bench`` compares the library with its peers.
``attention-limits check`` holds a mechanism of your own to what the library's own are held to, and
``attention-limits new`` writes a file to begin one with.
"""

import argparse
from collections.abc import Sequence
from importlib import metadata

from attention_limits.cli import bench, check, new, reporting, results, run, verify


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    reporting.allow_any_console()
    args = _parser().parse_args(argv)
    return args.run(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="attention-limits",
        description="The library behind The Limits of Attention, on the command line.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (verify, run, results, bench, check, new):
        command.add_parser(commands)
    return parser


def _version() -> str:
    try:
        return metadata.version("attention-limits")
    except metadata.PackageNotFoundError:
        return "(from source, not installed)"
