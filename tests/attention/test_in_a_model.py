"""A small language model of a reader's own, with each mechanism: compiled, trained, streamed."""

import pytest
import torch
from helpers.mechanisms import MODULES, gates_of
from torch import nn
from torch.nn.functional import cross_entropy, logsigmoid

from attention_limits.attention import MECHANISMS, block_sparse

LAYERS, HEADS, WIDTH, LETTERS, LENGTH = 1, 2, 8, 12, 48
# All that looks at the past only, as a language model has to.
OPTIONS = {
    "dense": {"causal": True},
    "online_softmax": {"causal": True},
    "sliding_window": {"causal": True, "window": 16},
    "offsets": {"causal": True, "offsets": (0, 1, 2, 4, 8)},
    "block_sparse": {"causal": True, "layout": block_sparse.local(6, width=2), "block": 8},
    "window_2d": {"causal": True, "width": 8, "window": 4},
    "fractal": {"block": 8},
    "clock": {"period": [1, 2]},
    "linear": {"causal": True},
    "gated_linear": {},
    "delta_rule": {},
    "gated_delta_rule": {},
}
GATES = {"log_decay": logsigmoid, "beta": torch.sigmoid}


class Layer(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name, self.gates = name, gates_of(MODULES[name])
        width = HEADS * WIDTH
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.gate = nn.Linear(width, HEADS * len(self.gates)) if self.gates else None
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))

    def tensors(self, x):
        def heads(x, width):
            return x.unflatten(-1, (HEADS, width)).transpose(-3, -2)

        tensors = [heads(part, WIDTH) for part in self.qkv(x).chunk(3, dim=-1)]
        if self.gates:
            gates = zip(self.gates, self.gate(x).chunk(len(self.gates), dim=-1), strict=True)
            tensors += [GATES[name](heads(part, 1)) for name, part in gates]
        return tensors

    def forward(self, x):
        attend = MODULES[self.name].attend
        return self.rest(x, attend(*self.tensors(self.before(x)), **OPTIONS[self.name]))

    def step(self, x, state):
        options = {key: value for key, value in OPTIONS[self.name].items() if key != "causal"}
        tensors = self.tensors(self.before(x))
        out, state = MODULES[self.name].step(state, *tensors, **options)
        return self.rest(x, out), state

    def rest(self, x, out):
        x = x + self.out(out.transpose(-3, -2).flatten(-2))
        return x + self.mlp(self.after(x))


class Model(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.embed = nn.Embedding(LETTERS, HEADS * WIDTH)
        self.layers = nn.ModuleList(Layer(name) for _ in range(LAYERS))
        self.read = nn.Linear(HEADS * WIDTH, LETTERS)

    def forward(self, letters):
        x = self.embed(letters)
        for layer in self.layers:
            x = layer(x)
        return self.read(x)

    def step(self, letters, states):
        x, kept = self.embed(letters), []
        for layer, state in zip(self.layers, states, strict=True):
            x, state = layer.step(x, state)
            kept.append(state)
        return self.read(x), kept


def rounds(count):
    """0, 1, 2, … again and again, from anywhere."""
    start = torch.randint(LETTERS, (count, 1))
    return (start + torch.arange(LENGTH + 1)) % LETTERS


def trained(name, steps=10):
    """A model, and its losses before and after."""
    torch.manual_seed(0)
    model = Model(name)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    updates, losses = torch.optim.Adam(model.parameters(), lr=1e-2), []
    for _ in range(steps):
        letters = rounds(4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = compiled(letters[:, :-1])
            loss = cross_entropy(logits.flatten(0, 1), letters[:, 1:].flatten())
        updates.zero_grad()
        loss.backward()
        updates.step()
        losses.append(loss.item())
    return model, losses


@pytest.mark.slow
@pytest.mark.parametrize("name", MECHANISMS)
def test_trains_compiled_within_autocast_and_generates_in_a_stream(name):
    model, losses = trained(name)
    assert losses[-1] < losses[0] / 2
    if not hasattr(MODULES[name], "step"):
        return
    with torch.no_grad():
        letters, states, logits = rounds(1)[:, :LENGTH], [None] * LAYERS, []
        said, states = model.step(letters, states)
        logits.append(said)
        for _ in range(500):
            letters = torch.cat([letters, said[:, -1:].argmax(-1)], dim=1)
            said, states = model.step(letters[:, -1:], states)
            logits.append(said)
        torch.testing.assert_close(torch.cat(logits, dim=1), model(letters), atol=1e-4, rtol=1e-4)
