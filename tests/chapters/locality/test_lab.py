"""The lab of patterns: what can be drawn, and layers that learn it while somebody watches."""

import html
import math
from types import SimpleNamespace

import numpy as np
import pytest

from attention_limits.chapters.locality import lab as labs
from attention_limits.chapters.locality.figures import learning as figures
from attention_limits.experiments import separation
from attention_limits.experiments.separation import ABSOLUTE, CONVOLUTION, CORE, FULL, SHIFTED
from attention_limits.experiments.signals import Signals
from attention_limits.runs import records


@pytest.fixture
def lab(monkeypatch):
    """Controls, and figures that are the runs and patterns of which they are drawn."""
    drawn = []

    def draw(run=None, pattern=()):
        drawn.append((run, pattern))
        return SimpleNamespace(_repr_html_=lambda: f"figure {len(drawn)}")

    monkeypatch.setattr(figures, "drawn", draw)
    controls = labs.TrainIt()
    controls.drawn = drawn
    choose(controls, CONVOLUTION, ABSOLUTE)
    controls.examples.value = (8, 32)
    return controls


@pytest.fixture
def learned(monkeypatch):
    """What was asked to learn; nobody does, and half of the answers are right."""
    asked = []

    def learn(cell, config, examples, rates, seeds, drawn):
        asked.append((cell, examples, rates, drawn))
        return separation.Learned([0.7] * len(seeds), [0.5] * len(seeds), [None] * len(seeds))

    monkeypatch.setattr(separation, "learn", learn)
    return asked


def choose(controls, *names):
    for name, check in controls.layers.items():
        check.value = name in names


def words_of(controls):
    return html.unescape(controls.words.value)


# --- the pattern --------------------------------------------------------------------------------


def test_a_drawn_pattern_stands_in_the_examples():
    """The layers learned the recorded pattern, whatever was drawn."""
    pattern = (9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -9.0)
    x, signs = Signals(16, drawn=pattern).sample((0, 1), 50)
    before, _ = Signals(16, drawn=(0.0,) * 8).sample((0, 1), 50)
    found = (x - before) * signs[:, None]
    assert np.allclose(np.sort(found, 1)[:, [0, -1]], [-9, 9], atol=1e-5)
    assert all(found[k].argmin() == (found[k].argmax() + 7) % 16 for k in range(50))


@pytest.mark.parametrize("drawn", [(1.0,) * 7, (1.0,) * 7 + (math.nan,)])
def test_a_pattern_of_another_width_or_of_no_numbers_is_refused(drawn):
    with pytest.raises(ValueError, match="drawn must"):
        Signals(16, drawn=drawn)


def test_every_shape_is_within_reach_of_the_sliders_and_has_its_strength(lab):
    """A slider that was cut off at its end, and a strength that was not the one promised."""
    for name, shape in labs.SHAPES.items():
        lab.shapes[name].click()
        assert lab.pattern == shape
        strength = 5.25 if "quarters" in name else 7
        assert np.linalg.norm(shape) == pytest.approx(strength)
        summed = abs(sum(shape)) > 1
        assert summed == ("sum" in name)
        total = "19.8" if summed else "0.0"
        assert lab.about.value == f"strength S = {np.linalg.norm(shape):.1f}, sum {total}"


def test_what_is_said_of_a_pattern_follows_the_hand(lab):
    lab.draw([-1.0] + [0.0] * 7)
    assert lab.about.value == "strength S = 1.0, sum −1.0"


def test_every_control_has_a_name(lab):
    """A screen reader said "slider", eight times."""
    groups = [lab.numbers, lab.shapes.values(), lab.layers.values()]
    named = [control for group in groups for control in group]
    named += [lab.length, lab.shifts, lab.examples, lab.device, lab.button]
    assert len({control.description for control in named} - {""}) == len(named)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ([0.0] * 8, "All eight numbers are 0"),
        ([1.2] + [0.0] * 7, "S = 1.2 is too weak: whoever knows it and its place is right in 88%"),
    ],
)
def test_an_empty_or_weak_pattern_is_refused_and_nothing_is_trained(lab, learned, pattern, words):
    """Minutes of training on what nobody can learn, and a flat line at the end."""
    lab.draw(pattern)
    lab.button.click()
    assert words in words_of(lab)
    assert learned == []
    assert not lab.button.disabled


def test_the_weakest_pattern_is_one_that_can_be_told_in_nine_of_ten_cases(lab, learned):
    """A bound that refused what could be learned; here somebody who knows all is tried."""
    lab.draw([1.3] + [0.0] * 7)
    lab.button.click()
    assert learned
    rng = np.random.default_rng(0)
    known = labs.LEAST * (labs.LEAST + rng.standard_normal(100_000))
    assert np.mean(known > 0) == pytest.approx(separation.READ, abs=0.003)


def test_nobody_chosen_is_said(lab, learned):
    choose(lab)
    lab.button.click()
    assert (words_of(lab), learned) == ("Choose one layer or more.", [])


