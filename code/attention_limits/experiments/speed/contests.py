"""Who is compared with whom: a group has one task, ours who do it, and their peers."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from attention_limits.attention import (
    block_sparse,
    clock,
    delta_rule,
    fractal,
    gated_delta_rule,
    gated_linear,
    linear,
    offsets,
    online_softmax,
    sliding_window,
    window_2d,
)
from attention_limits.attention.cost import Cost
from attention_limits.experiments.speed import peers
from attention_limits.experiments.speed.peers import COMPILER, Attend
from attention_limits.experiments.speed.sizes import Sizes

Prepare = Callable[[Sizes, int, str], Attend]


@dataclass(frozen=True)
class Contestant:
    """One computation of a group.

    Args:
        name: a mechanism of this package, or what a table calls the peer.
        prepare: makes the computation, outside the clock.
        same: another way to compute the same; None where the comparison has none.
        cost: what a mechanism of ours costs; None for a peer.
        against: which of ours a peer is compared with.
        needs: the package, or the compiler, without which there is nothing to measure.
        trains: whether gradients can be computed.
        metered: whether the meter of memory sees what it does.
    """

    name: str
    prepare: Prepare
    same: Prepare | None = None
    cost: Callable[[Sizes, int], Cost] | None = None
    against: tuple[str, ...] = ()
    needs: str = ""
    trains: bool = True
    metered: bool = True


class Group(NamedTuple):
    """A task: its title, the gates that it takes after the values, and who does it."""

    title: str
    gates: tuple[str, ...]
    contestants: tuple[Contestant, ...]
    square: bool = False  # whether tokens are those of a square image: lengths are squares

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every comparison, as one of ours and a peer; those of one of ours together."""
        names = [contestant.name for contestant in self.contestants]
        every = [(ours, peer.name) for peer in self.contestants for ours in peer.against]
        return sorted(every, key=lambda pair: names.index(pair[0]))


def _ours(module, options: Callable[[Sizes, int], dict] = lambda sizes, n: {}, **more):
    """A mechanism of this package: its module, and its options at some length."""

    def prepare(sizes: Sizes, n: int, device: str) -> Attend:
        return functools.partial(module.attend, **options(sizes, n))

    def cost(sizes: Sizes, n: int) -> Cost:
        return module.cost(**options(sizes, n))

    name = module.__name__.rpartition(".")[-1]
    return Contestant(name, prepare, cost=cost, **more)


def _window(sizes: Sizes, n: int) -> dict:
    return dict(window=sizes.window, causal=True)


def _layout(sizes: Sizes, n: int) -> dict:
    return dict(layout=sizes.layout(n), block=sizes.block, causal=True)


def _offsets(sizes: Sizes, n: int) -> dict:
    return dict(offsets=offsets.powers_of_two(n))


