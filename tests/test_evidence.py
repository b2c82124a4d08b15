import json
import math
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
from helpers.sources import ROOT
from hypothesis import given
from hypothesis import strategies as st

from attention_limits import claims
from attention_limits.evidence import Evidence, evidence, rivals
from attention_limits.store import STORE

numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
tolerances = st.floats(min_value=0, max_value=1e6)
relations = st.sampled_from(["=", ">", "<"])


def found(value, expected=2.0, tolerance=0.0, relation="=", unit="× forward"):
    return Evidence(value, expected, tolerance, unit, "FlopCounterMode, n = 256", relation)


# --- holds ------------------------------------------------------------------------------


@given(numbers, tolerances, st.floats(min_value=-1, max_value=1))
def test_equal_holds_within_the_tolerance(expected, tolerance, share):
    """A value nearer than the tolerance, on either side, was refused."""
    value = expected + 0.999 * share * tolerance
    rounding = 1e-9 * (1 + abs(expected))
    assert found(value, expected, tolerance + rounding).holds


@given(numbers, tolerances, st.sampled_from([-1, 1]))
def test_equal_fails_beyond_the_tolerance(expected, tolerance, side):
    """A value farther off than the tolerance, on either side, was accepted."""
    value = expected + side * (1.001 * tolerance + 1e-6 * (1 + abs(expected)))
    assert not found(value, expected, tolerance).holds


@given(numbers, tolerances)
def test_an_effect_has_to_exceed_its_own_uncertainty(expected, uncertainty):
    """An effect no larger than its error bar counted as an effect."""
    beyond = 1.001 * uncertainty + 1e-6 * (1 + abs(expected))
    assert found(expected + beyond, expected, uncertainty, ">").holds
    assert found(expected - beyond, expected, uncertainty, "<").holds
    within = 0.999 * uncertainty
    assert not found(expected + within, expected, uncertainty + 1e-6, ">").holds
    assert not found(expected - within, expected, uncertainty + 1e-6, "<").holds


@given(numbers, numbers, tolerances)
def test_the_three_relations_exclude_each_other(value, expected, tolerance):
    """One number was evidence for two contradicting statements."""
    assert sum(found(value, expected, tolerance, r).holds for r in "=><") <= 1


@given(numbers, numbers, tolerances, relations)
def test_above_and_below_mirror_each_other(value, expected, tolerance, relation):
    """Above and below treat their uncertainty differently."""
    mirrored = {"=": "=", ">": "<", "<": ">"}[relation]
    there = found(value, expected, tolerance, relation).holds
    assert there == found(-value, -expected, tolerance, mirrored).holds


@given(numbers, relations)
def test_a_bound_that_is_only_met_does_not_hold(value, relation):
    """A bound counted the same number as more than itself."""
    assert found(value, value, 0, relation).holds == (relation == "=")


@given(numbers, tolerances, relations)
def test_nan_never_holds(number, tolerance, relation):
    """A computation that broke down passed for evidence."""
    assert not found(math.nan, number, tolerance, relation).holds
    assert not found(number, math.nan, tolerance, relation).holds
    assert not found(math.nan, math.nan, tolerance, relation).holds


@pytest.mark.parametrize("relation", ["=", ">", "<"])
def test_two_infinities_are_no_evidence(relation):
    """An overflow on both sides passed for agreement."""
    assert not found(math.inf, math.inf, 1.0, relation).holds


def test_counts_are_compared_as_integers():
    """Two counts that differ by one became equal by way of a float."""
    assert not found(2**53 + 1, 2**53).holds


def test_holds_cannot_be_passed_in():
    """Evidence could be made to hold by saying so."""
    with pytest.raises(TypeError, match="holds"):
        Evidence(value=1, expected=2, tolerance=0, unit="", how="by fiat", holds=True)


@pytest.mark.parametrize("field", ["holds", "value"])
def test_evidence_cannot_be_altered_afterwards(field):
    """Evidence could be made to hold once it was found."""
    with pytest.raises((FrozenInstanceError, AttributeError)):
        setattr(found(3), field, 2)


# --- bad input --------------------------------------------------------------------------


@pytest.mark.parametrize("relation", ["", "==", ">=", "≈", "holds"])
def test_an_unknown_relation_is_named(relation):
    """A relation that nothing computes was taken for one that holds, or for one that fails."""
    with pytest.raises(ValueError, match="relation"):
        found(2, relation=relation)


