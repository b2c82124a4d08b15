"""Exponents: recovered where they are known, and no surer than the noise allows."""

import numpy as np
import pytest

from attention_limits.experiments.statistics import Fit, fit, local_slope

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
