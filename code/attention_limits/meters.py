"""What a computation holds, and what it touches, while it runs: exact, on any machine."""

import functools
import weakref
from collections.abc import Iterator

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class PeakMemory(TorchDispatchMode):
    """The most bytes alive at once in tensors that operations made, the backward pass included.

        with PeakMemory() as memory:
            out = dense.attend(q, k, v)
        memory.peak

    It watches every operation that PyTorch dispatches and adds up the storages that are alive
    after it, each once, however many views look into it.  The sum is the same on every machine,
    and on the ``meta`` device, which has shapes but no memory, it needs none.

    It is blind to what a kernel allocates and frees within itself, to what was there before the
    ``with`` (inputs, weights) and what is written into it in place, to a storage that is resized
    later, to arrays that are no tensors, and to what an allocator rounds up or keeps for itself.
    """

    def __init__(self):
        super().__init__()
        self.alive, self.now, self.peak = {}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = {x.untyped_storage()._cdata for x in _tensors((args, kwargs))}
        result = function(*args, **(kwargs or {}))
        for x in _tensors(result):
            storage = x.untyped_storage()
            if storage._cdata not in given:  # a view, or the target of an in-place operation
                self._add(storage)
        self.peak = max(self.peak, self.now)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.alive:
            # Called back once the memory itself is freed, which this object outlives no longer.
            self.alive[key] = weakref.ref(storage, functools.partial(self._remove, key, size))
            self.now += size

    def _remove(self, key: int, size: int, _: weakref.ref) -> None:
        del self.alive[key]
        self.now -= size


class Touched(TorchDispatchMode):
    """The numbers that operations read and write, the backward pass included: elementwise work.

        with Touched() as work:
            torch.softmax(scores, dim=-1)
        work.count  # as many numbers in as out

    A FLOP counter knows products of matrices and no other work.  This one goes by sizes alone: each
    operation that PyTorch dispatches counts every number of its tensor arguments and of its
    results once, and views count nothing.  The count is the same on every machine, and costs no
    memory on the ``meta`` device.

    It is blind to how often a kernel reads a number, to what it keeps within itself, and to arrays
    that are no tensors.
    """

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            self.count += sum(x.numel() for x in _tensors((args, kwargs, result)))
        return result


def _tensors(given: object) -> Iterator[torch.Tensor]:
    """Those among what an operation takes or gives: PyTorch's own search takes thrice the time."""
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, tuple | list):
        for each in given:
            yield from _tensors(each)
    elif isinstance(given, dict):
        yield from _tensors(tuple(given.values()))