@pytest.mark.parametrize("tolerance", [-1e-12, -1, -math.inf, math.inf, math.nan])
def test_a_tolerance_that_means_nothing_is_named(tolerance):
    """A negative tolerance never holds, an infinite one always does."""
    with pytest.raises(ValueError, match="tolerance"):
        found(2, tolerance=tolerance)


@pytest.mark.parametrize("how", ["", "  \n"])
def test_evidence_says_how_it_was_obtained(how):
    """A number without a source passed for evidence."""
    with pytest.raises(ValueError, match="how"):
        Evidence(2, 2, 0, "", how)


# --- slack ------------------------------------------------------------------------------


def test_slack_is_the_share_of_the_tolerance_used_up():
    """The measure that guards tolerances is off by a factor."""
    assert found(2.05, tolerance=0.1).slack == pytest.approx(0.5)
    assert found(1.8, tolerance=0.1).slack == pytest.approx(2)


def test_slack_is_none_where_there_is_no_tolerance_to_use():
    """Exact evidence, or a bound, was held to a rule about tolerances that it does not have."""
    assert found(2).slack is None
    assert found(3, tolerance=0.1, relation=">").slack is None
    assert found(1, tolerance=0.1, relation="<").slack is None


@given(numbers, st.floats(min_value=0.01, max_value=1e6))
def test_slack_above_one_is_what_fails(deviation, tolerance):
    """Slack and holds disagree."""
    evidence = found(deviation, 0.0, tolerance)
    assert evidence.holds == (evidence.slack <= 1)


def red(words):
    return f'<span class="refused">✗ **{words}**</span>'


# --- how it reads -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "line"),
    [
        (found(2), "✓ **2 × forward** (expected 2, exactly) · FlopCounterMode, n = 256"),
        (found(3), red("3 × forward") + " (expected 2, exactly) · FlopCounterMode, n = 256"),
        (found(2.05, tolerance=0.1), "✓ **2.05 × forward** (expected 2 ± 0.1) · FlopCounterMode,"),
        (found(math.nan), red("nan × forward") + " (expected 2, exactly)"),
        (found(2.5, tolerance=0.1, relation=">"), "(expected > 2 by more than 0.1)"),
        (found(1, relation="<"), "(expected < 2)"),
        (found(2, unit=""), "✓ **2** (expected"),
        (found(25_769_803_776, unit="FLOPs"), red("25,769,803,776 FLOPs")),
        (found(4_102.4, unit="numbers"), red("4,102 numbers")),
        (found(1, 0.9, relation=">", unit="of the answers right"), "**all of the answers right**"),
        (found(0, 1, relation="<", unit="of the answers right"), "**none of the answers right**"),
        (found(0.93, 0.9, relation=">", unit="of the answers right"), "**0.93 of the answers"),
        (found(1, 1, unit="of 9 encodings"), "✓ **1 of 9 encodings**"),
        (found(3.14159e-7), red("3.142 · 10⁻⁷ × forward")),
        (found(1.999978, relation="<"), "✓ **1.99998 × forward** (expected < 2)"),
        (found(2.0000001), red("2.0000001 × forward") + " (expected 2, exactly)"),
        (found(2.0000001, tolerance=0.1), "✓ **2 × forward** (expected 2 ± 0.1)"),
    ],
)
def test_reads_as_one_line_of_markdown(evidence, line):
    """The chapter shows evidence with the wrong mark, number or bound."""
    assert line in evidence._repr_markdown_()


def test_a_wrapped_how_stays_on_one_line():
    """A line break in `how` breaks the card and the table that print it."""
    assert "\n" not in Evidence(2, 2, 0, "", "counted\n    twice")._repr_markdown_()


def test_to_dict_survives_json():
    """The machine-readable form lost a field, or wrote a NaN that no JSON parser reads."""
    written = json.loads(json.dumps(found(math.nan, tolerance=0.5).to_dict(), allow_nan=False))
    assert written == {
        "value": None,
        "expected": 2.0,
        "tolerance": 0.5,
        "unit": "× forward",
        "how": "FlopCounterMode, n = 256",
        "relation": "=",
        "holds": False,
    }


