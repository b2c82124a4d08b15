"""The figures of length generalisation: that each mark is where, and what, was measured."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.panel_rows import marks_of
from helpers.task_runs import loads, made_run, made_runs
from matplotlib.colors import to_hex

from attention_limits import style
from attention_limits.chapters.positional_encodings import recorded
from attention_limits.chapters.positional_encodings.figures import length as figures
from attention_limits.chapters.positional_encodings.recorded import EXPECTED, FIRST, NAMES, longer
from attention_limits.experiments import extrapolation, first_token
from attention_limits.experiments.conditions import ENCODINGS, LONGEST, SETTINGS, TRAINED
from attention_limits.runs import records

TWO = replace(first_token.PRESETS["full"], encodings=("none", "rotary"), seeds=(0, 1))


@pytest.fixture(scope="module")
def runs():
    return made_runs(conditions=("plain",))


@pytest.fixture(scope="module")
def plain(runs):
    return figures.curves(list(runs.values()))


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


def test_lines_are_means_over_seeds_and_bars_their_ranges(runs, plain):
    """A line under another's name, or of another question."""
    for setting, axes in panels(plain).items():
        bars = ranges(axes)
        assert len(lines(axes)) == len(ENCODINGS)
        for name, line in lines(axes).items():
            values = [
                extrapolation.accuracies(runs[setting], name, "plain", longer(n))
                for n in (32, 64, 128, 256)
            ]
            assert line.get_ydata() == pytest.approx(np.mean(values, axis=1))
            assert line.get_xdata() == pytest.approx((32, 64, 128, 256), rel=0.25)
            for x, some in zip(line.get_xdata(), values, strict=True):
                assert any(np.allclose(bar, [(x, min(some)), (x, max(some))]) for bar in bars)


def test_marks_of_one_length_stand_side_by_side(plain):
    """The seeds' range of one encoding hid that of another."""
    axes = plain.figure.axes[0]
    first = sorted(line.get_xdata()[0] for line in lines(axes).values())
    assert np.diff(np.log2(first)) == pytest.approx([figures.APART] * (len(ENCODINGS) - 1))
    assert np.log2(first).mean() == pytest.approx(5)  # around 32


def test_what_was_trained_and_what_chance_gives_are_drawn(plain):
    """The shade ended at another length, or chance was that of another task."""
    assert list(panels(plain)) == list(recorded.EXPERIMENTS)
    for setting, axes in panels(plain).items():
        shade = axes.patches[0].get_path().get_extents(axes.patches[0].get_patch_transform())
        assert shade.x1 == TRAINED[1]
        assert "trained" in texts(axes)
        level = [line for line in axes.lines if line.get_linestyle() == ":"]
        assert [set(line.get_ydata()) for line in level] == [{SETTINGS[setting].make().chance}]


def test_all_are_labelled_those_in_colour_at_the_end_of_their_line(runs):
    """Of thirteen lines, eight had no name."""
    shown = ("lstm alone", "alibi")
    figure = figures.curves(list(runs.values()), shown)
    for setting, axes in panels(figure).items():
        for name in shown:
            values = extrapolation.accuracies(runs[setting], name, "plain", longer(256))
            assert f"{NAMES[name]} {np.mean(values):.2f}" in texts(axes)
        assert len(texts(axes)) == 3  # the trained range has the other
    assert legend(figure) == [NAMES[name] for name in NAMES if name not in shown]
    grey = colours(figure)
    assert grey.pop("alibi") == style.ENCODINGS["alibi"]  # as on every other page
    assert grey.pop("lstm alone") == style.PALETTE[0]
    assert set(grey.values()) == {style.GREY}


def test_a_label_has_the_colour_of_its_line(runs):
    """Marks beside the labels were numbered in another order than the lines."""
    shown = ("shaw 48", "shaw 16", "rotary")
    axes = figures.curves([runs[FIRST]], shown).figure.axes[0]
    drawn = lines(axes)
    marks = {
        (to_hex(x.get_color()), round(float(x.get_ydata()[0]), 6)): x
        for x in axes.lines
        if len(x.get_xdata()) == 1
    }
    assert len(marks) == len(shown)
    assert {colour for colour, _ in marks} == {to_hex(drawn[name].get_color()) for name in shown}
    assert to_hex(drawn["shaw 48"].get_color()) == style.ENCODINGS["shaw"]  # the first of both


