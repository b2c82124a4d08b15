import pytest
from helpers.chapter_parts import functions
from helpers.slips import slips

from attention_limits.derivation import Derivation, NotProven, Step

DERIVATIONS = functions("derivations", Derivation)
STEPS = {
    f"{name}: {step.name}": (step, derivation.where)
    for name, function in DERIVATIONS.items()
    for derivation in [function()]
    for step in derivation.steps
}

# What looks like a slip and is none. In these steps some vectors have a second name: a derivation
# of what a permutation does writes q_moved_1 for what is q_2.
SAME = {
    "positional_encodings.encodings.order_of_keys_drops_out: A query that stays": {
        "k_moved_1 for k_2",
        "v_moved_1 for v_2",
    },
    "positional_encodings.encodings.order_of_keys_drops_out: A query that moves": {
        "q_moved_1 for q_2",
        "k_moved_1 for k_2",
        "v_moved_1 for v_2",
    },
}


def test_all_are_found():
    """The search went past a chapter, and its derivations went unproven."""
    assert len(DERIVATIONS) >= 7
    assert {"quadratic_cost.flops.layer_flops", "attention.best_weights"} <= DERIVATIONS.keys()


@pytest.mark.parametrize("derivation", DERIVATIONS.values(), ids=DERIVATIONS)
def test_derivations_are_proven(derivation):
    """A chapter's equation does not hold."""
    derivation().prove()


@pytest.mark.parametrize("derivation", DERIVATIONS.values(), ids=DERIVATIONS)
def test_derivations_say_what_they_show_and_why(derivation):
    """A derivation or one of its steps came without words."""
    assert derivation.__doc__
    assert all(len(step.why.split()) > 2 and step.why.endswith(".") for step in derivation().steps)


@pytest.mark.parametrize("name", STEPS)
def test_a_slip_in_any_step_is_found(name):
    """A sign, a factor, a term, a symbol or an index could be wrong here and nobody would know.

    A slip that is found no more belongs in ``SAME``, if both expressions are equal.
    """
    step, where = STEPS[name]
    wrong = list(slips(step))
    assert wrong
    missed = {what for what, rhs in wrong if not is_refuted(step, rhs, where)}
    assert missed == SAME.get(name, set())


def is_refuted(step, rhs, where):
    try:
        Step(step.name, step.lhs, rhs, step.why).prove(where)
    except NotProven as error:
        return "left side" in str(error) or "not a finite number" in str(error)
    return False


def test_what_looks_like_a_slip_is_of_a_step_that_exists():
    """A step was renamed, and its exceptions stayed on the list."""
    assert SAME.keys() <= STEPS.keys()
