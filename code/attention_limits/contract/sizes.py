"""How large the inputs of a check are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The inputs of all checks.

    Attributes:
        map: tokens of which every pair is looked at.
        far: tokens of which a few rows are looked at, past the edges of most tiles.
        precise: tokens whose outputs are compared in lower precision; more than 256, where a
            running sum in bfloat16 stands still.
        lengths: at which FLOPs and memory are counted, the last few for an exponent.
        timed: tokens of the comparison with dense attention.
        repeats: how often each of the two is timed.
        long: tokens of the longest shape that is compared with the definition.
    """

    map: int = 16
    far: int = 97
    precise: int = 520
    lengths: tuple[int, ...] = (97, 128, 256, 512, 1024, 2048)
    timed: int = 1024
    repeats: int = 5
    long: int = 257


SIZES = {
    "full": Size(),
    "quick": Size(
        map=8,
        far=40,
        lengths=(33, 128, 256, 512),
        timed=64,
        repeats=2,
        long=67,
    ),
}
TAIL = 3  # an exponent is fitted to this many of the longest lengths: short ones are overhead
D = 8  # how wide queries and keys are, unless a shape says otherwise