# --- the run ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shifts", [False, True])
@pytest.mark.parametrize("n", labs.LENGTHS)
def test_each_layer_learns_what_was_drawn_at_the_rate_that_was_recorded(lab, learned, n, shifts):
    """A layer was blamed for another's learning rate, or for that of other examples."""
    lab.length.value, lab.shifts.value = n, shifts
    pattern = (3.0,) + (0.0,) * 7
    lab.draw(pattern)
    lab.button.click()
    condition = SHIFTED if shifts else "plain"
    assert [(cell.layer, examples) for cell, examples, *_ in learned] == [
        (layer, examples) for layer in (CONVOLUTION, ABSOLUTE) for examples in (8, 16, 32)
    ]
    for cell, examples, rates, drawn in learned:
        assert (cell.condition, cell.n, drawn) == (condition, f"{n}", pattern)
        of = {"layer": cell.layer, "condition": condition, "n": 64 if shifts else n}
        recorded = lab.recorded.values("rate", **of, examples=examples)
        if not recorded:  # it needed no more: the rate of the most that were tried
            most = max(lab.recorded.values("examples", **of))
            recorded = lab.recorded.values("rate", **of, examples=most)
        assert rates == recorded[:2]
    assert lab.bar.value == 1
    assert words_of(lab) == ""


def test_the_curves_grow_point_by_point_and_have_what_was_found(lab, learned):
    """Nothing moved until the end, and a reader took it for dead."""
    lab.button.click()
    runs = [run for run, _ in lab.drawn[1:]]
    assert [len(run.records) // 2 for run in runs] == [1, 2, 3, 4, 5, 6, 6]
    assert [run.complete for run in runs] == [False] * 6 + [True]
    assert separation.curve(runs[-1], ABSOLUTE) == {n: [0.5, 0.5] for n in (8, 16, 32)}
    assert all(pattern == lab.pattern for _, pattern in lab.drawn[1:])


def test_whoever_has_learned_it_is_given_no_more_examples(lab, monkeypatch):
    done = separation.Learned([0.0] * 2, [1.0] * 2, [None] * 2)
    monkeypatch.setattr(separation, "learn", lambda *_: done)
    lab.button.click()
    assert {row["examples"] for row in lab.rows} == {8}


def test_an_interrupt_keeps_what_is_there(lab, learned, monkeypatch):
    """Points that took a minute were lost."""
    real = separation.learn

    def until(cell, config, examples, *rest):
        if (cell.layer, examples) == (ABSOLUTE, 16):
            raise KeyboardInterrupt
        return real(cell, config, examples, *rest)

    monkeypatch.setattr(separation, "learn", until)
    lab.button.click()
    run, _ = lab.drawn[-1]
    assert not run.complete
    assert len(run.records) == len(lab.rows) == 8
    assert words_of(lab) == "Interrupted."
    assert not lab.button.disabled
    assert lab.bar.value == pytest.approx((1 + 1 / 3) / 2)


def test_what_cannot_be_trained_is_said_and_the_others_are(lab, learned, monkeypatch):
    real = separation.learn

    def learn(cell, *rest):
        if cell.layer == CONVOLUTION:
            raise NotImplementedError("no such operation")
        return real(cell, *rest)

    monkeypatch.setattr(separation, "learn", learn)
    lab.button.click()
    assert words_of(lab) == "convolution cannot be trained: no such operation"
    assert {row["layer"] for row in lab.rows} == {ABSOLUTE}


def test_what_is_drawn_can_be_learned():
    """All of the above, with layers that do learn; at a sum of 20, without sharing."""
    cell, config = separation.Cell(FULL, "plain", "32"), separation.Config(steps=60, count=300)
    bump = labs.SHAPES["a bump: its sum is not 0"]
    for pattern, least, most in ((bump, 0.9, 1), (labs.RECORDED, 0, 0.75)):
        found = separation.learn(cell, config, 64, [0.03] * 2, (0, 1), pattern)
        assert least <= min(found.accuracy) <= most


# --- the figure ---------------------------------------------------------------------------------


def lines_of(figure):
    return [line for line in figure.figure.axes[1].get_lines() if len(line.get_xdata()) > 2]


def test_the_reader_s_curves_stand_before_those_that_were_recorded():
    """Of two curves of one colour, nobody could say which was one's own."""
    config = separation.Config(layers=(CONVOLUTION,), settings=("plain",), lengths=(64,))
    same = {"layer": CONVOLUTION, "condition": "plain", "n": 64, "seed": 0}
    rows = [{**same, "examples": n, "accuracy": 0.6} for n in (8, 16, 32)]
    run = records.new(separation, config, rows, complete=False)
    figure = figures.drawn(run, (7.0,) + (0.0,) * 7)
    behind, own = lines_of(figure)
    assert (list(own.get_ydata()), own.get_marker()) == ([0.6] * 3, "o")
    assert (behind.get_alpha(), behind.get_marker()) == (0.45, "None")
    recorded = separation.curve(records.load(separation), CONVOLUTION)
    assert list(behind.get_ydata()) == [np.mean(each) for each in recorded.values()]
    assert "interrupted before its end" in figure.caption
    assert "Pale: " in figure.caption
    stems = figure.figure.axes[0].get_lines()[0]
    assert list(stems.get_ydata()) == [7.0] + [0.0] * 7


def test_what_was_not_recorded_is_not_spoken_of():
    """A caption explained pale curves where there was none."""
    config = separation.Config(layers=(FULL,), settings=(SHIFTED,), lengths=(32,))
    figure = figures.drawn(records.new(separation, config, [], complete=True))
    assert "Pale" not in figure.caption


def test_every_layer_has_a_look_and_a_name():
    config = separation.Config(layers=tuple(CORE), settings=("plain",), lengths=(32,))
    figure = figures.drawn(records.new(separation, config, [], complete=True))
    assert [text.get_text() for text in figure.figure.legends[0].get_texts()] == list(CORE)
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.figure.axes[1].get_lines()}
    assert len(looks) > len(CORE)
    figure._repr_html_()
