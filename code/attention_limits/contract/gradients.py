"""Is the backward pass that of the forward pass, for every tensor that goes in?"""

from collections.abc import Iterator

import torch
from torch.autograd.gradcheck import GradcheckError

from attention_limits.contract.calls import FaultError, told
from attention_limits.contract.findings import Finding, counted, failed, listed, passed, untried
from attention_limits.contract.mechanism import Case, Inputs, shapes_of

STEP = 1e-6  # of a central difference, in float64
LARGE = 10  # times as large as noise: scores of some hundreds, whose e^s float64 still has


def check_gradients(case: Case) -> Iterator[Finding]:
    """Central differences of each input by itself, entry by entry."""
    shapes = [(case.shape(4, 4), case.shape(4, 4), 3), (case.shape(2, 4), case.shape(5, 4), 3)]
    tried, names = [], []
    for number, shape in enumerate([(case.shape(4, 4), case.shape(4, 4), 4), *shapes]):
        inputs = case.draw(*shape)
        try:
            case.attend(inputs)
        except FaultError as fault:
            if number:  # it refuses this shape, which the check of shapes tells
                continue
            yield case.met("gradients", "an output", fault, shapes_of(inputs))
            return
        names = [name for name, x in inputs.items() if x.is_floating_point()]
        for name in names:
            if words := _wrong(case, inputs, name):
                expected = f"the gradient of `{name}` that central differences give"
                yield failed("gradients", expected, words, shapes_of(inputs))
                return
        tried.append(inputs)
    how = f"gradcheck, {counted(len(tried), 'shape')}"
    yield passed("gradients", f"of {listed(names)} they are central differences' ({how})")


def _wrong(case: Case, inputs: Inputs, name: str) -> str:
    """What is wrong with one gradient, in words; nothing if it is right."""

    def attend(x: torch.Tensor) -> torch.Tensor:
        return case.attend({**inputs, name: x})

    x = inputs[name].clone().requires_grad_()
    with told("the backward pass", case.home):
        if not attend(x).requires_grad:
            moved = _differences(attend, x.detach())
            return "none at all: the output is detached from it" if moved.any() else ""
        try:
            if torch.autograd.gradcheck(attend, x, check_undefined_grad=False):
                return ""
        except GradcheckError as error:
            ours = torch.autograd.grad(attend(x).sum(), x)[0]
            return _apart(ours, _differences(attend, x.detach()), str(error))
    return ""


def _differences(attend, x: torch.Tensor) -> torch.Tensor:
    """The gradient of the sum of all outputs, by central differences."""
    found = torch.zeros_like(x)
    for index in range(x.numel()):
        step = torch.zeros_like(x).reshape(-1)
        step[index] = STEP
        step = step.view_as(x)
        found.view(-1)[index] = (attend(x + step) - attend(x - step)).sum() / (2 * STEP)
    return found


def _apart(ours: torch.Tensor, theirs: torch.Tensor, message: str) -> str:
    if not ours.isfinite().all():
        return "NaN or infinity"
    gap = (ours - theirs).abs()
    if float(gap.max()) <= 1e-6 * max(1.0, float(theirs.abs().max())):
        return message.strip().splitlines()[0]  # it is not the sum's
    at = int(gap.argmax())
    missing = "; a part of it is detached" if not ours.any() else ""
    return (
        f"{float(ours.reshape(-1)[at]):.3g} where it should be "
        f"{float(theirs.reshape(-1)[at]):.3g}{missing}"
    )


def check_overflow(case: Case) -> Iterator[Finding]:
    """Large numbers: where float64 has an answer that float32 can hold, so has float32."""
    inputs = case.draw(case.shape(9), dtype=torch.float32)
    large = {**inputs, "q": LARGE * inputs["q"], "k": LARGE * inputs["k"]}
    exact = _answers(case, {name: x.double() for name, x in large.items()})
    most = torch.finfo(torch.float32).max
    if not all(bool((x.abs() < most).all()) for x in exact.values()):
        yield untried("overflow", f"q and k {LARGE} times as large give more than float32 holds")
        return
    for name, x in _answers(case, large).items():
        if not x.isfinite().all():
            what = "NaN" if x.isnan().any() else "infinity"
            found = f"{what} in {name}, where float64 has numbers that float32 can hold"
            expected = f"finite numbers where q and k are {LARGE} times as large as noise"
            yield failed("overflow", expected, found, f"float32 {shapes_of(inputs)}")
            return
    yield passed("overflow", f"finite, gradients too, where q and k are {LARGE} times noise")


def _answers(case: Case, inputs: Inputs) -> Inputs:
    """The output, and the gradients that there are."""
    leaves = {n: x.clone().requires_grad_(x.is_floating_point()) for n, x in inputs.items()}
    out = case.attend(leaves)
    wanted = {name: x for name, x in leaves.items() if x.requires_grad}
    found = {"the output": out.detach()}
    if out.requires_grad:
        with told("the backward pass", case.home):
            grads = torch.autograd.grad(out.sum(), list(wanted.values()), allow_unused=True)
        pairs = zip(wanted, grads, strict=True)
        found |= {f"the gradient of {name}": g for name, g in pairs if g is not None}
    return found
