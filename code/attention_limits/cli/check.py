"""``attention-limits check``: hold a mechanism of your own to the library's contract."""

import argparse
import ast
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_limits.cli.reporting import filled, refuse, reporting

if TYPE_CHECKING:
    from attention_limits.contract import Report


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Tell the parser of the command."""
    parser = commands.add_parser(
        "check",
        help="hold a mechanism of your own to the library's contract",
        description="Check the attend(q, k, v) of a file, and what else it has of define, visible, "
        "step and cost: equality, causality, gradients, digits, streams, counted costs. See new "
        "for a file to begin with.",
        epilog="Exit status: 0 if nothing failed, 1 if something did, 2 if the file cannot be "
        "checked, 130 if it was interrupted.",
    )
    parser.add_argument("file", metavar="FILE", help="a Python file, such as my_mechanism.py")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="an option of attend, such as window=4; in place of the file's CASES",
    )
    parser.add_argument(
        "--causal",
        action="store_const",
        const=True,
        help="no output may depend on a later token, whether the file says so or not",
    )
    parser.add_argument("--quick", action="store_true", help="smaller inputs")
    parser.add_argument(
        "--html",
        nargs="?",
        const="",
        metavar="PAGE",
        help="write a page with pictures, too; default FILE with .html in place of .py",
    )
    parser.add_argument("--json", action="store_true", help="print it for machines to read")
    parser.set_defaults(run=_check)


def _option(text: str) -> tuple[str, Any]:
    name, is_there, value = text.partition("=")
    if not is_there or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value  # a word without quotation marks


def _check(args: argparse.Namespace) -> int:
    # PyTorch takes seconds to arrive, and a misspelt option should not wait for it.
    from attention_limits import contract

    size = "quick" if args.quick else "full"
    options = dict(args.option) or None
    try:
        # What the reader's file prints is no part of the report.
        with contextlib.redirect_stdout(sys.stderr):
            module = contract.load(args.file)
            with reporting() as progress:
                report = contract.check(
                    module, options=options, causal=args.causal, size=size, progress=progress
                )
    except contract.UnusableError as error:
        return refuse("check", str(error))
    except KeyboardInterrupt:
        return 130
    if args.json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        _print(report)
    if args.html is not None:
        page = Path(args.html or Path(args.file).with_suffix(".html"))
        try:
            page.write_text(contract.to_html(report), encoding="utf-8")
        except OSError as error:
            return refuse("check", f"--html must be a file that can be written, got {error}")
        print(f"wrote {page}", file=sys.stderr)
    return 0 if report.ok else 1


def _print(report: "Report") -> None:
    for line in report.lines():
        print(filled(str(line), margin="", hang=4))
    print(f"{report.name}: {report.summary()}")
