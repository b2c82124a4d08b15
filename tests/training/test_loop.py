"""The loop that all trained models of the book come from."""

import dataclasses
import math

import pytest
import torch
from helpers.small_trainings import KINDS, SHORT, SMALL, TASK, noted, same, weights

from attention_limits import models, tasks, training
from attention_limits.models import Architecture
from attention_limits.tasks import IGNORE
from attention_limits.training import Recipe, evaluate, train


@pytest.mark.slow
@pytest.mark.parametrize("architecture", KINDS.values(), ids=KINDS)
def test_side_by_side_is_alone(architecture):
    """A model felt its neighbours, by the gradient's norm, the learning rate or the data."""
    given = {"architecture": architecture, "task": TASK, "recipe": SHORT}
    three = train(**given, seeds=(3, 5, 3), rates=(1e-3, 1e-2, 3e-2))
    for number, (seed, rate) in enumerate([(3, 1e-3), (5, 1e-2), (3, 3e-2)]):
        alone = train(**given, seeds=(seed,), rates=rate)
        for a, b in zip(weights(three, number), weights(alone), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        assert noted(three, number) == pytest.approx(noted(alone, 0), rel=1e-4)
    moved = [(a - b).abs().max() for a, b in zip(weights(three, 0), weights(three, 2), strict=True)]
    assert min(moved) > 1e-4  # the rate was one model's own


def test_the_same_call_gives_the_same_models():
    assert same(train(SMALL, TASK, SHORT, seeds=(1,)), train(SMALL, TASK, SHORT, seeds=(1,)))
    assert not same(train(SMALL, TASK, SHORT, seeds=(1,)), train(SMALL, TASK, SHORT, seeds=(2,)))


def test_a_step_is_that_of_adamw_with_a_clipped_gradient():
    """Against PyTorch's own, one model, its own rate and schedule, written out."""
    recipe = Recipe(steps=12, batch=8, lengths=(6, 6), warm_up=3, cool_down=0.5, weight_decay=0.1)
    trained = train(SMALL, TASK, recipe, seeds=(4,), rates=0.02)
    model = models.build(SMALL, vocabulary=4, classes=4, seeds=(4,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1, betas=(0.9, 0.99), weight_decay=0.1)
    schedule = [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]
    for step, share in enumerate(schedule):
        batch = TASK.sample((4, step), 8, 6)
        logits = model(torch.from_numpy(batch.inputs)[None])[0]
        asked = batch.targets != IGNORE
        loss = torch.nn.functional.cross_entropy(
            logits[asked], torch.from_numpy(batch.targets[asked])
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = 0.02 * share
        optimizer.step()
    for a, b in zip(weights(trained), model.parameters(), strict=True):
        torch.testing.assert_close(a, b[0], rtol=1e-4, atol=1e-5)


def test_stretched_positions_and_times_reach_the_model():
    """A model that never sees them trains just as well as one without."""
    stretched = dataclasses.replace(SHORT, max_position=200)
    assert not same(train(SMALL, TASK, SHORT), train(SMALL, TASK, stretched))
    events = tasks.make("irregular_events", values=4)
    timed = Architecture(d_model=16, heads=2, position="time_aware")
    model = train(timed, events, dataclasses.replace(SHORT, lengths=(6, 6))).model
    tokens, _, where = training.to_tensors(events.sample(0, 3, 6), False, torch.device("cpu"))
    later = {"times": where["times"] * 2}
    with torch.no_grad():
        assert (model(tokens[None], **where) - model(tokens[None], **later)).abs().max() > 1e-4


@pytest.mark.parametrize("architecture", KINDS.values(), ids=KINDS)
def test_half_precision_trains(architecture):
    """Products in bfloat16; weights, losses and the optimiser's state stay in float32."""
    trained = train(architecture, TASK, dataclasses.replace(SHORT, precision="bfloat16"))
    assert {w.dtype for w in weights(trained)} == {torch.float32}
    full = train(architecture, TASK, SHORT)
    assert not same(trained, full)
    ours, theirs = (run.history[-1]["loss"] for run in (trained, full))
    assert ours == pytest.approx(theirs, rel=0.1)


@pytest.mark.cuda
@pytest.mark.parametrize("architecture", KINDS.values(), ids=KINDS)
def test_trains_on_cuda_as_on_a_cpu(architecture):
    there = train(architecture, TASK, SHORT, device="cuda", seeds=(0, 1))
    here = train(architecture, TASK, SHORT, seeds=(0, 1))
    assert there.history[0]["loss"] == pytest.approx(here.history[0]["loss"], rel=1e-2)
    assert evaluate(there, TASK, 12)[0]["accuracy"] > 0


def test_what_is_noted_is_a_mean_over_the_steps_since_the_last_look():
    """The last steps, fewer than an interval, were divided by as many as in one."""
    still = train(SMALL, TASK, dataclasses.replace(SHORT, steps=23, batch=64), rates=1e-9)
    assert [row["step"] for row in still.history] == [10, 20, 23]
    losses = [row["loss"] for row in still.history]
    assert losses == pytest.approx([losses[0]] * 3, rel=0.1)


def test_who_looks_at_models_in_training_sees_them_as_they_are_and_changes_nothing():
    """A lab's look on the way moved a draw or a weight, or was a look at the first models."""
    seen = []

    def on_eval(trained):
        row = evaluate(trained, TASK, 12, count=20)[0]
        seen.append((trained.steps, row["accuracy"], weights(trained)[0].clone()))

    watched = train(SMALL, TASK, SHORT, seeds=(1, 2), on_eval=on_eval)
    assert same(watched, train(SMALL, TASK, SHORT, seeds=(1, 2)))
    assert [steps for steps, _, _ in seen] == [(10, 10), (20, 20), (25, 25)]
    half_way = train(SMALL, TASK, dataclasses.replace(SHORT, cool_down=0, steps=20), seeds=(1, 2))
    whole = train(
        SMALL, TASK, dataclasses.replace(SHORT, cool_down=0), seeds=(1, 2), on_eval=on_eval
    )
    assert torch.equal(seen[4][2], weights(half_way)[0])
    assert torch.equal(seen[5][2], weights(whole)[0])
    assert seen[5][1] == evaluate(whole, TASK, 12, count=20)[0]["accuracy"]


# --- stopping -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_model_stops_at_its_target_and_the_others_go_on():
    """The first answers are worth more than the last steps; but nobody else may stop with it."""
    recipe = Recipe(steps=60, batch=16, lengths=(8, 8), target=0.9)
    first = tasks.make("first_token", symbols=2)
    quick, slow = (train(SMALL, first, recipe, rates=rate) for rate in (1e-2, 1e-5))
    assert quick.ended == ("target",)
    assert quick.steps[0] < 60
    assert quick.history[-1]["accuracy"] >= 0.9
    assert quick.history[-1]["step"] == quick.steps[0]
    assert slow.ended == ("trained",)
    both = train(SMALL, first, recipe, seeds=(0, 0), rates=(1e-2, 1e-5))
    assert (both.ended, both.steps) == (("target", "trained"), (quick.steps[0], 60))
    for a, b in zip(weights(both, 0), weights(quick), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_model_that_diverges_is_given_up_and_takes_none_with_it():
    """One NaN in a norm that all share, and five seeds are lost."""
    recipe = dataclasses.replace(SHORT, steps=40, clip=None, diverged=20.0)
    both = train(SMALL, TASK, recipe, seeds=(1, 1), rates=(1e6, 1e-3))
    assert both.ended == ("diverged", "trained")
    assert both.steps == (10, 40)
    alone = train(SMALL, TASK, recipe, seeds=(1,), rates=1e-3)
    for a, b in zip(weights(both, 1), weights(alone), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert all(loss is None or math.isfinite(loss) for loss in [r["loss"] for r in both.history])


def test_all_stop_and_so_does_training():
    recipe = dataclasses.replace(SHORT, steps=10**6, target=1e-9)
    assert train(SMALL, TASK, recipe).steps == (training.INTERVAL,)


SURROUNDINGS = {
    "no gradients": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_around_the_call_changes_nothing(surroundings, precision):
    """It failed deep inside, or trained other models than it said."""
    recipe = dataclasses.replace(SHORT, precision=precision)
    with surroundings():
        within = train(SMALL, TASK, recipe)
    assert same(within, train(SMALL, TASK, recipe))
    assert all(w.requires_grad and not w.is_inference() for w in within.model.parameters())


def test_training_begins_at_the_weights_of_other_models_and_leaves_them(tmp_path):
    """A short training afterwards began anew, or changed what it was to be compared with."""
    first = train(SMALL, TASK, SHORT, seeds=(0, 1))
    before = [w.clone() for number in (0, 1) for w in weights(first, number)]
    none = dataclasses.replace(SHORT, steps=1, warm_up=0)
    again = train(SMALL, TASK, none, seeds=(0, 1), rates=1e-30, start=first.model)
    assert same(again, first)
    assert same(again, first, 1, 1)
    more = train(
        SMALL, TASK, SHORT, seeds=(0, 1), start=first.model, checkpoint=tmp_path / "a", every=5
    )
    assert not same(more, first)
    after = [w for number in (0, 1) for w in weights(first, number)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    with pytest.raises(ValueError, match="another start"):
        train(
            SMALL, TASK, SHORT, seeds=(0, 1), start=more.model, checkpoint=tmp_path / "a", every=5
        )