def test_importing_evidence_is_cheap():
    """Reading what evidence is made the reader wait for torch or SymPy."""
    check = (
        "import sys, attention_limits.evidence; assert not {'torch', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


# --- the rule that all evidence of the book keeps ----------------------------------------

LEDGER = claims.load()
RESULTS = list(ROOT.glob("_build/.results/*"))


@pytest.mark.parametrize(
    ("claim", "name"),
    [
        pytest.param(claim.id, name, id=f"{claim.id}-{name}")
        for claim in LEDGER.values()
        for name in claim.evidence
    ],
)
def test_the_books_evidence_holds_and_its_tolerance_tests_something(claim, name, monkeypatch):
    """A verdict rests on evidence that fails, or on a tolerance that nothing could fail.

    A tolerance ten or more times the deviation found is too wide: one that is right today turns
    this red when someone loosens it tenfold. Evidence that comes out exact asks for tolerance 0.
    """
    if RESULTS:  # of a book that is built: evidence whose code is still the same is not repeated
        monkeypatch.setenv(STORE, str(RESULTS[0]))
    evidence = claims.resolve(LEDGER[claim], "evidence", name)()
    assert evidence.holds, str(evidence)
    assert evidence.slack is None or evidence.slack > 0.1, f"too wide a tolerance: {evidence}"


RIVALS = {
    f"{claim.id}-{name}-{words}": (function, read)
    for claim in LEDGER.values()
    for name in claim.evidence
    for function in [claims.resolve(claim, "evidence", name)]
    for words, read in rivals(function).items()
}


@pytest.mark.parametrize(("piece", "read"), RIVALS.values(), ids=RIVALS)
def test_the_books_evidence_refuses_its_rivals(piece, read, monkeypatch):
    """A program that is wrong in just the way that the claim denies would pass for right.

    It is refused by a number of the same kind, not by an exception, or by a measure that breaks
    down: anything would refuse that.
    """
    if RESULTS:
        monkeypatch.setenv(STORE, str(RESULTS[0]))
    rival, honest = read(), piece()
    assert not rival.holds, f"passes as well: {rival}"
    assert math.isfinite(rival.value), f"refused without a number: {rival}"
    assert (rival.unit, rival.relation) == (honest.unit, honest.relation)


def test_rivals_are_named_in_words_that_end_a_sentence():
    """The card said "would have given 8 × for A softmax that writes out its Jacobians.."."""
    for words in {words for function, _ in RIVALS.values() for words in rivals(function)}:
        assert words == " ".join(words.split())
        assert not words.endswith((".", ",", ";"))
        assert not words.startswith(("A ", "An ", "The ", "for "))
        assert words.count("$") % 2 == 0


@pytest.mark.parametrize("odd", [5, 3, math.nan])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_count_that_differs_is_enough(odd, place):
    """A sweep that reports any count but the worst would hide the one that refutes it."""
    counts = [4, 4]
    counts.insert(place, odd)
    assert not Evidence.exactly(counts, expected=4, unit="×", how="counted").holds


def test_counts_that_all_agree_hold_exactly():
    """Equal counts must hold, with no tolerance to hide behind, and say how many there were."""
    evidence = Evidence.exactly([4, 4], expected=4, unit="×", how="counted")
    assert (evidence.holds, evidence.tolerance) == (True, 0)
    assert evidence.how == "counted; the furthest of 2 counts"


def test_no_counts_are_no_evidence():
    """A sweep over nothing would hold of anything."""
    with pytest.raises(ValueError, match="values"):
        Evidence.exactly([], expected=4, unit="×", how="counted")


# --- rivals -----------------------------------------------------------------------------


def basket(rivals):
    """A piece of evidence that counts apples, and a list of what it was called with."""
    called = []

    @evidence(rivals=rivals)
    def four_apples(pears=0):
        called.append(pears)
        return Evidence(4 + pears, 4, 0, "apples", "counted")

    return four_apples, called


def test_a_rival_takes_the_place_of_what_is_claimed():
    """A rival was never run, or the wrong one under its words."""
    piece, _ = basket({"a pear": {"pears": 1}, "two pears": {"pears": 2}})
    read = {words: read().value for words, read in rivals(piece).items()}
    assert (piece().value, read) == (4, {"a pear": 5, "two pears": 6})


def test_in_a_build_each_rival_runs_once(tmp_path, monkeypatch):
    """The card ran each rival again that a cell, or another card, had run; or mixed them up."""
    monkeypatch.setenv(STORE, str(tmp_path))
    for _ in range(2):
        piece, called = basket({"a pear": {"pears": 1}, "two pears": {"pears": 2}})
        assert [read().value for read in rivals(piece).values()] == [5, 6]
        assert piece().value == 4
    assert called == []


def test_a_rival_of_something_else_than_evidence_is_refused():
    """A plain function was taken for evidence without rivals."""
    with pytest.raises(ValueError, match="must be marked with @evidence"):
        rivals(basket)
