"""The evidence on longer contexts: that it reads the records right, and refuses its rivals."""

from dataclasses import asdict

import pytest
from helpers.chapter_parts import (
    assert_all_found,
    assert_recorded_and_refuses_rivals,
    pieces_in,
)
from helpers.cure_runs import PROVENANCE, as_theory_says, made_run

from attention_limits.chapters.positional_encodings.evidence import longer_contexts
from attention_limits.chapters.positional_encodings.evidence.longer_contexts import (
    OFFSET,
    RECENCY,
    SIMPLER,
)
from attention_limits.experiments import cures, fine_tuning, frozen_frequencies, relearning
from attention_limits.experiments.frozen_frequencies import ASKED, THROUGHOUT
from attention_limits.runs import records

PIECES = pieces_in(longer_contexts)
CASES = 18 * 3  # eight trained models, one of them with ten cures beside none


@pytest.fixture
def recorded(monkeypatch):
    """What was recorded is what a test says."""
    return lambda run: monkeypatch.setattr(records, "load", lambda name: run)


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "longer_contexts")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_of_what_was_recorded_and_refuses_its_rivals(piece):
    assert_recorded_and_refuses_rivals(piece)


# --- what theory foretells ----------------------------------------------------------------------


def test_theory_agrees_with_what_follows_it(recorded):
    recorded(made_run(as_theory_says))
    found = longer_contexts.turns_foretell_what_a_cure_keeps()
    assert found.value == 1
    assert f"{CASES} cases" in found.how
    assert f"of one seed {CASES} to {CASES}" in found.how


@pytest.mark.parametrize("theory", SIMPLER.values(), ids=lambda theory: theory.__name__)
def test_who_follows_a_simpler_theory_is_not_taken_for_ours(recorded, theory):
    """A record that bears a rival out was evidence for us."""

    def accuracy(task, trained, cure, n):
        return 0.9 if n == 32 or theory(*cures.turned(trained, cure, n), n)[task] else 0.06

    recorded(made_run(accuracy))
    found = longer_contexts.turns_foretell_what_a_cure_keeps()
    assert not found.holds
    assert found.expected == 1


def test_a_theory_is_that_of_its_words():
    """Two had changed places, or one looked at slow pairs."""
    fast, slow = 1.0, 0.01
    twice = 64
    for before, after, new, kept in [
        ((fast, slow), (fast, slow), False, True),
        ((fast, slow), (fast, slow / 2), True, True),
        ((fast, slow), (fast / 2, slow / 2), True, False),
        ((fast, slow), (fast / 2, slow), False, False),
    ]:
        assert set(longer_contexts.no_new_angle(before, after, twice).values()) == {new}
        assert set(longer_contexts.fast_as_before(before, after, twice).values()) == {kept}
    assert longer_contexts.turns(cures.FREQUENCIES["base 6"], cures.FREQUENCIES["base 6"], 256) == {
        RECENCY: False,
        OFFSET: True,
        "first token": False,
    }


# --- cures --------------------------------------------------------------------------------------


def after(**accuracy):
    """At 256 tokens, whatever the cure: as accurate on a task as is said."""
    each = {"most recent": "recency", "token 3 back": "offset", "first token": "first"}
    return made_run(lambda task, *_: accuracy.get(each[task], 0.0))


def test_order_less_offset_and_not_the_other_way_round(recorded):
    recorded(after(recency=0.902, offset=0.102))
    found = longer_contexts.interpolation_keeps_order_and_loses_offsets()
    assert found.value == pytest.approx(0.8)
    assert "“most recent” 0.91 (0.90 to 0.91) less “token 3 back” 0.11 (0.10 to 0.11)" in found.how
    assert found.tolerance == pytest.approx(2 * 12.706 * 0.005, rel=1e-3)  # Student's, of two
    assert found.holds
    recorded(after(recency=0.1, offset=0.9))
    assert not longer_contexts.interpolation_keeps_order_and_loses_offsets().holds


