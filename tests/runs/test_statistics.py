"""Exponents and means: recovered where they are known, and no surer than the noise allows."""

import itertools
import tracemalloc

import numpy as np
import pytest

from attention_limits.runs.statistics import (
    EXACT,
    Fit,
    Interval,
    fit,
    interval,
    local_slope,
    paired,
    summary,
)

LENGTHS = [256, 512, 1024, 2048]


def noisy(slope, rng, repeats=7, noise=0.1):
    """Lengths and values ∝ n^slope, each value off by a factor of its own."""
    lengths = np.repeat(LENGTHS, repeats)
    return lengths, 3e-9 * lengths**slope * np.exp(noise * rng.standard_normal(len(lengths)))


@pytest.mark.parametrize("slope", [-1, 0, 1, 1.585, 2, 3])
def test_a_power_law_has_its_exponent(slope):
    """A formula of the fit was wrong: counts without noise give the exponent and no interval."""
    fitted = fit(LENGTHS, [5e7 * n**slope for n in LENGTHS])
    assert fitted.slope == pytest.approx(slope, abs=1e-12)
    assert fitted.low == fitted.slope == fitted.high


def test_it_is_the_line_of_least_squares():
    """Points off the line were weighed in a way of our own."""
    lengths, values = [1, 2, 4, 16], [1, 3, 2, 9]
    expected = np.polyfit(np.log(lengths), np.log(values), 1)[0]
    assert fit(lengths, values).slope == pytest.approx(expected)


@pytest.mark.parametrize("repeats", [5, 7, 20])
def test_the_interval_holds_the_true_exponent_as_often_as_it_says(repeats):
    """An interval too narrow makes noise a finding; too wide, a finding noise."""
    rng = np.random.default_rng(1)
    fits = [fit(*noisy(2, rng, repeats)) for _ in range(400)]
    covered = np.mean([f.low <= 2 <= f.high for f in fits])
    assert 0.90 <= covered <= 0.98


def test_the_interval_shrinks_as_repeats_are_added():
    """More measurements left one as unsure as before."""
    rng = np.random.default_rng(2)
    few, many = (
        np.mean([f.high - f.low for f in fits])
        for fits in ([fit(*noisy(2, rng, repeats)) for _ in range(30)] for repeats in (4, 64))
    )
    assert many == pytest.approx(few / 4, rel=0.2)


def test_the_same_measurements_give_the_same_interval():
    """Each build of the book drew other samples and printed another interval."""
    measured = noisy(2, np.random.default_rng(3))
    assert fit(*measured) == fit(*measured)


def test_a_curve_shows_in_its_local_slopes():
    """One exponent hid that the growth is n + n²/1000: from one to two."""
    values = [n + n**2 / 1000 for n in LENGTHS]
    middles, slopes = zip(*local_slope(LENGTHS, values), strict=True)
    expected = np.diff(np.log(values)) / np.log(2)
    assert slopes == pytest.approx(expected)
    assert middles == pytest.approx([256 * 2**0.5, 512 * 2**0.5, 1024 * 2**0.5])


def test_the_order_of_the_measurements_does_not_matter():
    """Interleaved repeats were taken for one long series."""
    lengths, values = [512, 256, 512, 256], [4.0, 1.0, 4.0, 1.0]
    assert fit(lengths, values).slope == pytest.approx(2)
    assert local_slope(lengths, values) == [pytest.approx((256 * 2**0.5, 2))]


@pytest.mark.parametrize(
    ("lengths", "values", "named"),
    [
        ([256], [1.0], "lengths"),
        ([256, 256], [1.0, 2.0], "lengths"),
        ([0, 256], [1.0, 2.0], "lengths"),
        ([], [], "lengths"),
        ([256, 512], [1.0], "values"),
        ([256, 512], [1.0, 0.0], "values"),
        ([256, 512], [1.0, -1.0], "values"),
        ([256, 512], [1.0, float("nan")], "values"),
        ([256, float("nan")], [1.0, 2.0], "lengths"),
        ([256, float("inf")], [1.0, 2.0], "lengths"),
        ([256, 512], [1.0, float("inf")], "values"),
    ],
)
@pytest.mark.parametrize("function", [fit, local_slope])
def test_what_has_no_exponent_is_refused_by_name(function, lengths, values, named):
    """A NaN went on the page as an exponent."""
    with pytest.raises(ValueError, match=f"^{named} must"):
        function(lengths, values)