@pytest.mark.parametrize("coloured", [(), ("shaw 16",), tuple(NAMES)[:5]])
def test_no_two_lines_look_alike(runs, coloured):
    """Grey and dashed, each of them."""
    axes = figures.curves([runs[FIRST]], coloured).figure.axes[0]
    looks = [
        (x.get_color(), x.get_marker(), x.get_markerfacecolor(), x.get_markersize())
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


@pytest.mark.parametrize("coloured", [list(NAMES)[:6], ["rotary", "telepathy"]])
def test_colours_that_there_are_not_are_refused(runs, coloured):
    with pytest.raises(ValueError, match="encodings must be at most 5 of none, none"):
        figures.curves([runs[FIRST]], coloured)


def test_of_a_run_that_goes_on_what_is_there_is_drawn():
    """The lab failed at its first look, or a line changed its colour when the next began."""
    three = replace(TWO, encodings=tuple(NAMES)[2:5], conditions=("plain",))
    whole = made_run(FIRST, three)
    partial = made_run(FIRST, three, keep=lambda r: r["encoding"] == "rotary" and r["n"] < 256)
    figure = figures.curves([partial])
    (axes,) = figure.figure.axes
    assert list(lines(axes)) == ["rotary"]
    assert list(lines(axes)["rotary"].get_xdata()) == pytest.approx([32, 64, 128], rel=0.05)
    assert colours(figure)["rotary"] == colours(figures.curves([whole]))["rotary"]
    assert "at 128." in figure.alt


def test_nothing_to_draw_is_said(runs):
    nothing = replace(runs[FIRST], records=[])
    with pytest.raises(ValueError, match="runs must have some rows of plain models"):
        figures.curves([nothing])


def test_it_says_what_there_is_to_see():
    run = made_run(FIRST, TWO)
    each = [
        np.mean(extrapolation.accuracies(run, name, "plain", longer(n)))
        for name in ("none", "rotary")
        for n in (32, 256)
    ]
    figure = figures.curves([run])
    said = "First token: no positions from {:.2f} at 32 to {:.2f} at 256; rotary from {:.2f}"
    assert said.format(*each) in figure.alt
    assert figure.alt.startswith("1 plot of")
    assert "Means over 2 seeds" in figure.caption
    assert run.stamp in figure.caption
    assert "One seed; " in figures.curves([made_run(FIRST, replace(TWO, seeds=(0,)))]).caption


def test_drawn_twice_it_is_the_same(runs):
    run = [runs[FIRST]]
    assert figures.curves(run)._repr_html_() == figures.curves(run)._repr_html_()


# --- at the longest length ----------------------------------------------------------------------


@pytest.fixture
def ends(runs, monkeypatch):
    monkeypatch.setattr(records, "load", loads(runs))
    return figures.at_the_end()


def test_a_row_has_both_means_and_what_was_expected(runs, ends):
    """Hollow and filled had changed places, or a row was another encoding's."""
    for axes, (task, run) in zip(ends.figure.axes, runs.items(), strict=True):
        for row, name in enumerate(NAMES):
            means, crosses = marks_of(axes, row)
            short, long = (
                np.mean(extrapolation.accuracies(run, name, "plain", longer(n)))
                for n in (TRAINED[1], LONGEST)
            )
            assert means == pytest.approx({True: short, False: long})
            expected = EXPECTED[task].get(name)
            assert crosses == ([] if expected is None else [expected])


def test_its_words_give_every_mean(runs, ends):
    long = np.mean(extrapolation.accuracies(runs[FIRST], "shaw 16", "plain", longer(LONGEST)))
    assert f" to {long:.2f}" in ends.alt.partition("First token: ")[2]
    assert ends.alt.count(";") == len(recorded.EXPERIMENTS) * (len(NAMES) - 1)


def test_rows_are_the_encodings_in_their_order(ends):
    labels = [label.get_text() for label in ends.figure.axes[0].get_yticklabels()]
    assert labels == list(NAMES.values())


def test_what_was_expected_is_of_what_there_is():
    """A number for an encoding that nobody trained, which then counts as no miss."""
    assert list(EXPECTED) == list(recorded.EXPERIMENTS)
    for expected in EXPECTED.values():
        assert set(expected) <= set(ENCODINGS)
        assert all(0 <= value <= 1 for value in expected.values())
