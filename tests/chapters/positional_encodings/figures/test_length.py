"""The figures of length generalisation: that each mark is where, and what, was measured."""

import dataclasses

import numpy as np
import pytest
from helpers.length_runs import made_run
from matplotlib.colors import to_hex

from attention_limits import style
from attention_limits.chapters.positional_encodings.figures import length as figures
from attention_limits.chapters.positional_encodings.figures.length import NAMES
from attention_limits.experiments import length
from attention_limits.experiments.length import (
    ENCODINGS,
    SETTINGS,
    TAKE_POSITIONS,
    TRAINED,
    Config,
)

TWO = Config(settings=("first token",), encodings=("none", "rotary"), seeds=(0, 1))


@pytest.fixture(scope="module")
def run():
    return made_run()


@pytest.fixture(scope="module")
def plain(run):
    return figures.curves(run)


def panels(figure):
    """By title."""
    return {axes.get_title(loc="left"): axes for axes in figure.figure.axes}


def lines(axes):
    """The encodings that are drawn in a panel, by name."""
    names = {words: name for name, words in NAMES.items()}
    return {names[x.get_label()]: x for x in axes.lines if x.get_label() in names}


def ranges(axes):
    """The ends of every bar, in a panel's own units."""
    return [segment for bars in axes.collections for segment in bars.get_segments()]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def legend(figure):
    return [text.get_text() for legend in figure.figure.legends for text in legend.texts]


def colours(figure):
    """By encoding, in the first panel."""
    axes = figure.figure.axes[0]
    return {name: to_hex(line.get_color()) for name, line in lines(axes).items()}


def test_every_encoding_has_a_name_of_its_own():
    """One was missing in every figure, and in the lab."""
    assert sorted(NAMES) == sorted(ENCODINGS)
    assert len(set(NAMES.values())) == len(NAMES)


# --- over the length ----------------------------------------------------------------------------


@pytest.mark.parametrize("condition", ["plain", "blanks, random positions"])
def test_lines_are_means_over_seeds_and_bars_their_ranges(run, condition):
    """A line under another's name, of another condition, or asked in another way."""
    for setting, axes in panels(figures.curves(run, condition)).items():
        bars = ranges(axes)
        for name, line in lines(axes).items():
            where = {"task": setting, "encoding": name, "condition": condition}
            values = [length.accuracies(run, n, **where) for n in (32, 64, 128, 256)]
            assert line.get_ydata() == pytest.approx(np.mean(values, axis=1))
            assert line.get_xdata() == pytest.approx((32, 64, 128, 256), rel=0.17)
            for x, some in zip(line.get_xdata(), values, strict=True):
                assert any(np.allclose(bar, [(x, min(some)), (x, max(some))]) for bar in bars)


def test_a_condition_is_drawn_of_those_that_know_it_and_no_others(run, plain):
    """Token 3 back has no blanks, and was an empty panel."""
    assert list(panels(plain)) == list(SETTINGS)
    drawn = panels(figures.curves(run, "blanks, random positions"))
    assert list(drawn) == ["most recent", "first token"]
    assert set(lines(drawn["first token"])) == set(TAKE_POSITIONS)
    assert set(lines(panels(plain)["first token"])) == set(ENCODINGS)


def test_marks_of_one_length_stand_side_by_side(plain):
    """The seeds' range of one encoding hid that of another."""
    axes = plain.figure.axes[0]
    first = sorted(line.get_xdata()[0] for line in lines(axes).values())
    assert np.diff(np.log2(first)) == pytest.approx([figures.APART] * 8)
    assert np.log2(first).mean() == pytest.approx(5)  # around 32


def test_what_was_trained_and_what_chance_gives_are_drawn(plain):
    """The shade ended at another length, or chance was that of another task."""
    for setting, axes in panels(plain).items():
        shade = axes.patches[0].get_path().get_extents(axes.patches[0].get_patch_transform())
        assert shade.x1 == TRAINED[1]
        assert "trained" in texts(axes)
        level = [line for line in axes.lines if line.get_linestyle() == ":"]
        assert [set(line.get_ydata()) for line in level] == [{SETTINGS[setting].make().chance}]


