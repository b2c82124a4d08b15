"""Mechanisms by name, and the tensors that each of them wants beside q, k and v."""

import importlib
import inspect

import torch

from attention_limits import attention
from attention_limits.attention import MECHANISMS

MODULES = {name: importlib.import_module(f"{attention.__name__}.{name}") for name in MECHANISMS}
# Gates come after q, k and v, a row for each key. Made from noise, they are what they must be.
GATES = {
    "log_decay": lambda noise: -torch.nn.functional.softplus(noise),
    "beta": lambda noise: 2 * noise.sigmoid(),
}


def gates_of(module):
    return [name for name in inspect.signature(module.attend).parameters if name in GATES]


def gated(module, inputs, *, per_channel=False, seed=0):
    """The same q, k, v, followed by the gates that this mechanism wants."""
    k, generator = inputs[1], torch.Generator().manual_seed(seed)
    gates = []
    for name in gates_of(module):
        width = k.shape[-1] if name == "log_decay" and per_channel else 1
        noise = torch.randn(*k.shape[:-1], width, generator=generator, dtype=k.dtype)
        gates.append(GATES[name](noise).to(k.device))
    return [*inputs, *gates]