def _shifted(sizes: Sizes, n: int) -> dict:
    return dict(width=math.isqrt(n), window=sizes.side, shift=sizes.side // 2)


def _wider(causal: bool) -> Prepare:
    """Windowed attention as two peers have it: one key more on each side that they see."""

    def prepare(sizes: Sizes, n: int, device: str) -> Attend:
        return functools.partial(sliding_window.attend, window=sizes.window + 1, causal=causal)

    return prepare


WINDOW = _ours(sliding_window, _window)
BLOCKS = _ours(block_sparse, _layout)
OFFSETS = _ours(offsets, _offsets)
ON_IMAGE = _ours(window_2d, _shifted)
LINEAR = _ours(linear, lambda sizes, n: dict(causal=True))
GATED_LINEAR, DELTA, GATED_DELTA = map(_ours, (gated_linear, delta_rule, gated_delta_rule))

GROUPS = {
    "dense": Group(
        "All earlier tokens",
        (),
        (
            _ours(online_softmax, lambda sizes, n: dict(causal=True), same=peers.sdpa),
            Contestant("SDPA", peers.sdpa, against=("online_softmax",)),
        ),
    ),
    "reach": Group(
        "Some tokens at every distance",
        (),
        (
            OFFSETS,
            _ours(clock, lambda sizes, n: dict(period=sizes.period)),
            _ours(fractal),
            Contestant("SDPA", peers.sdpa, against=("offsets", "clock", "fractal")),
            Contestant(
                "SDPA, mask of offsets",
                peers.masked(lambda sizes, n: offsets.visible(n, **_offsets(sizes, n))),
                same=OFFSETS.prepare,
                against=("offsets",),
            ),
        ),
    ),
    "window": Group(
        "A window of recent tokens",
        (),
        (
            WINDOW,
            Contestant(
                "SDPA, banded mask",
                peers.masked(lambda sizes, n: sliding_window.visible(n, **_window(sizes, n))),
                same=WINDOW.prepare,
                against=("sliding_window",),
            ),
            Contestant(
                "flex_attention",
                peers.flex_window,
                same=WINDOW.prepare,
                against=("sliding_window",),
                needs=COMPILER,
                trains=False,
                metered=False,
            ),
            Contestant(
                "local-attention",
                peers.local_attention,
                same=_wider(causal=True),
                against=("sliding_window",),
                needs="local-attention",
            ),
            Contestant(
                "Longformer",
                peers.longformer,
                same=_wider(causal=False),
                against=("sliding_window",),
                needs="transformers",
            ),
        ),
    ),
    "block_sparse": Group(
        "Some blocks of tokens",
        (),
        (
            BLOCKS,
            Contestant(
                "gathered, then SDPA",
                peers.gathered,
                same=BLOCKS.prepare,
                against=("block_sparse",),
            ),
            Contestant(
                "SDPA, mask of blocks",
                peers.masked(lambda sizes, n: block_sparse.visible(n, **_layout(sizes, n))),
                same=BLOCKS.prepare,
                against=("block_sparse",),
            ),
            Contestant(
                "flex_attention",
                peers.flex_blocks,
                same=BLOCKS.prepare,
                against=("block_sparse",),
                needs=COMPILER,
                trains=False,
                metered=False,
            ),
        ),
    ),
    "image": Group(
        "Shifted windows on an image",
        (),
        (
            ON_IMAGE,
            Contestant(
                "Swin",
                peers.swin,
                same=ON_IMAGE.prepare,
                against=("window_2d",),
                needs="transformers",
            ),
            Contestant(
                "rolled, then SDPA", peers.rolled, same=ON_IMAGE.prepare, against=("window_2d",)
            ),
            Contestant(
                "SDPA, mask of windows",
                peers.masked(lambda sizes, n: window_2d.visible(n, **_shifted(sizes, n))),
                same=ON_IMAGE.prepare,
                against=("window_2d",),
            ),
            Contestant("SDPA, all pixels", peers.everywhere, against=("window_2d",)),
        ),
        square=True,
    ),
    "linear": Group(
        "Linear attention",
        (),
        (
            LINEAR,
            Contestant(
                "naive chunks", peers.linear_chunks, same=LINEAR.prepare, against=("linear",)
            ),
            Contestant("plain loop", peers.linear_loop, same=LINEAR.prepare, against=("linear",)),
            Contestant(
                "cumulative sum", peers.linear_tokens, same=LINEAR.prepare, against=("linear",)
            ),
        ),
    ),
    "gated_linear": Group(
        "Linear attention with a decay",
        ("log_decay",),
        (
            GATED_LINEAR,
            Contestant(
                "naive chunks",
                peers.decaying_chunks,
                same=GATED_LINEAR.prepare,
                against=("gated_linear",),
            ),
        ),
    ),
    "delta_rule": Group(
        "The delta rule",
        ("beta",),
        (
            DELTA,
            Contestant(
                "naive chunks", peers.delta_chunks, same=DELTA.prepare, against=("delta_rule",)
            ),
        ),
    ),
    "gated_delta_rule": Group(
        "The delta rule with a decay",
        ("log_decay", "beta"),
        (
            GATED_DELTA,
            Contestant(
                "naive chunks",
                peers.gated_delta_chunks,
                same=GATED_DELTA.prepare,
                against=("gated_delta_rule",),
            ),
        ),
    ),
}

SEQUENCES = tuple(name for name, group in GROUPS.items() if not group.square)


def draw(group: Group, sizes: Sizes, n: int, seed: int, device: str) -> tuple[torch.Tensor, ...]:
    """Queries, keys, values and the gates that the group takes: (1, heads, n, d) or (…, n, 1)."""
    generator = torch.Generator().manual_seed(seed)

    def normal(width: int) -> torch.Tensor:
        return torch.randn((1, sizes.heads, n, width), generator=generator)

    q, k, v = (normal(sizes.d) for _ in range(3))
    gates = {
        "log_decay": torch.nn.functional.logsigmoid(normal(1) + 4),  # keeps most of 50 tokens
        "beta": torch.sigmoid(normal(1)),
    }
    return tuple(x.to(device) for x in (q, k, v, *(gates[name] for name in group.gates)))