@pytest.mark.parametrize("cure", cures.CURES)
def test_what_slows_the_fastest_frequency_keeps_order_alone(cure):
    """The page names three such cures; another one that did the same would be a rival that passes.

    Of those that leave the fastest frequency, none may be taken for interpolation.
    """
    slowed = cures.cured(cure, 256)[0] < cures.cured(cures.NOTHING, 256)[0]
    assert longer_contexts.interpolation_keeps_order_and_loses_offsets(cure=cure).holds == slowed


@pytest.mark.parametrize("worse", ["recency", "offset"])
def test_both_are_kept_only_if_the_worse_is(recorded, worse):
    """The better stood for both, or their mean."""
    recorded(after(recency=0.95, offset=0.95))
    assert longer_contexts.a_ramp_that_begins_at_a_turn_keeps_both().holds
    recorded(after(**({"recency": 1.0, "offset": 1.0} | {worse: 0.4})))
    found = longer_contexts.a_ramp_that_begins_at_a_turn_keeps_both()
    assert found.value == pytest.approx(0.405)
    assert not found.holds


# --- a little more training ---------------------------------------------------------------------


@pytest.fixture
def trained_on(monkeypatch):
    """After a cure and so many more steps, as accurate at 256 tokens as is said."""

    def record(accuracy):
        config = fine_tuning.PRESETS["full"]
        rows = [
            {"task": cell.setting, "cure": cell.cure, "more": more, "n": n, "seed": seed}
            | {"accuracy": accuracy(cell.setting, cell.cure, more) if n == 256 else 0.7}
            for cell in fine_tuning.cells(config)
            for more in config.more
            for n in config.lengths
            for seed in config.seeds
        ]
        run = records.Run("fine_tuning", asdict(config), PROVENANCE, rows)
        monkeypatch.setattr(records, "load", {fine_tuning: run}.__getitem__)

    return record


@pytest.mark.parametrize("worst", cures.SETTINGS)
def test_a_ramp_has_all_tasks_after_the_fewest_steps_or_it_is_not_said(worst, trained_on):
    """Two tasks of three were enough, or 200 steps were counted, or another cure's."""

    def accuracy(low):
        return lambda task, cure, more: (
            (low if task == worst else 0.9) if (cure, more) == ("YaRN 1-4", 50) else 0.3
        )

    trained_on(accuracy(0.6))
    found = longer_contexts.after_a_ramp_few_steps_give_all_tasks()
    assert (found.value, found.holds) == (pytest.approx(0.6), True)
    trained_on(accuracy(0.4))
    assert not longer_contexts.after_a_ramp_few_steps_give_all_tasks().holds


def test_new_weights_are_ahead_on_the_offset_after_the_most_steps(trained_on):
    piece = longer_contexts.after_interpolation_an_offset_is_learned_later_than_anew
    known = {
        ("token 3 back", "from scratch", 200): 0.9,
        ("token 3 back", "interpolated", 200): 0.5,
    }
    trained_on(lambda *where: known.get(where, 0.7))
    assert (piece().value, piece().holds) == (pytest.approx(0.4), True)
    trained_on(lambda *_: 0.7)  # as of models that learned nothing
    assert not piece().holds


# --- frequencies of scores ----------------------------------------------------------------------


def frequencies(share):
    """Two seeds, the first with less in the band; a second head that varies less has all there."""
    rows = [
        {
            "task": RECENCY,
            "encoding": "sinusoidal",
            "seed": seed,
            "head": head,
            "variance": 2 - head,
            "period": period,
            "share": part,
        }
        for seed in (0, 1)
        for head in (0, 1)
        for period, part in [
            (40, 1 if head else share + 0.1 * seed),
            (400, 0 if head else 1 - share - 0.1 * seed),
        ]
    ]
    return records.Run("score_frequencies", {"seeds": [0, 1]}, PROVENANCE, rows)


