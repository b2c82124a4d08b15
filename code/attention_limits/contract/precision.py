"""Lower precision, other devices."""

from collections.abc import Iterator

import numpy as np
import torch

from attention_limits import devices
from attention_limits.contract.calls import FaultError
from attention_limits.contract.findings import Finding, failed, passed, untried
from attention_limits.contract.mechanism import Case, Inputs, shapes_of
from attention_limits.contract.sizes import D

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
DIGITS = {torch.float32: 1e-5}  # of the output's size; in half precision two units of rounding
ROUNDINGS = 2
PLAIN = 2  # or so many times the error of a plain softmax in that precision
ROWS = 3  # of a batch
ELSEWHERE = 1e-4  # between two devices, in float32


def check_precision(case: Case) -> Iterator[Finding]:
    """The output has the dtype of q, and the digits that this dtype can give."""
    errors: dict[str, tuple[float, float]] = {}
    for dtype in DTYPES:
        name = str(dtype).removeprefix("torch.")
        inputs = case.draw(case.shape(case.size.precise, 16), dtype=dtype)
        where = f"{name} {shapes_of(inputs)}"
        exact = case.attend({n: _doubled(x) for n, x in inputs.items()}).detach()
        try:
            out = case.attend(inputs).detach()
        except FaultError as fault:
            yield case.met("precision", f"an output in {name}", fault, where)
            continue
        for given, answer in ((torch.float64, exact), (dtype, out)):
            if answer.dtype != given:
                expected = f"an output in the dtype of q, {given}"
                yield failed("precision", expected, f"{answer.dtype}", shapes_of(inputs))
                return
        limit = max(
            DIGITS.get(dtype, ROUNDINGS * torch.finfo(dtype).eps), PLAIN * _plain(case, inputs)
        )
        errors[name] = _error(out, exact), limit
        if not errors[name][0] <= limit:
            found = f"{errors[name][0]:.1e} of it{_advice(dtype)}"
            expected = f"an error of at most {limit:.1e} of the output's size"
            yield failed("precision", expected, found, where, errors=errors)
            return
    if errors:
        told = ", ".join(f"{name} {error:.1e}" for name, (error, _) in errors.items())
        yield passed("precision", f"errors beside the output: {told}", errors=errors)


def _advice(dtype: torch.dtype) -> str:
    return "" if dtype == torch.float32 else ": compute in float32 what is summed up, then round"


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return x.double() if x.is_floating_point() else x


def _errors(out: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """Of each token, beside the size of its own output: later ones of a mean are smaller."""
    apart, size = (x.movedim(-2, 0).flatten(1).norm(dim=1) for x in (out.double() - exact, exact))
    return apart / torch.where(size == 0, 1, size)


def _error(out: torch.Tensor, exact: torch.Tensor) -> float:
    return float(_errors(out, exact).max())


def _plain(case: Case, inputs: Inputs) -> float:
    """The error of three lines of PyTorch: a softmax in the same precision and pattern."""
    q, k, v = (inputs[name] for name in "qkv")
    n = q.shape[-2]
    sees = case.visible(n, n)
    hidden = ~torch.from_numpy(np.tri(n, dtype=bool) if sees is None else sees)
    if sees is None and not case.causal:
        hidden = torch.zeros_like(hidden)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(hidden, -torch.inf)
        return scores.softmax(-1).nan_to_num() @ v

    return _error(attend(q, k, v), attend(q.double(), k.double(), v.double()))


def check_devices(case: Case) -> Iterator[Finding]:
    """Shapes without numbers, on the meta device, and every accelerator that is here."""
    shape = case.shape(9)
    inputs = case.draw(shape, dtype=torch.float32, device="meta")
    expected = "a shape on the meta device, which shows a missing device= with no GPU at hand"
    try:
        out = case.attend(inputs)
    except FaultError as fault:
        yield case.met("devices", expected, fault, shapes_of(inputs))
        return
    if out.device.type != "meta":
        yield failed("devices", expected, f"an output on {out.device}", shapes_of(inputs))
        return
    others = devices.available()[1:]
    on_cpu = case.attend(case.draw(shape, dtype=torch.float32)).detach()
    for device in others:
        inputs = case.draw(shape, dtype=torch.float32, device=device)
        try:
            out = case.attend(inputs)
        except FaultError as fault:
            yield case.met("devices", f"an output on {device}", fault, shapes_of(inputs))
            return
        if out.device.type != device or _error(out.detach().cpu(), on_cpu.double()) > ELSEWHERE:
            found = f"another, on {out.device}"
            yield failed("devices", f"the CPU's output on {device}", found, shapes_of(inputs))
            return
    also = f", and on {others[0]} the CPU's output" if others else "; no accelerator is here"
    yield passed("devices", f"the meta device gives the shape{also}")


# --- what a call leaves behind ------------------------------------------------------------------


def check_strides(case: Case) -> Iterator[Finding]:
    """Heads are transposed out of a model's width in practice, so that nothing is contiguous."""
    inputs = case.draw(case.shape(9))
    strided = {name: x.mT.contiguous().mT if x.ndim > 1 else x for name, x in inputs.items()}
    expected = case.attend(inputs).detach()
    try:
        out = case.attend(strided).detach()
    except FaultError as fault:
        wanted = "an output of inputs that are not contiguous"
        yield case.met("strides", wanted, fault, shapes_of(inputs))
        return
    apart = _error(out, expected)
    if apart > 1e-9:
        wanted = "the same output of the same numbers, contiguous or not"
        yield failed("strides", wanted, f"a difference of {apart:.1e}", shapes_of(inputs))
        return
    yield passed("strides", "inputs need not be contiguous")


def check_rows(case: Case) -> Iterator[Finding]:
    """What one sequence of a batch gets does not depend on the others."""
    if not case.lead:
        yield untried("rows", "`attend` takes no axis of a batch")
        return
    inputs = case.draw((ROWS, *case.lead[1:], 9, D))
    together = case.attend(inputs).detach()
    for row in range(ROWS):
        alone = {
            name: x[row : row + 1] if x.ndim > 2 and len(x) == ROWS else x
            for name, x in inputs.items()
        }
        apart = _error(case.attend(alone).detach(), together[row : row + 1])
        if apart > 1e-9:
            wanted = "for each sequence of a batch what it gives alone"
            found = f"a difference of {apart:.1e}: one sequence sees another"
            yield failed("rows", wanted, found, shapes_of(inputs))
            return
    yield passed("rows", "sequences of a batch do not see each other")


def check_purity(case: Case) -> Iterator[Finding]:
    """A call changes nothing that it was given, and gives the same each time."""
    inputs = case.draw(case.shape(9), dtype=torch.float32)
    kept = {name: x.clone() for name, x in inputs.items()}
    first = case.attend(inputs, raw=True).detach().clone()
    for name, x in inputs.items():
        if not torch.equal(x, kept[name]):
            found = f"`{name}` is another after the call"
            yield failed("in place", "inputs left as they were", found, shapes_of(inputs))
            break
    else:
        yield passed("in place", "inputs are left as they were")
    if torch.equal(case.attend(kept).detach(), first):
        yield passed("determinism", "two calls give the same bits")
    else:
        found = "two calls differ: what is random must come in as a tensor"
        yield failed("determinism", "the same bits from the same inputs", found, shapes_of(inputs))