def test_all_are_labelled_those_in_colour_at_the_end_of_their_line(run):
    """Of nine lines, four had no name."""
    figure = figures.curves(run, encodings=("lstm alone", "alibi"))
    for setting, axes in panels(figure).items():
        for name in ("lstm alone", "alibi"):
            values = length.accuracies(run, 256, task=setting, encoding=name, condition="plain")
            assert f"{NAMES[name]} {np.mean(values):.2f}" in texts(axes)
        assert len(texts(axes)) == 3  # the trained range has the other
    rest = [NAMES[name] for name in NAMES if name not in ("lstm alone", "alibi")]
    assert legend(figure) == rest
    grey = colours(figure)
    assert grey.pop("alibi") == style.ENCODINGS["alibi"]  # as on every other page
    assert grey.pop("lstm alone") == style.PALETTE[0]
    assert set(grey.values()) == {style.GREY}


@pytest.mark.parametrize("coloured", [None, (), ("shaw",)])
def test_no_two_lines_look_alike(run, coloured):
    """Grey and dashed, each of them."""
    axes = figures.curves(run, encodings=coloured).figure.axes[0]
    looks = [
        (x.get_color(), x.get_marker(), x.get_markerfacecolor(), str(x._dash_pattern))
        for x in lines(axes).values()
    ]
    assert len(set(looks)) == len(ENCODINGS)


def test_a_name_in_the_legend_has_the_look_of_its_line(plain):
    """The key said square, and the line had circles."""
    drawn = {line.get_label(): line for line in lines(plain.figure.axes[0]).values()}
    for key in plain.figure.legends[0].legend_handles:
        line = drawn[key.get_label()]
        assert key.get_marker() == line.get_marker()
        assert key._dash_pattern == line._dash_pattern


@pytest.mark.parametrize("coloured", [list(ENCODINGS)[:6], ["rotary", "telepathy"]])
def test_colours_that_there_are_not_are_refused(run, coloured):
    with pytest.raises(ValueError, match="encodings must be at most 5 of none, sinusoidal"):
        figures.curves(run, encodings=coloured)


def test_of_a_run_that_goes_on_what_is_there_is_drawn(run):
    """The lab failed at its first look, or a line changed its colour when the next began."""
    three = dataclasses.replace(Config(), settings=("first token",), encodings=tuple(NAMES)[:3])
    whole = made_run(three)
    partial = made_run(three, lambda row: row["encoding"] == "rotary" and row["n"] < 256)
    figure = figures.curves(partial)
    (axes,) = figure.figure.axes
    assert list(lines(axes)) == ["rotary"]
    assert list(lines(axes)["rotary"].get_xdata()) == pytest.approx([32, 64, 128], rel=0.05)
    assert colours(figure)["rotary"] == colours(figures.curves(whole))["rotary"]
    assert "at 128." in figure.alt
    few = dataclasses.replace(run, records=[r for r in run.records if r["task"] != "first token"])
    assert list(panels(figures.curves(few))) == ["most recent", "token 3 back"]


def test_nothing_to_draw_is_said(run):
    nothing = dataclasses.replace(run, records=[])
    with pytest.raises(ValueError, match="condition must be one that was measured, got 'plain'"):
        figures.curves(nothing)


def test_words_hold_the_numbers_that_are_drawn():
    """The alt text was of another figure."""
    run = made_run(TWO)
    found = [
        np.mean(length.accuracies(run, n, task="first token", encoding=name, condition="plain"))
        for name in ("none", "rotary")
        for n in (32, 256)
    ]
    figure = figures.curves(run)
    said = "First token: no positions from {:.2f} at 32 to {:.2f} at 256; rotary from {:.2f}"
    assert said.format(*found) in figure.alt
    assert figure.alt.startswith("1 plot of")
    assert "Means over 2 seeds" in figure.caption
    assert run.stamp in figure.caption
    assert "One seed; " in figures.curves(made_run(dataclasses.replace(TWO, seeds=(0,)))).caption


def test_every_condition_has_its_words(run):
    """A figure of blanks was captioned as if nothing had been done."""
    captions = {figures.curves(run, condition).caption for condition in length.CONDITIONS}
    assert len(captions) == len(length.CONDITIONS)


def test_drawn_twice_it_is_the_same(run):
    assert figures.curves(run)._repr_html_() == figures.curves(run)._repr_html_()