def test_it_is_the_least_of_the_strongest_heads(recorded):
    recorded(frequencies(0.6))
    found = longer_contexts.recency_is_carried_by_periods_of_one_to_three_lengths()
    assert found.value == pytest.approx(0.6)
    assert "the most being 0.70" in found.how
    assert found.holds
    recorded(frequencies(0.45))
    assert not longer_contexts.recency_is_carried_by_periods_of_one_to_three_lengths().holds


# --- weights that begin anew, and frequencies that are frozen -----------------------------------


@pytest.fixture
def relearned(monkeypatch):
    """As accurate after all as is said, of a first rate and a change."""

    def record(accuracy):
        config = relearning.PRESETS["full"]
        rows = [
            {"first": cell.first, "changed": cell.changed, "seed": seed}
            | {"accuracy": accuracy(cell.first, cell.changed)}
            for cell in relearning.cells(config)
            for seed in config.seeds
        ]
        run = records.Run("relearning", asdict(config), PROVENANCE, rows)
        monkeypatch.setattr(records, "load", {relearning: run}.__getitem__)

    return record


def test_what_is_gained_is_gained_over_the_same_first_training(relearned):
    """Models of another first rate stood for what was not changed, or another layer for ours."""
    piece = longer_contexts.new_queries_and_keys_in_the_second_layer_bring_the_offset_back
    known = {("0.03", "nothing"): 0.4, ("0.03", "new queries and keys, layer 2"): 1.0}
    relearned(lambda *where: known.get(where, 0.45))
    assert (piece().value, piece().holds) == (pytest.approx(0.6), True)
    for change, first in [("new queries and keys, layer 1", 3e-2), ("nothing", 3e-3)]:
        assert piece(change=change, first=first).value == pytest.approx(0.05)
        assert not piece(change=change, first=first).holds
    relearned(lambda *_: 0.9)  # nobody was late
    assert not piece().holds


@pytest.fixture
def frozen(monkeypatch):
    """As accurate as is said, of an encoding, a band, and when it was frozen."""

    def record(accuracy):
        config = frozen_frequencies.PRESETS["full"]
        rows = [
            {"task": task, "encoding": encoding, "without": without, "when": when, "seed": seed}
            | {"accuracy": accuracy(encoding, without, when) if task == RECENCY else 0.55}
            for task in config.settings
            for encoding in config.encodings
            for without in frozen_frequencies.WITHOUT
            for when in (ASKED, THROUGHOUT)
            for seed in config.seeds
        ]
        run = records.Run("frozen_frequencies", asdict(config), PROVENANCE, rows)
        monkeypatch.setattr(records, "load", {frozen_frequencies: run}.__getitem__)

    return record


def test_what_a_frozen_band_costs_is_measured_against_the_same_models(frozen):
    piece = longer_contexts.rotary_models_use_the_frequency_that_recency_varies_with
    known = {("rotary", "nothing", ASKED): 0.95, ("rotary", "32 to 96", ASKED): 0.3}
    frozen(lambda *where: known.get(where, 0.94))
    assert (piece().value, piece().holds) == (pytest.approx(0.65), True)
    assert not piece(band="under 32").holds
    frozen(lambda *_: 0.1)  # of models that had learned nothing
    assert not piece().holds


@pytest.mark.parametrize("encoding", ["sinusoidal", "rotary"])
def test_one_band_that_is_needed_is_enough_to_refuse(encoding, frozen):
    """Models that had all frequencies stood for those that had not."""
    piece = longer_contexts.no_band_is_needed_for_recency
    needed = (encoding, "96 to 256", THROUGHOUT)
    frozen(lambda *where: 0.85 if where == needed else 0.3 if where[2] == ASKED else 0.95)
    assert (piece().value, piece().holds) == (pytest.approx(0.85), True)
    assert not piece(when=ASKED).holds
    assert piece(task=OFFSET).value == pytest.approx(0.55)
    frozen(lambda *where: 0.5 if where == needed else 0.95)
    assert not piece().holds
