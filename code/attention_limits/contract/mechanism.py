"""A reader's mechanism under one choice of options: how the checks draw its inputs and call it."""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import softplus

from attention_limits.contract.calls import FaultError, home_of, needed, takes, told
from attention_limits.contract.findings import (
    Finding,
    failed,
    shapes_in_words,
    untried,
)
from attention_limits.contract.sizes import D, Size

Options = Mapping[str, Any] | Callable[[int], Mapping[str, Any]]
Module = ModuleType | SimpleNamespace
Inputs = dict[str, torch.Tensor]  # q, k, v, and what else the mechanism takes, by name

LEADS = ((2,), (2, 2), ())  # leading axes to check with: the first that it takes
# Gates that the library's own mechanisms have, drawn where a module says nothing of them.
GATES: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "log_decay": lambda noise: -softplus(noise),
    "beta": lambda noise: 2 * noise.sigmoid(),
}


class Kinds(NamedTuple):
    """Tensors beside q, k and v, by what they have a row for."""

    tokens: tuple[str, ...]  # a row for each token: gates
    pairs: tuple[str, ...]  # a number for each pair of tokens: biases
    constants: tuple[str, ...]  # of one shape for any number of tokens: learned weights


class Case:
    """One mechanism under one choice of options.

    Args:
        module: with ``attend`` and, if it likes, ``define``, ``visible``, ``cost``, ``step``.
        options: keywords of ``attend``, or a function that makes them of the number of keys.
        causal: whether no output may depend on a later token; None if nothing says so.
        size: of the inputs.
    """

    def __init__(self, module: Module, options: Options, causal: bool | None, size: Size) -> None:
        self.module, self.options, self.causal, self.size = module, options, causal, size
        self.home = home_of(module.attend)
        self.failed: set[str] = set()  # names of checks, so that none tells their fault again
        self.queries_meet = False  # whether an output was seen to depend on another's query
        self.crashes: dict[str, str] = {}  # kinds of faults, and the checks that met them first

    @functools.cached_property
    def name(self) -> str:
        """The options in words."""
        return ", ".join(f"{k}={_typed(x)}" for k, x in self.options_at(self.size.map).items())

    def options_at(self, n_k: int) -> dict[str, Any]:
        """The options for so many keys."""
        if not callable(self.options):
            return dict(self.options)
        with told("the function in CASES", self.home):
            return dict(self.options(n_k))

    def met(self, check: str, expected: str, fault: FaultError, smallest: str = "") -> Finding:
        """What a fault is to a check: its failure, unless it was refused or told before."""
        if fault.refused:
            return untried(check, str(fault))
        before = self.crashes.setdefault(fault.kind, check)
        if before != check:
            return untried(check, f"it ends as it did under `{before}`")
        return failed(check, expected, str(fault), smallest)

    def has(self, name: str) -> bool:
        """Whether the module has such a function."""
        return callable(getattr(self.module, name, None))

    @functools.cached_property
    def lead(self) -> tuple[int, ...]:
        """Leading axes that the mechanism takes, if it takes any."""
        for lead in LEADS:
            try:
                self.attend(self.draw((*lead, 5, D)))
            except FaultError:
                continue
            return lead
        return LEADS[0]

    def shape(self, n: int, d: int = D) -> tuple[int, ...]:
        """Of n tokens, with the leading axes that the mechanism takes."""
        return (*self.lead, n, d)

    # --- inputs ---------------------------------------------------------------------------------

    def draw(
        self,
        q_shape: Sequence[int],
        k_shape: Sequence[int] | None = None,
        width: int | None = None,
        *,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
    ) -> Inputs:
        """Standard normal q, k and v, and whatever else the mechanism takes.

        The same numbers in every dtype and on every device, up to their rounding.

        Args:
            q_shape: (..., n_q, d).
            k_shape: (..., n_k, d), that of q if not given.
            width: of the values, that of the keys if not given.
            seed: of the numbers.
            dtype: of the tensors.
            device: likewise.
        """
        k_shape = tuple(q_shape if k_shape is None else k_shape)
        v_shape = (*k_shape[:-1], k_shape[-1] if width is None else width)
        generator = torch.Generator().manual_seed(seed)
        q, k, v = (
            torch.randn(shape, generator=generator, dtype=torch.float64)
            for shape in (tuple(q_shape), k_shape, v_shape)
        )
        drawn = {"q": q, "k": k, "v": v, **self._further(q, k, v, generator)}
        return {
            name: (x.to(dtype) if x.is_floating_point() else x).to(device)
            for name, x in drawn.items()
        }

    def _further(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, generator: torch.Generator
    ) -> Inputs:
        """What ``inputs`` of the module makes, gates that are known, options that are tensors."""
        options = self.options_at(k.shape[-2])
        found = {name: x for name, x in options.items() if isinstance(x, torch.Tensor)}
        if self.has("inputs"):
            with told("inputs", self.home):
                made = self.module.inputs(q, k, v, generator)
            if not isinstance(made, Mapping):
                raise FaultError(f"inputs must return tensors by name, got {type(made).__name__}")
            for name, x in made.items():
                if not isinstance(x, torch.Tensor):
                    raise FaultError(f"inputs must return tensors, got {type(x)} for {name}")
                found[name] = x.detach()
            return found
        for name in needed(self.module.attend):
            if name in GATES and name not in options:
                noise = torch.randn(*k.shape[:-1], 1, generator=generator, dtype=k.dtype)
                found[name] = GATES[name](noise)
        return found

    @functools.cached_property
    def kinds(self) -> Kinds:
        """Which of the further tensors grow with the number of tokens, and how."""
        three, four = (self.draw(self.shape(n)) for n in (3, 4))
        tokens: list[str] = []
        pairs: list[str] = []
        constants: list[str] = []
        for name in list(three)[3:]:
            shapes = three[name].shape[-2:], four[name].shape[-2:]
            grown = [a != b for a, b in zip(*shapes, strict=True)]
            rows, columns = grown if len(grown) == 2 else (False, False)  # a vector has no rows
            (pairs if rows and columns else tokens if rows else constants).append(name)
        return Kinds(tuple(tokens), tuple(pairs), tuple(constants))

    # --- calls ----------------------------------------------------------------------------------

    def attend(self, inputs: Inputs, *, raw: bool = False, **changes: Any) -> torch.Tensor:
        """The output, (..., n_q, d_v), of copies of the inputs unless they are wanted ``raw``.

        Raises:
            FaultError: if there is none, or one of another shape.
        """
        inputs = inputs if raw else {name: x.clone() for name, x in inputs.items()}
        q, k, v, *_ = inputs.values()
        with told("attend", self.home):
            out = self._call("attend", inputs, k.shape[-2], changes)
        wanted = (*torch.broadcast_shapes(*(x.shape[:-2] for x in (q, k, v))), *q.shape[-2:-1])
        self._check_output("attend", out, (*wanted, v.shape[-1]))
        return out

    def step(self, state: Any, inputs: Inputs, n: int) -> tuple[torch.Tensor, Any]:
        """Outputs of the next tokens of a stream of n, and its state.

        Raises:
            FaultError: if there are none.
        """
        with told("step", self.home):
            answer = self._call("step", inputs, n, {}, state)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise FaultError(f"step must return (outputs, state), got {type(answer).__name__}")
        out, state = answer
        _, k, v, *_ = inputs.values()
        self._check_output("step", out, (*out.shape[:-2], k.shape[-2], v.shape[-1]))
        return out, state

    def _call(self, name: str, inputs: Inputs, n_k: int, changes: Mapping, *first: Any) -> Any:
        function = getattr(self.module, name)
        q, k, v, *_ = inputs.values()
        further = {key: x for key, x in list(inputs.items())[3:] if takes(function, key)}
        options = {**self.options_at(n_k), **changes, **further}
        return function(*first, q, k, v, **self.fitting(name, options))

    def fitting(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the options that a function of the module takes."""
        function = getattr(self.module, name)
        return {key: x for key, x in options.items() if takes(function, key)}

    def _check_output(self, name: str, out: object, wanted: tuple[int, ...]) -> None:
        if not isinstance(out, torch.Tensor):
            words = f"{name} must return a torch tensor, got {type(out).__name__}"
            raise FaultError(words)
        if out.shape != wanted:
            words = f"{name} gives the shape {tuple(out.shape)} where it should be {wanted}"
            raise FaultError(words)

    def visible(self, n_q: int, n_k: int) -> np.ndarray | None:
        """Who sees whom, (n_q, n_k) booleans, if the module says so, of the last n_q tokens."""
        if not self.has("visible"):
            return None
        options = self.fitting("visible", self.options_at(n_k))
        with told("visible", self.home):
            if takes(self.module.visible, "n_k"):
                sees = self.module.visible(n_q, **{**options, "n_k": n_k})
            else:
                sees = self.module.visible(max(n_q, n_k), **options)[-n_q:, -n_k:]
        sees = np.asarray(sees)
        if sees.dtype != bool or sees.shape != (n_q, n_k):
            got = f"{sees.dtype} {sees.shape}"
            raise FaultError(f"visible must give booleans of shape {(n_q, n_k)}, got {got}")
        return sees


def _typed(value: object) -> str:
    """A value as a reader types it, or what it is if that is long."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    written = getattr(value, "__name__", repr(value))
    return written if len(written) <= 40 else type(value).__name__


def shapes_of(inputs: Inputs) -> str:
    """Shapes in words."""
    return shapes_in_words(**{name: x.shape for name, x in inputs.items()})
