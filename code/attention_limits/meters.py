"""What a computation holds while it runs, measured exactly, on any machine."""

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


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
        self.alive, self.peak = {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if _holds(x)}
        result = function(*args, **(kwargs or {}))
        self.alive = {key: x for key, x in self.alive.items() if not x[0].expired()}
        for x in filter(_holds, tree_leaves(result)):
            storage = x.untyped_storage()
            if storage._cdata not in given:  # a view, or the target of an in-place operation
                self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return result


def _holds(x: object) -> bool:
    return isinstance(x, torch.Tensor)
