"""Numbers as the book writes them, whoever writes them."""

import math

import pytest

from attention_limits.numerals import in_words, numeral, singular

WRITTEN = {
    0: "0",
    4: "4",
    131072: "131,072",
    -16.64: "−16.64",
    0.5: "0.5",
    12345.6: "12,346",
    4102.4: "4,102",
    1.574e21: "1.574 · 10²¹",
    1e-8: "10⁻⁸",
    -2.5e-16: "−2.5 · 10⁻¹⁶",
    math.inf: "inf",
    math.nan: "nan",
}


@pytest.mark.parametrize(
    ("unit", "one"),
    [
        ("tokens", "token"),
        ("queries", "query"),
        ("bytes", "byte"),
        ("s", "s"),
        ("ms", "ms"),
        ("tokens/s", "tokens/s"),
        ("", ""),
    ],
)
def test_one_of_a_unit(unit, one):
    """A slider said "1 sequences"."""
    assert singular(unit) == one


@pytest.mark.parametrize("number", WRITTEN)
def test_one_notation_for_numbers(number):
    assert numeral(number) == WRITTEN[number]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("n = 4096 to 65536, d = 64", "n = 4,096 to 65,536, d = 64"),
        ("to 1e-8, n = 1024", "to 10⁻⁸, n = 1,024"),
        ("already 131,072", "already 131,072"),
        ("0.0001 of 12.3456", "0.0001 of 12.3456"),
        ("cpu:1234x and v2026", "cpu:1234x and v2026"),
        ("PyTorch 2.13.0", "PyTorch 2.13.0"),
        ("ends at 4096.", "ends at 4,096."),
        ("on 25 November 2026, 3000 steps", "on 25 November 2026, 3,000 steps"),
        ("on 30 November 2026, 2026 tokens", "on 30 November 2026, 2,026 tokens"),
    ],
)
def test_numbers_within_a_sentence(said, written):
    """A name lost its digits, or a count kept them in one row."""
    assert in_words(said) == written
