"""The figures on longer contexts: that each mark is where, and what, was measured or expected."""

from dataclasses import asdict

import numpy as np
import pytest
from helpers.cure_runs import PROVENANCE, made_run
from helpers.panel_rows import marks_of
from matplotlib.colors import to_hex

from attention_limits import style
from attention_limits.chapters.positional_encodings.figures import longer_contexts as figures
from attention_limits.chapters.positional_encodings.figures.longer_contexts import SHOWN
from attention_limits.experiments import cures, fine_tuning, score_frequencies
from attention_limits.runs import records

TASKS = list(cures.SETTINGS)


def panels(figure):
    """By title."""
    return {axes.get_title(loc="left"): axes for axes in figure.figure.axes}


def rows(figure):
    """What the rows say, which all panels have in common, from the top."""
    first, *others = figure.figure.axes
    low, high = first.get_ylim()
    assert low > high
    assert {axes.get_ylim() for axes in others} == {(low, high)}
    labels = zip(first.get_yticks(), first.get_yticklabels(), strict=True)
    return {int(row): label.get_text() for row, label in labels}


def ranges(axes):
    """The ends of every line from the least to the most: (row, least, most)."""
    segments = [np.array(x) for bars in axes.collections for x in bars.get_segments()]
    return sorted((y0, x0, x1) for (x0, y0), (x1, _) in segments)


def legend(figure):
    return [text.get_text() for legend in figure.figure.legends for text in legend.texts]


# --- cures --------------------------------------------------------------------------------------


def accuracy(task, trained, cure, n):
    """Every mark has its own place; the other lengths have none of these."""
    if n != 256 or trained != cures.CURED or cure not in SHOWN:
        return 0.99
    return 0.1 + 0.05 * SHOWN.index(cure) + 0.25 * TASKS.index(task)


@pytest.fixture(scope="module")
def kept():
    return figures.cures_kept(made_run(accuracy, seeds=(0, 1, 2)))


def means(axes):
    """The large marks: (row, accuracy, whether it is filled)."""
    marks = [line for line in axes.lines if line.get_markersize() == 7]
    return [
        (*line.get_ydata(), *line.get_xdata(), line.get_markerfacecolor() != "none")
        for line in marks
    ]


def test_means_stand_in_the_rows_of_their_cures_above_their_seeds(kept):
    """A row under another's name, of another task or length, or a range of other seeds."""
    assert list(panels(kept)) == TASKS
    assert rows(kept) == dict(enumerate(SHOWN))
    for task, axes in panels(kept).items():
        seeds = [line for line in axes.lines if line.get_markersize() == 3]
        for row, cure in enumerate(SHOWN):
            least = accuracy(task, cures.CURED, cure, 256)
            above, mean, _ = means(axes)[row]
            below, *ends = ranges(axes)[row]
            assert row - 0.5 < above < row < below < row + 0.5
            assert mean == pytest.approx(least + 0.01)
            assert ends == pytest.approx([least, least + 0.02])
            assert seeds[row].get_xdata() == pytest.approx(least + 0.01 * np.arange(3))
            assert seeds[row].get_ydata() == pytest.approx(below)


def test_filled_are_those_that_theory_expects_whatever_was_found(kept):
    """What had been found was drawn as foretold."""
    filled = {
        task: [cure for cure, mark in zip(SHOWN, means(axes), strict=True) if mark[2]]
        for task, axes in panels(kept).items()
    }
    early = ["YaRN 0.75-1.5", "YaRN 1-2"]
    order = ["interpolated", "larger base", *early, "YaRN 1-4", "YaRN 2-8", "YaRN 1-32"]
    assert filled == {"most recent": order, "token 3 back": early, "first token": order}
    assert legend(kept) == ["theory: kept", "theory: lost"]


def test_a_guess_is_dotted(kept):
    for axes in panels(kept).values():
        levels = [set(line.get_xdata()) for line in axes.lines if line.get_linestyle() == ":"]
        assert levels == [{1 / 16}]


def test_words_on_cures_have_the_numbers_of_the_run(kept):
    assert "Token 3 back: nothing 0.36, lost; interpolated 0.41, lost" in kept.alt
    assert "Most recent: nothing 0.11, lost; interpolated 0.16, kept" in kept.alt
    assert "trained on 8 to 32 tokens and asked on 256" in kept.caption
    assert "means of 3 seeds" in kept.caption
    assert kept.caption.endswith("Recorded on 1 January 2000 on an abacus, 1 thread, PyTorch 0.")


# --- a little more training ---------------------------------------------------------------------


