"""What a model is made of: a value, so that an experiment can name it, compare it and record it."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from attention_limits.attention import MECHANISMS
from attention_limits.checks import Plain, check_centre, check_choice, check_count
from attention_limits.models.encodings import ENCODINGS
from attention_limits.models.options import check_names, check_values, options_of
from attention_limits.positions import POSITIONS

KINDS = ("transformer", "rnn", "gru", "lstm", "convolution")
NORMS = ("pre", "post", "none")
NEED_BIAS = ("alibi", "relative_bias", "shaw", "time_aware")  # which `dense` alone can add
# Mechanisms have them, but they are said elsewhere, or come with the tokens.
NO_OPTIONS = {"causal", "qk_norm", "bias", "mask", "segments", "table"}
OF_TRANSFORMERS = (
    "mechanism",
    "options",
    "position",
    "position_options",
    "qk_norm",
    "learn_log_n",
    "log_n_of_bias",
)


@dataclass(frozen=True)
class Architecture(Plain):
    """A small model, without its weights.

    Collections and arrays among the options are kept as tuples, so that an architecture can be a
    key, and equals the one that is made of its ``asdict`` after a way through JSON.

    Args:
        kind: one of ``KINDS``.  What follows up to ``qk_norm`` is of Transformers only.
        mechanism: how a Transformer attends, one of ``attention.MECHANISMS``.
        options: the mechanism's own, such as ``{"window": 16}``; those of ``cost`` included.
        position: how it knows where a token stands, one of ``positions.POSITIONS``.
        position_options: the encoding's own: see ``models.encodings``.
        norm: where layers are normalised: "pre", before attention and MLP, "post", after they were
            added to the stream, or "none".
        heads: of attention; they share ``d_model``.
        mlp: width of the MLP over ``d_model``; 0 leaves it out.
        qk_norm: whether queries and keys are brought to length 1, and a scale a head is learned.
        learn_log_n: whether the option ``log_n`` is only where each head begins, and is learned.
        log_n_of_bias: whether ``log_n`` multiplies what an encoding adds to the scores as well.
        causal: whether a token sees none that comes after it.  Recurrent networks never do, and a
            mechanism that never does is refused without it.
        d_model: the width of a token.
        layers: how many.
        width: of a convolution's kernels, odd unless causal; layer l has the dilation 2^l.

    Raises:
        ValueError: naming the argument, or the option, if one has no sensible value or two exclude
            each other.
    """

    kind: str = "transformer"
    mechanism: str = "dense"
    options: Mapping[str, Any] = field(default_factory=dict)
    position: str = "none"
    position_options: Mapping[str, Any] = field(default_factory=dict)
    norm: str = "pre"
    heads: int = 4
    mlp: int = 4
    qk_norm: bool = False
    learn_log_n: bool = False
    log_n_of_bias: bool = False
    causal: bool = True
    d_model: int = 64
    layers: int = 2
    width: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("kind", self.kind, KINDS)
        check_choice("norm", self.norm, NORMS)
        check_choice("mechanism", self.mechanism, MECHANISMS)
        check_choice("position", self.position, POSITIONS)
        for name in ("heads", "d_model", "layers", "width"):
            check_count(name, getattr(self, name), least=1)
        check_count("mlp", self.mlp)
        for name in ("options", "position_options"):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise ValueError(f"{name} must be a mapping from names to values, got {given!r}")
        if self.kind == "transformer":
            self._check_transformer()
        else:
            self._check_other()

    def __hash__(self) -> int:
        parts = vars(self).values()
        return hash(tuple(frozenset(x.items()) if isinstance(x, dict) else x for x in parts))

    @property
    def attention(self) -> ModuleType:
        """The mechanism's module."""
        return importlib.import_module(f"attention_limits.attention.{self.mechanism}")

    @property
    def gates(self) -> tuple[str, ...]:
        """The tensors that the mechanism wants after queries, keys and values."""
        names = inspect.signature(self.attention.attend).parameters
        return tuple(name for name in names if name in ("log_decay", "beta"))

    def fitting(self, function: str) -> dict[str, Any]:
        """Those of the options that a function of the mechanism takes, ``causal`` among them."""
        takes = options_of(getattr(self.attention, function))
        given = {**self.options, "causal": self.causal}
        if "layout" in given:
            given["layout"] = np.array(given["layout"])
        return {name: x for name, x in given.items() if name in takes}

    def _check_transformer(self) -> None:
        if self.d_model % self.heads:
            raise ValueError(
                f"heads must divide d_model = {self.d_model}, which they share, got {self.heads}"
            )
        for name, wanted in (
            ("position", self.position in NEED_BIAS),
            ("qk_norm", self.qk_norm),
        ):
            if wanted and self.mechanism != "dense":
                raise ValueError(
                    f"{name} must suit the mechanism {self.mechanism}, which unlike 'dense' lets "
                    f"nothing change its scores, got {getattr(self, name)!r}"
                )
        for name in ("learn_log_n", "log_n_of_bias"):
            if getattr(self, name) and not (self.causal and "log_n" in self.options):
                raise ValueError(
                    f"{name} must be False unless causal and with the option 'log_n', "
                    f"got {getattr(self, name)!r}"
                )
        self._check_options()
        self._check_position_options()

    def _check_options(self) -> None:
        takes = options_of(self.attention.attend)
        if not self.causal and "causal" not in takes:
            raise ValueError(
                f"causal must be True for {self.mechanism}, which never looks ahead, "
                f"got {self.causal!r}"
            )
        hidden = NO_OPTIONS | ({"scale"} if self.qk_norm else set())  # a scale that is learned
        takes |= options_of(self.attention.cost)
        takes = {name: default for name, default in takes.items() if name not in hidden}
        check_names("options", self.options, self.mechanism, takes)
        check_values(self.options, heads=self.heads, causal=self.causal)

    def _check_position_options(self) -> None:
        encoding = ENCODINGS[self.position]
        takes = options_of(encoding)
        check_names("position_options", self.position_options, self.position, takes)
        encoding.check(self, **{**takes, **self.position_options})

    def _check_other(self) -> None:
        for name in OF_TRANSFORMERS:
            given, default = getattr(self, name), getattr(Architecture, name, {})
            if given != default:
                raise ValueError(
                    f"{name} must be {default!r}, its default, for a {self.kind}, which has no use "
                    f"for it, got {given!r}"
                )
        if self.kind == "convolution":
            check_centre("width", self.width, self.causal)
