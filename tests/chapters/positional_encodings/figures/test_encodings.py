"""The figures of the page on encodings: that they show what was computed."""

import numpy as np

from attention_limits.chapters.positional_encodings.evidence import encodings as evidence
from attention_limits.chapters.positional_encodings.figures import encodings as figures


def lines(axes):
    """What is drawn as lines or dots, without what goes straight across."""
    drawn = [line.get_data() for line in axes.lines]
    return [(np.asarray(x), np.asarray(y)) for x, y in drawn if len(x) > 2]


# --- without positions --------------------------------------------------------------------------


def test_each_seed_of_each_depth_is_a_dot():
    """A dot is missing, or stands over another number of layers."""
    figure = figures.shuffled()
    columns = lines(figure.figure.axes[0])
    for depth, (x, y) in zip((1, 2, 3), columns, strict=True):
        assert (np.round(x) == depth).all()
        assert list(y) == evidence.changes_of_the_last_output(depth)
    assert f"at {max(columns[0][1]):.0e} or less" in figure.alt


def test_a_change_of_nothing_is_drawn_at_the_floor(monkeypatch):
    """A zero on a logarithmic axis is not drawn at all, and a seed is gone."""
    monkeypatch.setattr(
        evidence, "changes_of_the_last_output", lambda depth: [0.0 if depth == 1 else 0.5] * 10
    )
    [(_, y), *_] = lines(figures.shuffled().figure.axes[0])
    assert set(y) == {figures.FLOOR}
