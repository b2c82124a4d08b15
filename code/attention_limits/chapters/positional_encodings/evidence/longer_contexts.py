"""Evidence on cures of rotary models, and on the frequencies of scores, from recorded runs."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from attention_limits.chapters.positional_encodings.recorded import difference, least
from attention_limits.evidence import Evidence, evidence
from attention_limits.experiments import (
    cures,
    fine_tuning,
    frozen_frequencies,
    relearning,
    score_frequencies,
)
from attention_limits.experiments.conditions import LONGEST, SETTINGS, TRAINED
from attention_limits.runs import records
from attention_limits.runs.records import Run

RECENCY, OFFSET = "most recent", "token 3 back"
NEAR_TURN = "YaRN 1-4"  # interpolates what has not turned once, and little of what has
SHORT = TRAINED[1]
UNIT = "of the last answers right"
HALF = 0.5  # of the answers right: what counts as kept

# --- what theory foretells ----------------------------------------------------------------------

# Which tasks are carried to n tokens, of what pairs turned by in training and turn by now.
Theory = Callable[[Sequence[float], Sequence[float], int], Mapping[str, bool]]


def turns(before: Sequence[float], after: Sequence[float], n: int) -> dict[str, bool]:
    """Who has no new angle, order from pairs without a full turn, and an offset that stays."""
    return cures.expected(before, after, n).carried


def no_new_angle(before: Sequence[float], after: Sequence[float], n: int) -> dict[str, bool]:
    """All tasks alike are carried by who meets no angle that training had not."""
    return dict.fromkeys(SETTINGS, not cures.expected(before, after, n).strange)


def fast_as_before(before: Sequence[float], after: Sequence[float], n: int) -> dict[str, bool]:
    """All tasks alike are carried by who turns the pairs as before that completed a turn."""
    fast = [k for k, theta in enumerate(before) if theta * SHORT >= 2 * math.pi]
    return dict.fromkeys(SETTINGS, all(math.isclose(before[k], after[k]) for k in fast))


SIMPLER: dict[str, Theory] = {
    "a theory that asks only whether an angle is new": no_new_angle,
    "a theory that asks only whether fast pairs turn as before": fast_as_before,
}


def outcomes(run: Run, n: int) -> np.ndarray:
    """How far above the half what is left lies: (kind, task, seed), as ``cures`` orders them."""
    tasks = run.config["settings"]
    return np.array(
        [[cures.left(run, task, *kind, n) for task in tasks] for kind in cures.pairs(run.config)]
    )


def foretold(run: Run, theory: Theory, n: int) -> np.ndarray:
    """Whether a theory expects tasks to be carried: (kind, task)."""
    each = [theory(*cures.turned(*kind, n), n) for kind in cures.pairs(run.config)]
    return np.array([[carried[task] for task in run.config["settings"]] for carried in each])


def foretold_rightly(run: Run, theory: Theory, n: int) -> tuple[list[bool], list[bool]]:
    """Of each case whether a theory is right: of models of ``cures.CURED``, and of all others."""
    right = foretold(run, theory, n) == (outcomes(run, n).mean(-1) > 0)
    of_cured = np.array([trained == cures.CURED for trained, _ in cures.pairs(run.config)])
    return right[of_cured].ravel().tolist(), right[~of_cured].ravel().tolist()


@evidence(rivals={words: dict(theory=theory) for words, theory in SIMPLER.items()})
def turns_foretell_what_a_cure_keeps(theory: Theory = turns, n: int = LONGEST) -> Evidence:
    """In how many cases theory says rightly what is carried, against the best of simpler ones."""
    run = records.load(cures)
    left = outcomes(run, n)
    cases, seeds = left[..., 0].size, left.shape[-1]

    def agree(theory: Theory) -> tuple[int, list[int]]:
        """In how many cases, of the means and of each seed."""
        says = foretold(run, theory, n)
        of_each = (says[..., None] == (left > 0)).sum((0, 1))
        return int((says == (left.mean(-1) > 0)).sum()), of_each.tolist()

    found, each = agree(theory)
    best, best_each = max(map(agree, SIMPLER.values()))
    return Evidence(
        value=found / cases,
        expected=best / cases,
        tolerance=0,
        unit="of the cases",
        how=f"{run.stamp}: n = {n}, {cases} cases: what was trained, a cure and a task, carried if "
        f"the mean of {seeds} seeds keeps more than half of its accuracy above a guess; {found} "
        f"agree, {best} with the best of {len(SIMPLER)} simpler theories; of one seed "
        f"{min(each)} to {max(each)}, against {min(best_each)} to {max(best_each)}; "
        "which cases and which simpler theories was decided after the run",
        relation=">",
    )


# --- cures --------------------------------------------------------------------------------------


def _cured(run: Run, task: str, cure: str) -> list[float]:
    return cures.accuracies(run, task, cures.CURED, cure, LONGEST)


@evidence(
    rivals={
        "a ramp from one turn to four": dict(cure=NEAR_TURN),
        "a larger base, as NTK-aware scaling has": dict(cure=cures.NTK),
        "no cure": dict(cure=cures.NOTHING),
    }
)
def interpolation_keeps_order_and_loses_offsets(cure: str = cures.INTERPOLATED) -> Evidence:
    """By how much recency is right more often than the offset, after a cure.

    It holds of two ramps as well, from two turns to eight and from one to 32. These are no rivals:
    they slow all frequencies, too, and like interpolation leave none that turns as in training.
    """
    run = records.load(cures)
    order, offset = (_cured(run, task, cure) for task in (RECENCY, OFFSET))
    where = f"{run.stamp}: {cures.CURED}, {cure}, n = {LONGEST}"
    return difference((f"“{RECENCY}”", order), (f"“{OFFSET}”", offset), 0.5, where, UNIT)


LOSING = {
    "interpolation of all pairs": dict(cure=cures.INTERPOLATED),
    "a larger base, as NTK-aware scaling has": dict(cure=cures.NTK),
    "no cure": dict(cure=cures.NOTHING),
}


@evidence(rivals={"a ramp from one turn to 32": dict(cure="YaRN 1-32"), **LOSING})
def a_ramp_that_begins_at_a_turn_keeps_both(cure: str = NEAR_TURN) -> Evidence:
    """How often the worse of recency and the offset is right, after a cure."""
    return _keeps_both(cure)


@evidence(rivals=LOSING)
def a_base_without_new_angles_keeps_both(cure: str = cures.LARGER) -> Evidence:
    """The same, of the base that divides the fastest unfinished pair by the factor."""
    return _keeps_both(cure)


def _keeps_both(cure: str) -> Evidence:
    run = records.load(cures)
    both = {task: _cured(run, task, cure) for task in (RECENCY, OFFSET)}
    return least(both, HALF, f"{run.stamp}: {cures.CURED}, {cure}, n = {LONGEST}")


# --- a little more training ---------------------------------------------------------------------


@evidence(
    rivals={
        "interpolated frequencies": dict(cure=cures.INTERPOLATED),
        "frequencies as they were": dict(cure=cures.NOTHING),
        "new weights": dict(cure=fine_tuning.SCRATCH),
    }
)
def after_a_ramp_few_steps_give_all_tasks(cure: str = NEAR_TURN) -> Evidence:
    """The worst of three tasks after the fewest steps on the longest sequences."""
    run = records.load(fine_tuning)
    few = min(run.config["more"])
    found = {task: fine_tuning.accuracies(run, task, cure, few) for task in run.config["settings"]}
    return least(found, HALF, f"{run.stamp}: {cure}, after {few} steps on n = {LONGEST}")


@evidence(
    rivals={
        "a ramp from one turn to four": dict(cure=NEAR_TURN),
        "a larger base, as NTK-aware scaling has": dict(cure=cures.NTK),
        "frequencies as they were": dict(cure=cures.NOTHING),
    }
)
def after_interpolation_an_offset_is_learned_later_than_anew(
    cure: str = cures.INTERPOLATED,
) -> Evidence:
    """How much more often new weights are right, after as many steps on the longest sequences."""
    run = records.load(fine_tuning)
    many = max(run.config["more"])
    anew, cured = (
        fine_tuning.accuracies(run, OFFSET, start, many) for start in (fine_tuning.SCRATCH, cure)
    )
    where = f"{run.stamp}: “{OFFSET}”, {many} steps on n = {LONGEST}"
    return difference(("new weights", anew), (cure, cured), 0.05, where)


@evidence(
    rivals={
        "new queries and keys of the first layer": dict(change="new queries and keys, layer 1"),
        "softer scores of the second": dict(change="softer scores, layer 2"),
        "a first training at a tenth of the rate": dict(change=relearning.NOTHING, first=3e-3),
    }
)
def new_queries_and_keys_in_the_second_layer_bring_the_offset_back(
    change: str = "new queries and keys, layer 2", first: float = relearning.FIRST[-1]
) -> Evidence:
    """How much more often interpolated models are right after a change, or another first training.

    They are asked after as many steps on the longest sequences as the unchanged ones.
    """
    run = records.load(relearning)
    before = relearning.accuracies(run, relearning.NOTHING)
    after = relearning.accuracies(run, change, first)
    changed = f"{change}, first trained at {first:g},"
    where = f"{run.stamp}: “{OFFSET}”, interpolated, {run.config['more']} steps on n = {LONGEST}"
    return difference((changed, after), ("unchanged", before), 0.1, where)


# --- frequencies of scores ----------------------------------------------------------------------


@evidence(
    rivals={
        "models of the offset, in the same record": dict(task=OFFSET),
        "periods of 256 tokens and more": dict(band=score_frequencies.BANDS[-1]),
    }
)
def recency_is_carried_by_periods_of_one_to_three_lengths(
    task: str = RECENCY, band: tuple[float, float] = (SHORT, 3 * SHORT)
) -> Evidence:
    """How much of the variance of a query's scores, by position, a band of frequencies carries."""
    run = records.load(score_frequencies)
    shares = score_frequencies.by_band(run, task, "sinusoidal")[band]
    low, high = band
    return Evidence(
        value=min(shares),
        expected=0.5,
        tolerance=0,
        unit="of the variance within a query",
        how=f"{run.stamp}: sinusoids, “{task}”, periods from {low:g} to {high:g} tokens, the "
        f"strongest head of the first layer at the {SHORT} positions of training; the least of "
        f"{len(shares)} seeds, the most being {max(shares):.2f}",
        relation=">",
    )


