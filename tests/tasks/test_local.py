"""Motifs and rule 110: what the contract of all tasks cannot know."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from attention_limits.tasks import IGNORE, make

RULE_110 = {"111": 0, "110": 1, "101": 1, "100": 0, "011": 1, "010": 1, "001": 1, "000": 0}


def windows(body, motif):
    """Where the motif stands in each sequence, and where its letters stand in any order."""
    seen = sliding_window_view(body, len(motif), axis=1)
    return (seen == motif).all(axis=-1), (np.sort(seen) == np.sort(motif)).all(axis=-1)


@pytest.mark.parametrize(
    "parameters", [{}, {"distractors": 9}, {"length": 4, "motif_seed": 3}], ids=str
)
def test_sequences_without_the_motif_hold_its_letters(parameters):
    """The letters alone gave the answer away."""
    task = make("motif", **parameters)
    inputs, targets, *_ = task.sample(0, 3000, 40)
    there, shuffled = windows(inputs[:, :-1], task.motif)
    positive = targets[:, -1] == 1
    assert shuffled.any(axis=1).all()
    assert (there.any(axis=1) == positive).all()
    counts = np.stack([(inputs == letter).sum(axis=1) for letter in range(task.letters)], axis=1)
    gap = counts[positive].mean(axis=0) - counts[~positive].mean(axis=0)
    assert abs(gap).max() < 5 * np.sqrt(2 * counts.var(axis=0).max() / 1500)


def test_the_motif_stands_anywhere_and_its_letters_in_any_order():
    task = make("motif")
    inputs, targets, *_ = task.sample(0, 6000, 14)
    there, shuffled = windows(inputs[:, :-1], task.motif)
    for places in (there[targets[:, -1] == 1], shuffled[targets[:, -1] == 0]):
        assert abs(places.mean(axis=0) - 1 / 9).max() < 0.03
    negatives = inputs[targets[:, -1] == 0, :-1]
    orders = sliding_window_view(negatives, 5, axis=1)[shuffled[targets[:, -1] == 0]]
    assert len({tuple(order) for order in orders}) == 119


def test_a_motif_by_chance_is_no_mistake():
    """Of 20000 letters of 16, a quarter of the sequences hold any four letters; none may lie."""
    task = make("motif", letters=16, length=4)
    batch = task.sample(0, 40, 20001)
    there, _ = windows(batch.inputs[:, :-1], task.motif)
    assert (there.any(axis=1) == batch.targets[:, -1]).all()
    assert (there.sum(axis=1) > 1).any(), "too few letters for chance to meddle: test more"


def test_a_motif_is_fixed_by_its_seed():
    """Training and testing looked for different motifs."""
    motifs = {make("motif", motif_seed=seed).motif for seed in range(20)}
    assert len(motifs) == 20
    assert all(len(set(motif)) == 5 for motif in motifs)
    assert make("motif", motif_seed=3).motif == make("motif", motif_seed=3, distractors=2).motif


def test_rule_110_by_its_table():
    """Read from left to right: 111 110 101 100 011 010 001 000 lead to 01101110, which is 110."""
    assert int("".join(map(str, RULE_110.values())), 2) == 110
    inputs, targets, *_ = make("rule_110").sample(0, 100, 9)
    for row, target in zip(inputs, targets, strict=True):
        text = "".join(map(str, row))
        table = [RULE_110[text[i - 2 : i + 1]] for i in range(2, 9)]
        assert target.tolist() == [IGNORE, IGNORE, *table]