def test_an_exponent_reads_as_prose_wants_it():
    """A count was quoted with an uncertainty, or a measurement without."""
    assert str(Fit(2, 2, 2)) == "2.00"
    assert str(Fit(1.984, 1.964, 2.004)) == "1.98 ± 0.02"


# --- over seeds ---------------------------------------------------------------------------------

A, B = [0.9, 0.92, 0.95, 0.91, 0.93], [0.8, 0.95, 0.8, 0.91, 0.81]


def test_a_summary_is_mean_and_range():
    """The mean of five seeds hid the one that failed."""
    found = summary([0.5, 1, 1, 1, 1])
    assert (found.mean, found.least, found.most, found.count) == (pytest.approx(0.9), 0.5, 1, 5)
    assert str(found) == "0.9 [0.5, 1] over 5 seeds"


# From printed tables of Student's distribution.
@pytest.mark.parametrize(
    ("count", "level", "t"),
    [
        (2, 0.95, 12.7062),
        (3, 0.95, 4.30265),
        (5, 0.9, 2.13185),
        (5, 0.95, 2.77645),
        (5, 0.99, 4.60409),
        (10, 0.5, 0.702722),
        (31, 0.95, 2.04227),
        (101, 0.999, 3.39049),
    ],
)
def test_the_interval_is_student_s(count, level, t):
    """The t of another level, of one tail or of n degrees of freedom: an interval too narrow."""
    values = np.random.default_rng(count).standard_normal(count)
    found = interval(values.tolist(), level)
    half = t * np.std(values, ddof=1) / np.sqrt(count)
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.mean == pytest.approx(half, rel=1e-5)
    assert found.mean - found.low == pytest.approx(half, rel=1e-5)
    assert found.level == level


@pytest.mark.parametrize("count", [2, 3, 5, 10])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_holds_the_mean_as_often_as_it_says(count, level):
    """An interval over five seeds that holds the truth four times of five, and says nineteen."""
    draws = 3 + 0.2 * np.random.default_rng(0).standard_normal((1500, count))
    found = [interval(values, level) for values in draws]
    covered = np.mean([each.low <= 3 <= each.high for each in found])
    error = np.sqrt(level * (1 - level) / len(draws))
    assert abs(covered - level) < 3 * error


def test_the_bootstrap_would_not():
    """The docstring says why there is none: 95 % of five seeds' bootstrap are 84 %."""
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((1000, 5))
    means = draws[np.arange(1000)[:, None, None], rng.integers(5, size=(1000, 500, 5))].mean(-1)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert ((low <= 0) & (high >= 0)).mean() == pytest.approx(0.84, abs=0.03)


@pytest.mark.parametrize(
    ("found", "printed"),
    [
        (Interval(0.934, 0.9132, 0.9548, 0.95), "0.934 ± 0.021"),
        (Interval(141.2, 130, 152.4, 0.95), "141 ± 11"),
        (Interval(2.5, 1, 4, 0.95), "2.5 ± 1.5"),
        (Interval(1, 1, 1, 0.95), "1"),
    ],
)
def test_an_interval_reads_as_prose_wants_it(found, printed):
    """Digits of the mean that are noise, or a claim of ± 0."""
    assert str(found) == printed


