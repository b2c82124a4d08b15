"""What makes two parts of one run the same run."""

import pytest

from attention_limits import closure
from attention_limits.experiments import commutant, learned, scaling, three_back
from attention_limits.runs import cell_store


@pytest.fixture
def rests_on(monkeypatch):
    """Which files of the package the code of an experiment rests on."""
    hashed = []
    monkeypatch.setattr(closure, "digest", lambda *given: hashed.extend(given) or "")
    package = closure.ROOT / "attention_limits"

    def ask(experiment):
        hashed.clear()
        cell_store.code.__wrapped__(experiment)
        assert experiment.__doc__.splitlines()[0] in hashed[1]  # its own text
        return {path.relative_to(package).as_posix() for path in hashed[2:]}

    return ask


@pytest.mark.parametrize("experiment", [learned, scaling, three_back])
def test_the_code_of_a_run_is_what_its_experiment_imports(rests_on, experiment):
    """An edit of a help text threw half of a sweep away; or one of the training did not."""
    found = rests_on(experiment)
    assert (
        ("training/loop.py" in found) == ("tasks/recall.py" in found) == (experiment is not scaling)
    )
    assert {"attention/dense.py", "runs/records.py"} <= found
    others = {
        "cli.py",
        "claims.py",
        "experiments/registry.py",
        "runs/runner.py",
        "runs/cell_store.py",
    }
    assert not found & others
    assert not {name for name in found if name.startswith("chapters/")}


def test_records_are_no_code(rests_on):
    """A record was measured anew, and every run that was under way was refused."""
    found = rests_on(commutant)
    assert "experiments/conditions.py" in found
    assert {name.rpartition(".")[2] for name in found} == {"py"}
