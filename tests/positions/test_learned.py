"""The table of positions: what is beyond it, what reaches its rows, what it takes in memory."""

import pytest
import torch
from helpers.tensors import normal

from attention_limits.meters import PeakMemory
from attention_limits.positions import learned


def test_an_example_by_hand():
    x, table = torch.zeros(2, 1), torch.tensor([[10.0], [20.0], [30.0], [40.0]])
    assert learned.apply(x, table).tolist() == [[10], [20]]
    assert learned.apply(x, table, start=2).tolist() == [[30], [40]]
    assert learned.apply(x, table, positions=torch.tensor([3, 0])).tolist() == [[40], [10]]


@pytest.mark.parametrize(("n", "start"), [(9, 0), (1, 8), (5, 4), (3, 100)])
def test_the_table_ends_where_it_ends(n, start):
    """A wrapped or clamped index would go on with the encoding of other positions."""
    with pytest.raises(ValueError, match=r"^x must end .* learned for 8 positions and knows noth"):
        learned.apply(normal(n, 4), normal(8, 4, seed=1), start=start)


@pytest.mark.parametrize(("n", "start"), [(8, 0), (1, 7), (4, 4), (0, 8)])
def test_its_last_row_is_one_of_it(n, start):
    table = normal(8, 4, seed=1)
    out = learned.apply(torch.zeros(n, 4, dtype=torch.float64), table, start=start)
    assert torch.equal(out, table[start:])


@pytest.mark.parametrize("bad", [8, -1, 10**6])
def test_a_position_that_the_table_lacks_is_refused(bad):
    """−1 would be the last row."""
    x, table, positions = normal(2, 3, 4), normal(8, 4, seed=1), torch.tensor([0, 7, 2])
    learned.apply(x, table, positions=positions)
    positions[1] = bad
    with pytest.raises(ValueError, match=r"^positions must .* learned for 8 positions and knows"):
        learned.apply(x, table, positions=positions)


def test_under_autocast_a_table_is_told_how_to_fit():
    """Inputs come in bfloat16 then, and a parameter does not: who does not know sees a puzzle."""
    w, table = torch.ones(4, 4), torch.ones(8, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        x = torch.ones(3, 4) @ w
        with pytest.raises(ValueError, match=r"got torch.float32; table\.to\(x\.dtype\) has it$"):
            learned.apply(x, table)
        learned.apply(x, table.to(x.dtype)).sum().backward()
    assert table.grad[:, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_positions_on_meta_are_not_looked_at():
    x, table = torch.empty(2, 3, 4, device="meta"), torch.empty(8, 4, device="meta")
    positions = torch.zeros(2, 3, dtype=torch.int64, device="meta")
    assert learned.apply(x, table, positions=positions).shape == x.shape


@pytest.mark.parametrize("given", [False, True], ids=["counted", "given"])
def test_a_row_learns_from_its_own_position_alone(given):
    x, table = normal(5, 3, 4), normal(8, 4, seed=1).requires_grad_()
    where = {"positions": torch.tensor([2, 3, 4])} if given else {"start": 2}
    learned.apply(x, table, **where).sum().backward()
    assert table.grad[2:5].eq(5).all()  # once for each of five sequences
    assert not table.grad[:2].any()
    assert not table.grad[5:].any()


def test_a_position_that_comes_twice_teaches_its_row_twice():
    x, table = normal(3, 4), normal(8, 4, seed=1).requires_grad_()
    learned.apply(x, table, positions=torch.tensor([6, 1, 6])).sum().backward()
    assert table.grad[:, 0].tolist() == [0, 1, 0, 0, 0, 0, 2, 0]


@pytest.mark.parametrize("where", [{}, {"start": 3}, {"positions": torch.tensor([[6, 0], [1, 7]])}])
def test_models_side_by_side_are_as_if_alone(where):
    """A gather that mixed up the tables of two seeds would still have the right shape."""
    x, tables = normal(3, 2, 2, 4), normal(3, 1, 8, 4, seed=1).requires_grad_()
    together = learned.apply(x, tables, **where)
    upstream = normal(*together.shape, seed=2)
    [gradient] = torch.autograd.grad(together, tables, upstream)
    for model in range(3):
        table = tables[model, 0].detach().requires_grad_()
        alone = learned.apply(x[model], table, **where)
        assert torch.equal(together[model], alone)
        [expected] = torch.autograd.grad(alone, table, upstream[model])
        torch.testing.assert_close(gradient[model, 0], expected)


def test_a_look_up_takes_no_copy_of_the_table_for_each_sequence():
    """`torch.gather` wants the table expanded, and its gradient is one table for each sequence."""
    x, table = normal(16, 32, 8), normal(5000, 8, seed=1).requires_grad_()
    positions = torch.arange(16 * 32).view(16, 32)
    with PeakMemory() as memory:
        learned.apply(x, table, positions=positions).sum().backward()
    assert memory.peak < 2 * (table.nbytes + 2 * x.nbytes)