def after(task, cure, more):
    """A mean like no other's."""
    config = fine_tuning.PRESETS["full"]
    place = config.settings.index(task) * len(config.cures) + config.cures.index(cure)
    return 0.1 + 0.02 * place + 0.4 * (more == 200)


@pytest.fixture(scope="module")
def trained_on():
    config = fine_tuning.PRESETS["full"]
    rows = [
        {"task": cell.setting, "cure": cell.cure, "more": more, "n": n, "seed": seed}
        | {"accuracy": (after(cell.setting, cell.cure, more) if n == 256 else 0.99) + 0.01 * seed}
        for cell in fine_tuning.cells(config)
        for more in config.more
        for n in config.lengths
        for seed in config.seeds
    ]
    return records.Run("fine_tuning", asdict(config), PROVENANCE, rows)


def test_few_steps_are_hollow_and_many_filled(trained_on, monkeypatch):
    """They had changed places, or a row was another start's, or a cross of another task."""
    monkeypatch.setattr(records, "load", {fine_tuning: trained_on}.__getitem__)
    figure = figures.fine_tuned()
    cures_of = fine_tuning.PRESETS["full"].cures
    assert rows(figure) == dict(enumerate(cures_of))
    assert legend(figure) == ["200 steps", "50 steps", "expected"]
    for task, axes in zip(TASKS, figure.figure.axes, strict=True):
        for row, cure in enumerate(cures_of):
            found, crosses = marks_of(axes, row)
            few, many = (after(task, cure, more) + 0.02 for more in (50, 200))  # of five seeds
            assert found == pytest.approx({True: few, False: many})
            expected = figures.EXPECTED[task].get(cure)
            assert crosses == ([] if expected is None else [expected])
    assert f"{after(TASKS[0], cures_of[0], 200) + 0.02:.2f}" in figure.alt


# --- frequencies of scores ----------------------------------------------------------------------

PERIODS = (10, 40, 100, 1000)  # one in each band


def share(task, encoding, band, seed):
    return (
        0.1
        + 0.2 * band
        + 0.05 * (task == "token 3 back")
        + 0.01 * (encoding == "rotary") * (1 + seed)
    )


@pytest.fixture(scope="module")
def banded():
    config = {
        "settings": ["most recent", "token 3 back"],
        "encodings": ["sinusoidal", "rotary"],
        "seeds": [0, 1],
    }
    made = [
        {
            "task": task,
            "encoding": encoding,
            "seed": seed,
            "head": head,
            "variance": 1 + head,
            "period": period,
            "share": share(task, encoding, band, seed) if head else 9,
        }
        for task in config["settings"]
        for encoding in config["encodings"]
        for seed in config["seeds"]
        for head in (0, 1)
        for band, period in enumerate(PERIODS)
    ]
    return figures.bands(records.Run("score_frequencies", config, PROVENANCE, made))


def bars(axes, encoding):
    colour = style.ENCODINGS[encoding]
    found = [bar for bar in axes.patches if to_hex(bar.get_edgecolor()) == colour]
    return {round(bar.get_y() + bar.get_height() / 2): bar for bar in found}


def test_bars_are_means_of_the_strongest_head_and_lines_the_range(banded):
    """Another band, encoding or task, or the head whose scores hardly vary."""
    assert list(panels(banded)) == ["most recent", "token 3 back"]
    assert rows(banded) == {0: "under 32", 1: "32 to 96", 2: "96 to 256", 3: "from 256"}
    for task, axes in panels(banded).items():
        for encoding in ("sinusoidal", "rotary"):
            drawn = bars(axes, encoding)
            assert sorted(drawn) == [0, 1, 2, 3]
            for band, bar in drawn.items():
                each = [share(task, encoding, band, seed) for seed in (0, 1)]
                assert bar.get_width() == pytest.approx(np.mean(each))
                middle = bar.get_y() + bar.get_height() / 2
                expected = pytest.approx((middle, min(each), max(each)))
                assert any(line == expected for line in ranges(axes))


def test_encodings_differ_without_their_colours(banded):
    assert legend(banded) == ["sinusoids", "rotary"]
    for axes in panels(banded).values():
        assert {bar.get_hatch() for bar in bars(axes, "rotary").values()} == {"////"}
        assert {bar.get_hatch() for bar in bars(axes, "sinusoidal").values()} == {None}


def test_words_on_bands_have_the_numbers_of_the_run(banded):
    assert "Most recent, sinusoids: under 32 0.10, 32 to 96 0.30" in banded.alt
    assert "means of 2 seeds" in banded.caption
    assert "at the positions of training, 0 to 31" in banded.caption
    assert len(score_frequencies.BANDS) == 4
