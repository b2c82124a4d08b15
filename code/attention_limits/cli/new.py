"""``attention-limits new``: a file to begin a mechanism of your own with."""

import argparse
from importlib import resources
from pathlib import Path

from attention_limits.cli.reporting import refuse


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Tell the parser of the command."""
    parser = commands.add_parser(
        "new",
        help="write a file to begin a mechanism of your own with",
        description="Write a small mechanism that passes the check, with comments, for you to put "
        "yours in its place.",
        epilog="Exit status: 0, or 2 if the file is there already or cannot be written.",
    )
    parser.add_argument("file", metavar="FILE", help="such as my_mechanism, or my_mechanism.py")
    parser.set_defaults(run=_new)


def _new(args: argparse.Namespace) -> int:
    path = Path(args.file)
    if path.suffix != ".py":
        path = path.with_name(f"{path.name}.py")
    if not path.stem.isidentifier():
        words = "FILE must have a name that Python can import, such as my_mechanism.py"
        return refuse("new", f"{words}, got {path.name!r}")
    # Read as a file, for importing it would import PyTorch.
    template = resources.files("attention_limits") / "contract" / "template.py"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template.read_text(encoding="utf-8"))
    except FileExistsError:
        return refuse("new", f"FILE must not be there yet, got {str(path)!r}")
    except OSError as error:
        return refuse("new", f"FILE must be one that can be written, got {error}")
    print(f"wrote {path}; check it with: attention-limits check {path}")
    return 0
