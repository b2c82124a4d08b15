"""The curves of training: that each line is one model's."""

from matplotlib.colors import to_hex

from attention_limits import tasks
from attention_limits.gallery import training as figures
from attention_limits.models import Architecture
from attention_limits.training import Recipe, train

ARCHITECTURE = Architecture(kind="rnn", d_model=4, layers=1)


def lines(figure):
    (axes,) = figure.figure.axes
    return {line.get_label(): line for line in axes.lines}


def test_each_seed_has_its_line():
    """Two models in one line, or a line under another's name."""
    recipe = Recipe(steps=30, lengths=(2, 4), warm_up=0)
    trained = train(ARCHITECTURE, tasks.make("parity"), recipe, seeds=(7, 3), rates=0.03)
    drawn = lines(figures.curves(trained, chance=0.5))
    assert list(drawn) == ["chance", "seed 7", "seed 3"]
    assert set(drawn["chance"].get_ydata()) == {0.5}
    for number, label in enumerate(("seed 7", "seed 3")):
        rows = [row for row in trained.history if row["model"] == number]
        assert list(drawn[label].get_xdata()) == [10, 20, 30]
        assert list(drawn[label].get_ydata()) == [row["accuracy"] for row in rows]
    assert to_hex(drawn["seed 7"].get_color()) != to_hex(drawn["seed 3"].get_color())


def test_more_models_than_colours():
    """The sixth model has no colour, and nothing is drawn at all."""
    recipe = Recipe(steps=1, batch=2, lengths=(2, 2))
    seeds = range(7)
    trained = train(ARCHITECTURE, tasks.make("parity"), recipe, seeds=seeds)
    assert list(lines(figures.curves(trained))) == [f"seed {seed}" for seed in seeds]
