"""The meter of memory: were it blind, every mechanism would pass for linear."""

import pytest
import torch

from attention_limits.meters import PeakMemory, Touched


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("n", [64, 128])
def test_sees_a_square(n, device):
    """Scores and weights together: 2n² numbers beside the input."""
    with PeakMemory() as memory:
        x = torch.zeros(n, 8, device=device)
        (x @ x.mT).softmax(-1) @ x
    assert memory.peak == 4 * (8 * n + 2 * n * n)


def test_sees_what_the_way_back_makes():
    """Forward one product of 400 bytes; backward two gradients of as much."""
    x, y = (torch.zeros(10, 10, requires_grad=True) for _ in range(2))
    with PeakMemory() as memory:
        out = x * y
        forward = memory.peak
        out.backward(torch.zeros(10, 10))
    assert forward == 400
    assert memory.peak >= 3 * 400


def test_a_view_is_no_memory_and_neither_is_work_in_place():
    with PeakMemory() as memory:
        x = torch.zeros(100)
        for part in x.view(10, 10).unbind():
            part.add_(1)
    assert memory.peak == 400


def test_what_is_freed_is_counted_once():
    with PeakMemory() as memory:
        for _ in range(5):
            torch.zeros(100)
    assert memory.peak == 400


def test_what_was_there_before_does_not_count():
    x = torch.zeros(100)
    with PeakMemory() as memory:
        x.add_(1)
        x[:50].mul_(2)
    assert memory.peak == 0


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_touched_counts_what_goes_in_and_comes_out(device):
    """Elementwise work went uncounted, or a view was taken for work."""
    x, y = torch.zeros(3, 5, device=device), torch.zeros(5, 2, device=device)
    with Touched() as work:
        x.T.reshape(5, 3).transpose(0, 1)
    assert work.count == 0
    with Touched() as work:
        x.exp()
    assert work.count == 2 * 15
    with Touched() as work:
        x @ y
    assert work.count == 15 + 10 + 6


def test_tensors_are_found_in_lists_and_by_name():
    """What is joined came in a list, or what is written to by name, and neither was seen."""
    x, y = torch.zeros(3, 5), torch.zeros(3, 5)
    with Touched() as work:
        torch.cat([x, y])
    assert work.count == 2 * 30
    with Touched() as work:
        torch.add(x, 1, out=y)
    assert work.count == 3 * 15
    with PeakMemory() as memory:
        torch.add(x, 1, out=y)
        x.unsafe_split(1)
    assert memory.peak == 0
    with PeakMemory() as memory:
        x.topk(2)
    assert memory.peak == 6 * (4 + 8)


def test_touched_sees_a_backward_pass():
    """The backward pass of a product of numbers reads three arrays and writes two."""
    x, y = (torch.zeros(7, device="meta", requires_grad=True) for _ in range(2))
    product = x * y
    with Touched() as work:
        product.backward(torch.zeros(7, device="meta"))
    assert work.count >= 2 * 3 * 7
