import pytest
from helpers.chapter_parts import functions

from attention_limits.derivation import Derivation, NotProven, Step
from attention_limits.formula import Formula

DERIVATIONS = functions("derivations", Derivation)
SLIPS = {"sign": lambda rhs: -rhs, "factor": lambda rhs: 2 * rhs, "shift": lambda rhs: rhs + 1}


def slips():
    """Every step of every derivation with a wrong right side; zero has no sign and no factor."""
    for name, function in DERIVATIONS.items():
        derivation = function()
        for step in derivation.steps:
            rhs = step.rhs.expr if isinstance(step.rhs, Formula) else step.rhs
            for slip, make in SLIPS.items():
                if make(rhs) != rhs:
                    wrong = Step(step.name, step.lhs, make(rhs), step.why)
                    yield f"{name}: {step.name}, {slip}", (wrong, derivation.where)


WRONG = dict(slips())


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


@pytest.mark.parametrize(("wrong", "where"), WRONG.values(), ids=WRONG)
def test_a_slip_in_any_step_is_found(wrong, where):
    """A sign or a factor could be wrong here and nobody would know."""
    with pytest.raises(NotProven, match="left side"):
        wrong.prove(where)
