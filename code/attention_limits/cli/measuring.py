"""What the commands that measure share: a config for this machine, and a record that is saved."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_limits.cli.reporting import refuse, reporting
from attention_limits.experiments import registry

if TYPE_CHECKING:
    from attention_limits.runs.records import Run


def add_out(parser: argparse.ArgumentParser) -> None:
    """Where records are saved."""
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder, default results")


def config_of(name: str, args: argparse.Namespace, **changes: object) -> object:
    """The preset that was asked for, on the device that was, with changes.

    Raises:
        ValueError: if the device is not here, or a change is wrong.
    """
    # PyTorch takes seconds to arrive, and a misspelt name should not wait for it.
    from attention_limits import devices

    device = str(devices.choose(args.device))
    preset = registry.find(name).PRESETS[args.preset]
    return dataclasses.replace(preset, device=device, **changes)


def recorded(command: str, name: str, config: Any, args: argparse.Namespace, **how) -> int:
    """The exit status of measuring and saving a run."""
    from attention_limits.runs.cell_store import LeftoverError
    from attention_limits.runs.records import UnwritableError
    from attention_limits.runs.runner import TeamError
    from attention_limits.runs.workers import LostWorkersError

    try:
        return 0 if record(name, config, args, **how).complete else 130
    except (LeftoverError, UnwritableError, TeamError, LostWorkersError) as error:
        return refuse(command, str(error))


def record(name: str, config: Any, args: argparse.Namespace, **how) -> "Run":
    """Measure, and save the run."""
    from attention_limits.runs import runner

    experiment = registry.find(name)
    takes = experiment.DURATIONS[args.preset]
    changed = " with the seeds of its preset" if getattr(args, "seeds", None) else ""
    print(f"{name} on {config.device} takes {takes}{changed}", file=sys.stderr)
    with reporting() as report:
        run = runner.run(experiment, config, args.out, report, **how)
    if run.complete or not runner.has_cells(experiment):
        interrupted = "" if run.complete else ", incomplete: it was interrupted"
        print(f"saved {args.out / name}.json{interrupted}")
    return run
