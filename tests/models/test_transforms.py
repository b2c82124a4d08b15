"""Every kind of model, with every mechanism and encoding, under the transforms of PyTorch.

What is transformed is the logits as a function of weights, for tokens (s, batch, n).
"""

from contextlib import nullcontext
from dataclasses import replace

import torch
from helpers.small_models import CASES as MODELS
from helpers.small_models import built, sequences
from helpers.tables import assert_rows_for
from helpers.transforms import COMPILERS, QUIET, TRANSFORMS, Case, everything_tried
from torch.nn.attention import SDPBackend, sdpa_kernel

from attention_limits.attention import MECHANISMS
from attention_limits.models import KINDS
from attention_limits.models.encodings import ENCODINGS

pytestmark = QUIET

SEEDS = (3, 5)
# A mechanism, an encoding or a kind once, at the first of its options.
NAMES = [
    *(name for name in MODELS if name in MECHANISMS),
    *(name for name in MODELS if name.startswith("position ")),
    *(name for name in MODELS if name in KINDS),
]
# Compiled is what has code of its own in a model; the functions that models call are compiled where
# they are tried themselves, and tests/attention/test_in_a_model.py trains with each mechanism.
COMPILED = ("position relative_bias", *KINDS)
WITHIN_AUTOCAST = ("position shaw", "position time_aware")
# A mechanism is differentiated twice in tests/attention/test_transforms.py, and a model around one
# of them here; and of three recurrent cells, which one loop calls, the LSTM's has most of a state.
DEEP = {
    **{name: ("a second backward pass",) for name in NAMES if name in MECHANISMS},
    "dense": (),
    "rnn": ("compile for any length",),
    "gru": ("compile for any length",),
}


def case(name):
    """A model of a layer, as a function of most of its weights, of tokens and, if wanted, times."""
    architecture = replace(MODELS[name], layers=1)
    models = {dtype: built(architecture, SEEDS, dtype) for dtype in (torch.float64, torch.float32)}
    named = models[torch.float64].named_parameters()
    weights = {key: x.detach() for key, x in named if x.numel() < 200}  # all but large matrices

    def make(n, seed):
        generator = torch.Generator().manual_seed(seed)
        moved = [x + 0.1 * torch.randn(x.shape, generator=generator) for x in weights.values()]
        tokens, where = sequences(architecture, [seed + s for s in SEEDS], batch=1, n=n)
        return [*moved, tokens, *where.values()]

    def call(*inputs):
        moved = dict(zip(weights, inputs, strict=False))
        tokens, *times = inputs[len(weights) :]
        where = {"times": times[0]} if times else {}
        return torch.func.functional_call(models[inputs[0].dtype], moved, tokens, where)

    return Case(
        call,
        make,
        n=9,
        lengths=(10, 9, 12),  # a layout of block_sparse has three blocks of four
        given=1 + (architecture.position == "time_aware"),
        rounds=True,
        compilers=COMPILERS if name in COMPILED else COMPILERS[: name in WITHIN_AUTOCAST],
        deep=DEEP.get(name, ()),
    )


CASES = {name: case(name) for name in NAMES}


def test_every_mechanism_encoding_and_kind_is_among_the_cases():
    where = "NAMES in tests/models/test_transforms.py"
    tried = [MODELS[name] for name in NAMES]
    assert_rows_for(MECHANISMS, {where: {architecture.mechanism for architecture in tried}})
    assert_rows_for(ENCODINGS, {where: {architecture.position for architecture in tried}})
    assert_rows_for(KINDS, {where: {architecture.kind for architecture in tried}})


@everything_tried(CASES)
def test_goes_through(case, transform):
    # `dense` and `clock` are differentiable twice in this kernel, and say so in any other.
    twice = transform is TRANSFORMS["a second backward pass"]
    with sdpa_kernel(SDPBackend.MATH) if twice else nullcontext():
        transform(case)
