"""The state of a training in a file: whole or not at all, and of this training or refused."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def place(checkpoint: str | os.PathLike | None) -> Path | None:
    """Where a checkpoint is kept, if it is; found out before the training, not at its first save.

    Raises:
        ValueError: if it is no path, a folder, or in a folder that is not there.
    """
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, str | os.PathLike):
        raise ValueError(f"checkpoint must be a path, or None, got {type(checkpoint)}")
    path = Path(checkpoint)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"checkpoint must be a file in a folder that exists, got {path}")
    return path.absolute()  # the processes of an ensemble may stand elsewhere


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state; a kill leaves the file before or the file after, never half of one."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)


def read(path: Path, made: Mapping[str, str], device: torch.device) -> dict[str, Any]:
    """The state in a file.

    Args:
        path: of the file.
        made: what it must have been made with, under "made".
        device: where its tensors go.

    Raises:
        ValueError: if it is no checkpoint, or one of another training.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        other = [name for name, value in made.items() if state["made"].get(name) != value]
    except Exception as error:  # a torn file fails in as many ways as it has bytes
        kind = type(error).__name__
        raise ValueError(
            f"checkpoint {path.name} must be whole, got a corrupted one; delete it ({kind})"
        ) from error
    if other:
        raise ValueError(
            f"checkpoint {path.name} must be of this training, got one of another "
            f"{' and another '.join(other)}; delete it to start anew"
        )
    return state
