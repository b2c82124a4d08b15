"""How fast windows on an image are next to their peers: images of 224, 512 and 1,024 pixels a side.

Conventions, works and quantities are those of ``experiments.speed``, whose one group of images this
is: a run of its own, since a square image has lengths of its own.  A token is a patch of 4 by 4
pixels, so that an image of 224 by 224 pixels has 56 by 56 tokens, and windows are 8 by 8 tokens,
which fill all three: Swin pads where they do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from attention_limits.experiments import speed
from attention_limits.experiments.speed.contests import GROUPS
from attention_limits.progress import Progress

PATCH = 4  # pixels a side
IMAGES = (224, 512, 1024)  # likewise
COLUMNS, TIMED, PACKAGES = speed.COLUMNS, True, speed.PACKAGES


@dataclass(frozen=True)
class Config(speed.Config):
    """As for ``experiments.speed``, of images."""

    groups: tuple[str, ...] = tuple(name for name, group in GROUPS.items() if group.square)
    lengths: tuple[int, ...] = tuple((pixels // PATCH) ** 2 for pixels in IMAGES)
    million: int = 0


PRESETS = {
    "smoke": Config(lengths=(64, 256), sizes=speed.PRESETS["smoke"].sizes, product=64, repeats=2),
    "book": Config(lengths=(56**2,), repeats=0),
    "full": Config(),
}
DURATIONS = {"smoke": "a second", "book": "a second", "full": "about two minutes"}


def measure(config: Config, progress: Progress | None = None) -> Iterator[dict]:
    """Rows as ``experiments.speed`` makes them."""
    return speed.measure(config, progress)
