"""What a mechanism is compared with: its definition, or dense attention under its pattern."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch

from attention_limits.attention import dense
from attention_limits.contract.calls import FaultError, told
from attention_limits.contract.mechanism import Case, Inputs

NOTHING = (
    "there is neither `define` (the equation in NumPy) nor `visible` (who sees whom), so that "
    "nothing says what the output should be"
)


def name_of(case: Case) -> str:
    """What it is compared with, in words; empty if there is nothing."""
    if case.has("define"):
        return "`define`"
    return "dense attention under `visible`" if case.has("visible") else ""


def reference(case: Case, inputs: Inputs) -> torch.Tensor:
    """What the output should be, in float64, on the CPU.

    Raises:
        FaultError: if the reader's own reference cannot say.
    """
    arrays = {name: x.detach().cpu().double().numpy() for name, x in inputs.items()}
    if case.has("define"):
        return torch.from_numpy(_defined(case, arrays))
    q, k, v = (arrays[name] for name in "qkv")
    sees = case.visible(q.shape[-2], k.shape[-2])
    scale = {"scale": x} if (x := case.options_at(k.shape[-2]).get("scale")) is not None else {}
    return torch.from_numpy(dense.define(q, k, v, mask=sees, **scale))


def _defined(case: Case, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """By a ``define`` for arrays with leading axes or, if it does not know these, one by one."""
    q, k, v = (arrays[name] for name in "qkv")
    lead = np.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v)))
    wanted = (*lead, q.shape[-2], v.shape[-1])
    if not lead:
        return _call(case, arrays, wanted)
    try:
        alone = [_call(case, part, wanted[-2:]) for part in _parts(case, arrays, lead)]
    except FaultError:  # it wants the leading axes: those of heads, say, that it mixes
        return _call(case, arrays, wanted)
    return np.reshape(alone, wanted)


def _parts(case: Case, arrays: dict[str, np.ndarray], lead: tuple) -> Iterator[dict]:
    """The arrays of each sequence by itself."""
    alone = {*"qkv", *case.kinds.tokens, *case.kinds.pairs}
    whole = {
        name: np.broadcast_to(x, (*lead, *x.shape[-2:])) if name in alone else x
        for name, x in arrays.items()
    }
    for index in itertools.product(*map(range, lead)):
        yield {name: x[index] if name in alone else x for name, x in whole.items()}


def _call(case: Case, arrays: dict[str, np.ndarray], wanted: tuple) -> np.ndarray:
    options = {**case.options_at(arrays["k"].shape[-2]), **dict(list(arrays.items())[3:])}
    arrays = {name: x.copy() for name, x in arrays.items()}
    with told("define", case.home):
        out = case.module.define(*(arrays[n] for n in "qkv"), **case.fitting("define", options))
    out = np.asarray(out, dtype=np.float64)
    if out.shape != wanted:
        raise FaultError(f"define gives the shape {out.shape} where it should be {wanted}")
    return out
