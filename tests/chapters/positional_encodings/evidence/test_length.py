"""The evidence on length: that the record bears it, and another record would not."""

import pytest
from helpers.chapter_parts import assert_all_found, pieces_in

from attention_limits.chapters.positional_encodings.evidence import length
from attention_limits.experiments import length as experiment
from attention_limits.runs import records

PIECES = pieces_in(length)
PROVENANCE = {"date": "2000-01-01T00:00:00", "threads": 1, "device": "an abacus", "torch": "0"}


def made_run(accuracy):
    """Every cell of the experiment, with an accuracy that a function gives it."""
    config = experiment.Config(seeds=(0, 1, 2))
    rows = []
    for cell in experiment.cells(config):
        for condition in experiment.conditions(cell):
            for asked, sizes in (("longer", (32, 256)), ("stretched", (64, 256))):
                for size in sizes:
                    for seed in config.seeds:
                        where = (cell.encoding, cell.setting, condition, asked, size)
                        row = {
                            "task": cell.setting,
                            "encoding": cell.encoding,
                            "condition": condition,
                            "seed": seed,
                            "asked": asked,
                            "n": size if asked == "longer" else 32,
                            "reach": size,
                            "accuracy": accuracy(*where) - 0.001 * seed,
                        }
                        rows.append(row)
    rows += [  # and those of "offsets"
        dict.fromkeys(experiment.COLUMNS)
        | {
            "setting": setting,
            "encoding": name,
            "n": n,
            "accuracy": accuracy(name, setting, "plain", "longer", n),
        }
        for setting, names, n in (
            ("40 back", ("shaw", "rotary"), 64),
            ("3 back, longer", ("alibi", "none"), 32),
        )
        for name in names
    ]
    for row in rows:
        row.setdefault("setting", None)
    return records.Run("length", {"seeds": [0, 1, 2]}, PROVENANCE, rows)


@pytest.fixture
def recorded(monkeypatch):
    """What was recorded is what a test says."""

    def record(run):
        monkeypatch.setattr(records, "load", lambda name: run)

    return record


def test_all_pieces_are_found():
    """One that a claim names was not among those that are tried below."""
    assert_all_found(PIECES, "length")


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_holds_of_what_was_recorded(piece):
    found = piece()
    assert found.holds, str(found)
    assert found == piece()


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_it_does_not_hold_where_all_are_alike(piece, recorded):
    """Then no encoding is better than another, and no condition makes a difference."""
    recorded(made_run(lambda *_: 1 / 16))
    if piece is length.tokens_alone_do_no_harm:
        recorded(made_run(lambda *where: 0.9 if where[4] == 32 else 0.7))
    assert not piece().holds


def swap(one, other):
    return lambda x: {one: other, other: one}.get(x, x)


@pytest.mark.parametrize(
    ("piece", "turned"),
    [
        (length.no_positions_miss_a_fixed_offset, {"encoding": swap("none", "rotary")}),
        (length.slopes_are_slow_to_learn_an_offset, {"encoding": swap("alibi", "rotary")}),
        (length.slopes_carry_recency, {"encoding": swap("alibi", "sinusoidal")}),
        (length.vectors_carry_recency_and_offsets, {"encoding": swap("shaw", "learned")}),
        (
            length.positions_seen_in_training_carry_rotary,
            {"condition": swap("plain", "random positions")},
        ),
        (
            length.random_positions_take_an_offset_away,
            {"condition": swap("plain", "random positions")},
        ),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_it_says_which_is_better(piece, turned, monkeypatch):
    """Two encodings, or two conditions, were mixed up, and the verdict stood."""
    found = experiment.accuracies

    def mixed_up(run, n, *, asked="longer", **where):
        where |= {name: other(where[name]) for name, other in turned.items()}
        return found(run, n, asked=asked, **where)

    monkeypatch.setattr(experiment, "accuracies", mixed_up)
    assert not piece().holds


@pytest.mark.parametrize(
    "piece", [length.unseen_rows_mislead, length.unseen_distances_mislead_rotary]
)
def test_stretched_texts_that_are_no_worse_mislead_nobody(piece, recorded):
    recorded(made_run(lambda *where: 1.0 if where[3] == "stretched" else 0.9))
    assert not piece().holds


@pytest.mark.parametrize("keeping", [0, 2])
def test_encodings_that_keep_all_three_are_counted(keeping, recorded):
    """One is what was found; none, or two, would be another story."""
    those = ("shaw", "alibi")[:keeping]
    recorded(made_run(lambda encoding, *_: 0.95 if encoding in those else 0.5))
    found = length.one_encoding_carries_all_three()
    assert (found.value, found.holds) == (keeping, False)


def test_one_bad_seed_is_not_hidden_by_the_others(recorded):
    """A mean was quoted as if each seed had done as well."""
    run = made_run(lambda encoding, *_: 1.0 if encoding == "none" else 0.1)
    for row in run.records:
        if row["seed"] == 2:
            row["accuracy"] = 0.05
    recorded(run)
    assert length.no_positions_find_the_first_token().value == 0.05
