"""The evidence on encodings: that it holds, and that rivals are as right as their words say."""

import pytest
import torch
from helpers.chapter_parts import assert_all_found, assert_holds_by_no_accident, pieces_in

from attention_limits.chapters.positional_encodings.evidence import encodings
from attention_limits.experiments import encoding_time
from attention_limits.meters import Touched
from attention_limits.positions import alibi, learned, sinusoidal
from attention_limits.runs import records

PIECES = pieces_in(encodings)
LONG = ("forward and backward", 1024)


def touched(function, *given):
    with Touched() as counter:
        function(*given)
    return counter.count


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "encodings")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_and_is_no_accident(piece):
    """A second run found another number; or a bound is so wide that nothing would cross it."""
    assert_holds_by_no_accident(piece)


def test_only_what_comes_before_is_shuffled():
    """Had the last token moved as well, one layer would have seen it, and shown nothing."""
    one, two = (encodings.changes_of_the_last_output(depth) for depth in (1, 2))
    assert len(one) == len(two) == len(encodings.SEEDS)
    assert max(one) < 1e-12 < 0.1 < min(two)


def test_angles_in_float32_are_right_near_the_start():
    """A rival that is wrong everywhere is refused by any check."""
    p = torch.arange(10)
    exact = sinusoidal.encoding(p, 64)
    torch.testing.assert_close(encodings.in_float32(p, 64), exact, rtol=0, atol=1e-6)


def test_the_rival_of_the_kernel_falls_and_has_ripples():
    """Without a rise anywhere it would be refused for another reason."""
    kernel = encodings.inner_products(encodings.falling)
    rises = kernel.diff() > 0
    assert rises.any()
    assert kernel[-1] < 0.6 * kernel[0]


def test_a_product_with_one_hot_rows_looks_up():
    """Right results, at another price."""
    x, table = encodings.draw(0, 5, 4), encodings.draw(1, 9, 4)
    torch.testing.assert_close(encodings.by_product(x, table), learned.apply(x, table))


def test_a_table_that_is_never_read_touches_as_much():
    """Else it would be refused for its price, and not for what it leaves out."""
    x, table = encodings.draw(0, 5, 4), encodings.draw(1, 9, 4)
    assert touched(encodings.unread, x, table) == touched(torch.add, x, x.clone())
    assert not torch.allclose(encodings.unread(x, table), learned.apply(x, table))


@pytest.mark.parametrize("n", [1, 2, 16, 256, 4096])
def test_the_nearest_of_equal_keys_keeps_its_weight(n):
    """What the page says of a slope, of the bias that the package makes."""
    slopes = alibi.slopes(8, dtype=torch.float64)
    weights = alibi.bias(1, n, slopes)[:, 0].softmax(-1)[:, -1]
    expected = (1 - torch.exp(-slopes)) / (1 - torch.exp(-slopes * n))
    torch.testing.assert_close(weights, expected)


def test_a_kernel_rises_where_the_page_says():
    """The exercise has 6 for width 64."""
    kernel = encodings.inner_products()
    assert int((kernel.diff() > 0).int().argmax()) + 1 == 6


def test_time_is_that_of_a_training_step_on_the_longest_sequences(monkeypatch):
    """The forward pass alone was timed, or a length at which calls cost more than work."""
    config = encoding_time.PRESETS["full"]
    rows = [
        dict(zip(encoding_time.COLUMNS, (name, which, n, 1, repeat, "seconds", value), strict=True))
        for name in config.encodings
        for which in encoding_time.PASSES
        for n in config.lengths
        for repeat in range(config.repeats)
        for value in [1.02 if name.startswith("learned") and (which, n) == LONG else 1.0]
    ]
    run = records.new(encoding_time, config, rows, complete=True)
    monkeypatch.setattr(records, "load", {encoding_time: run}.__getitem__)
    assert encodings.a_table_adds_next_to_no_time().value == pytest.approx(1.02)