def test_a_comparison_counts_seeds_and_knows_its_direction():
    """A loss counted as a win; or a tie, for either."""
    found = paired(A, B)
    assert (found.wins, found.losses, found.ties) == (3, 1, 1)
    assert found.difference == interval(np.subtract(A, B))
    mirrored = paired(B, A)
    assert (mirrored.wins, mirrored.losses, mirrored.ties) == (1, 3, 1)
    assert mirrored.difference.mean == -found.difference.mean
    assert mirrored.p == found.p
    assert str(found) == "0.068 ± 0.098 (won 3, lost 1, tied 1; p = 0.25)"


def test_what_a_seed_does_to_both_cancels():
    """Seeds differ by ten and methods by one: unpaired, nothing would be seen."""
    noise = 10 * np.random.default_rng(0).standard_normal(8)
    ripple = 0.1 * np.random.default_rng(1).standard_normal(8)
    found = paired(noise + 1 + ripple, noise)
    assert found.difference.low > 0.8
    assert found.p == 2 / 2**8


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_the_p_value_is_the_share_of_swaps(count):
    """One tail for two, the observed order left out, or equal means that rounding told apart."""
    rng = np.random.default_rng(count)
    a, b = rng.integers(0, 4, (2, count)) / 10  # tenths are rounded, and often tie
    as_far = 0
    for swaps in itertools.product([False, True], repeat=count):
        gap = sum(
            round(10 * (y - x if swap else x - y)) for x, y, swap in zip(a, b, swaps, strict=True)
        )
        as_far += abs(gap) >= abs(round(10 * (a - b).sum()))
    assert paired(a, b).p == as_far / 2**count


@pytest.mark.parametrize("count", [5, EXACT, EXACT + 1, 30])
def test_a_clear_difference_has_the_least_p_there_is_and_never_0(count):
    """Five seeds cannot say p < 0.05, whatever they show; and no number of them says p = 0."""
    a = 1 + np.arange(count) / 100
    least = 2 / 2**count if count <= EXACT else 1 / 2**EXACT
    assert least <= paired(a, a - 1).p <= max(2 * least, 3 / 2**EXACT)
    assert paired(a, a).p == 1


def test_without_a_difference_p_is_small_as_seldom_as_it_says():
    """Noise was significant more often than one time in twenty. Random swaps are no exception."""
    rng = np.random.default_rng(0)
    for count, repeats in [(8, 600), (EXACT + 2, 150)]:
        found = [paired(*rng.standard_normal((2, count))).p for _ in range(repeats)]
        assert 0.02 <= np.mean(np.array(found) <= 0.06) <= 0.1


def test_many_seeds_need_no_memory_for_all_their_swaps():
    """2¹⁴ signs for each of 20 000 seeds are 2.6 GB."""
    a, b = np.random.default_rng(0).standard_normal((2, 20_000))
    tracemalloc.start()
    try:
        assert 0 < paired(a, b).p <= 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**26


def test_the_same_values_give_the_same_p():
    a, b = np.random.default_rng(0).standard_normal((2, 20))
    assert paired(a, b) == paired(a, b)


@pytest.mark.parametrize("values", [[], [0.9]])
def test_one_seed_makes_no_claim(values):
    """One lucky run went on the page as a finding, with an interval of no width."""
    for function in (summary, interval, lambda values: paired(values, values)):
        with pytest.raises(ValueError, match=r"must be those of two seeds or more, got [01]: no"):
            function(values)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_diverged_has_no_mean(bad):
    """A NaN went on the page, or one diverged seed was quietly left out."""
    for function in (summary, interval):
        with pytest.raises(ValueError, match=r"^values must be finite, got"):
            function([0.1, bad, 0.2])
    with pytest.raises(ValueError, match=r"^b must be finite"):
        paired([0.1, 0.2], [0.1, bad])


def test_seeds_that_do_not_match_are_refused():
    """Four seeds were compared with five, and the pairs were no pairs."""
    with pytest.raises(ValueError, match=r"^b must have the seeds of a, got 2 values for 3"):
        paired([1, 2, 3], [1, 2])


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(ValueError, match=r"^level must be between 0 and 1"):
        interval(A, level)
