"""Windows on images and their peers: of the same things, on images of the sizes that are said."""

import math
from dataclasses import replace

import pytest

from attention_limits.experiments import image_windows, speed
from attention_limits.experiments.speed import readings
from attention_limits.experiments.speed.contests import GROUPS
from attention_limits.runs import records

SMOKE = replace(image_windows.PRESETS["smoke"], repeats=0)


def test_everyone_equals_what_it_is_compared_with():
    """Swin's windows began elsewhere, and the ratio compared two different computations."""
    rows = list(image_windows.measure(SMOKE))
    run = records.new(image_windows, SMOKE, rows, complete=True)
    absent = readings.missing(run)
    for contestant in GROUPS["image"].contestants:
        if contestant.same and contestant.name not in absent:
            (found,) = run.values(contestant=contestant.name, quantity="difference")
            assert found <= speed.TOLERANCE
        if contestant.name not in absent:
            assert len(run.values(contestant=contestant.name, quantity="bytes")) == 4


def test_windows_fill_the_images():
    """Swin pads where they do not, and lets pixels see the padding: another computation."""
    full = image_windows.PRESETS["full"]
    assert [math.isqrt(n) * image_windows.PATCH for n in full.lengths] == [224, 512, 1024]
    assert not any(math.isqrt(n) % full.sizes.side for n in full.lengths)


def test_lengths_are_those_of_square_images():
    with pytest.raises(ValueError, match=r"^lengths must be squares for images, got"):
        replace(SMOKE, lengths=(64, 128))
