"""The search for rate and steps: that it spends what it says, and stops at no edge."""

import math
from dataclasses import fields, replace

import pytest

from attention_limits import tasks, training
from attention_limits.experiments import registry, search
from attention_limits.experiments.search import GRID, Budget
from attention_limits.models import Architecture
from attention_limits.training import Recipe

TASK = tasks.make("token_back", k=1, symbols=4)
TINY = Architecture(d_model=8, heads=2, layers=1, position="rotary")
RECIPE = Recipe(steps=10, batch=4, lengths=(4, 8))
SEARCHING = [
    experiment
    for experiment in map(registry.find, registry.EXPERIMENTS)
    if "budget" in {field.name for field in fields(experiment.Config)}
]


@pytest.fixture
def made(monkeypatch):
    """What is trained; and a loss that is least at one rate, which depends on the steps."""

    def of(best, accuracy=lambda steps: 0.5):
        rounds = []

        def train_ensemble(architecture, task, recipe, *, seeds, rates, **_):
            rounds.append((recipe.steps, tuple(dict.fromkeys(rates)), tuple(seeds)))
            return training.Trained(None, tuple(seeds), tuple(rates), [], (), ())

        def held_out(trained, task, recipe, count):
            far = [abs(math.log(rate / best(recipe.steps))) for rate in trained.rates]
            return [x / recipe.steps for x in far], [accuracy(recipe.steps)] * len(far)

        monkeypatch.setattr(training, "train_ensemble", train_ensemble)
        monkeypatch.setattr(search, "held_out", held_out)
        return rounds

    return of


def found(budget=None, **more):
    return search.search(TINY, TASK, RECIPE, budget or Budget(), **more)


def test_who_has_learned_gets_no_more_steps(made):
    rounds = made(lambda steps: 3e-3, accuracy=lambda steps: 0.99)
    choice = found()
    assert (choice.rate, choice.steps, choice.at_edge) == (3e-3, 10, False)
    assert [(steps, rates) for steps, rates, _ in rounds] == [(10, (1e-3, 3e-3, 1e-2, 3e-2))]


@pytest.mark.parametrize(
    ("best", "more"), [(10.0, [0.1, 0.3, 1.0, 3.0, 10.0]), (1e-4, [3e-4, 1e-4, 3e-5])]
)
def test_a_best_at_the_edge_is_looked_beyond(made, best, more):
    """The rate was the largest of three for five of nine models, and called the best."""
    rounds = made(lambda steps: best, accuracy=lambda steps: 0.99)
    choice = found()
    assert choice.rate == best
    assert [rates for _, rates, _ in rounds[1:]] == [(rate,) for rate in more]
    assert choice.at_edge == (best == GRID[-1])


def test_who_has_not_gets_four_times_the_steps_around_the_best(made):
    rounds = made(lambda steps: {10: 1e-2, 40: 1e-3}[steps])
    choice = found()
    assert (choice.rate, choice.steps, choice.at_edge) == (1e-3, 40, False)
    assert [(steps, rates) for steps, rates, _ in rounds[1:]] == [
        (40, (3e-3, 1e-2, 3e-2)),
        (40, (1e-3,)),
        (40, (3e-4,)),
    ]
    assert {seeds[:2] for *_, seeds in rounds} == {Budget().seeds}


def test_trials_say_all_that_was_tried_and_everyone_is_looked_at(made):
    made(lambda steps: 3e-3)
    seen = []
    choice = found(look=seen.append)
    assert [(trial.rate, trial.steps) for trial in choice.trials] == [
        *((rate, 10) for rate in Budget().rates),
        *((rate, 40) for rate in (1e-3, 3e-3, 1e-2)),
    ]
    assert [len(trained.seeds) for trained in seen] == [8, 6]


def test_a_single_rate_is_taken_as_it_is():
    choice = found(Budget(rates=(1e-2,), patience=(1,)))
    assert (choice.rate, choice.steps, choice.trials) == (1e-2, 10, ())


@pytest.mark.parametrize("rates", [(1e-3, 1e-2), (2e-3,), (), (3e-3, 1e-3)])
def test_rates_that_are_no_neighbours_are_refused(rates):
    with pytest.raises(ValueError, match="rates must be neighbours"):
        Budget(rates=rates)


@pytest.mark.parametrize("experiment", SEARCHING)
def test_seeds_that_serve_to_choose_are_not_tested(experiment):
    """All experiments but one made such a config, and refused it when the first cell was run."""
    config = experiment.PRESETS["smoke"]
    with pytest.raises(ValueError, match=r"seeds must be others .*, got \{1\}"):
        replace(config, seeds=(0, 1), budget=Budget(seeds=(1, 2)))


def test_what_diverged_is_never_the_best():
    budget = Budget(rates=(1e-3, 3e-3), patience=(1,), seeds=(1000,), count=20)
    trained = training.train(TINY, TASK, RECIPE, seeds=(0, 0), rates=(1e30, 1e-3))
    losses, accuracies = search.held_out(trained, TASK, RECIPE, budget.count)
    assert losses[0] == math.inf > losses[1]
    assert search.losses(trained, TASK, RECIPE, budget.count) == [None, losses[1]]
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)


def test_ranges_that_vary_are_compared_at_some_of_them():
    assert search.ranges(Recipe(lengths=(8, 32))) == [None]
    assert search.ranges(Recipe(lengths=(8, 32), max_position=256)) == [256]
    varied = Recipe(lengths=(8, 32), max_position=256, vary_gaps=True)
    assert search.ranges(varied) == [32, 64, 128, 256]