@evidence(
    rivals={
        "faster frequencies": dict(band="under 32"),
        "slower ones": dict(band="96 to 256"),
        "the slowest": dict(band="from 256"),
    }
)
def rotary_models_use_the_frequency_that_recency_varies_with(band: str = "32 to 96") -> Evidence:
    """How much recency loses at the trained length if a band is frozen after training."""
    run = records.load(frozen_frequencies)
    whole, frozen = (
        frozen_frequencies.accuracies(run, RECENCY, "rotary", without)
        for without in (frozen_frequencies.NOTHING, band)
    )
    return difference(
        ("all frequencies", whole),
        (f"periods {band} frozen", frozen),
        0.3,
        f"{run.stamp}: rotary, “{RECENCY}”, n = {SHORT}",
        "fewer of the last answers right",
    )


@evidence(
    rivals={
        "bands that are frozen after training": dict(when=frozen_frequencies.ASKED),
        "the offset, which sinusoids do not find without fast frequencies": dict(task=OFFSET),
    }
)
def no_band_is_needed_for_recency(
    when: str = frozen_frequencies.THROUGHOUT, task: str = RECENCY
) -> Evidence:
    """The worst of all models that train without one band, at the trained length."""
    run = records.load(frozen_frequencies)
    found = {
        f"{encoding} without {band}": frozen_frequencies.accuracies(run, task, encoding, band, when)
        for encoding in run.config["encodings"]
        for band in run.config["without"]
        if band != frozen_frequencies.NOTHING
    }
    return least(found, 0.8, f"{run.stamp}: “{task}”, n = {SHORT}")
