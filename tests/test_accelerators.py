"""Published peaks: facts that were looked up, and what follows from them."""

import pytest

from attention_limits.accelerators import ACCELERATORS


@pytest.mark.parametrize("name", ACCELERATORS)
def test_peaks_are_of_dense_products(name):
    """Data sheets print twice the peak, of sparse products, and TFLOP/s, TB/s and GB."""
    one = ACCELERATORS[name]
    assert one.name == name
    assert 1e14 < one.peak < 2.5e15
    assert 1e12 < one.bandwidth < 1e13
    assert 4e10 <= one.capacity <= 2e11
    assert one.capacity % 2**20 == 0, "a capacity in GB, which the makers count in GiB"
    assert 100 < one.balance < 300
    assert len(one.note.split()) > 5


def test_they_stand_in_the_order_of_their_years():
    """A slider from old to new jumped back."""
    years = [one.year for one in ACCELERATORS.values()]
    assert years == sorted(years)
