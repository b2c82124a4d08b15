"""The Transformer, against another one: one sequence at a time, by plain PyTorch and NumPy."""

import importlib
import inspect
import math

import numpy as np
import pytest
import torch
from helpers.small_models import CASES, SEEDS, built, sequences, small
from torch.nn import functional

from attention_limits import models
from attention_limits.models.encodings import Encoding, Where
from attention_limits.positions import (
    alibi,
    learned,
    lstm_generated,
    relative_bias,
    rotary,
    shaw,
    sinusoidal,
    time_aware,
)

TRANSFORMERS = {name: a for name, a in CASES.items() if a.kind == "transformer"}


class Plain:
    """One model of those side by side, its arithmetic written out again.

    Mechanisms and encodings are their definitions in NumPy, so there are no gradients.
    """

    def __init__(self, model, architecture, number):
        self.weights = {name: x.detach()[number] for name, x in model.named_parameters()}
        self.architecture = architecture

    def array(self, name):
        return self.weights[name].squeeze(0).numpy()

    def linear(self, x, name):
        bias = self.weights.get(f"{name}.bias")
        return functional.linear(
            x, self.weights[f"{name}.weight"], None if bias is None else bias[0]
        )

    def norm(self, x, name):
        gain, shift = (self.weights[f"{name}.{part}"].flatten() for part in ("gain", "shift"))
        return functional.layer_norm(x, gain.shape, gain, shift)

    def logits(self, tokens, positions, times):
        """Of one sequence: tokens, positions, times (n,) to (n, classes)."""
        a = self.architecture
        self.positions, self.times = positions.numpy(), times.numpy()
        x = self.encoded(self.weights["embedding.table"][tokens])
        for layer in range(a.layers):
            x = self.with_added(x, self.attention, layer, "norms.0")
            if a.mlp:
                x = self.with_added(x, self.mlp, layer, "norms.1")
        return self.linear(self.norm(x, "norm") if a.norm == "pre" else x, "head")

    def with_added(self, x, part, layer, norm):
        match self.architecture.norm:
            case "pre":
                return x + part(self.norm(x, f"layers.{layer}.{norm}"), layer)
            case "post":
                return self.norm(x + part(x, layer), f"layers.{layer}.{norm}")
            case "none":
                return x + part(x, layer)

    def mlp(self, x, layer):
        return self.linear(self.linear(x, f"layers.{layer}.mlp.0").relu(), f"layers.{layer}.mlp.2")

    def attention(self, x, layer):
        a, name = self.architecture, f"layers.{layer}.attention"
        heads, d = a.heads, a.d_model // a.heads
        columns = self.linear(x, f"{name}.project").numpy()
        q, k, v = (part.reshape(-1, heads, d).swapaxes(0, 1) for part in np.split(columns, 3, -1))
        gates = []
        if f"{name}.gates.log_decay.weight" in self.weights:
            decay = (self.linear(x, f"{name}.gates.log_decay") + 3).sigmoid().log()
            gates.append(decay.view(len(x), heads, -1).transpose(0, 1).numpy())
        if f"{name}.gates.beta.weight" in self.weights:
            beta = 2 * self.linear(x, f"{name}.gates.beta").sigmoid()
            gates.append(beta.T.unsqueeze(-1).numpy())
        out = np.stack([self.head(h, q, k, v, gates, layer) for h in range(heads)], axis=1)
        return self.linear(torch.from_numpy(out).flatten(1), f"{name}.merge")

    def head(self, h, q, k, v, gates, layer):
        """What one head gives: (n, d)."""
        a = self.architecture
        define = importlib.import_module(f"attention_limits.attention.{a.mechanism}").define
        options = {**a.options, "causal": a.causal}
        if "period" in options:
            options["period"] = np.broadcast_to(options["period"], a.heads)[h].item()
        if "layout" in options:
            options["layout"] = np.array(options["layout"])
        takes = inspect.signature(define).parameters
        options = {name: x for name, x in options.items() if name in takes}
        if a.position == "shaw":
            table = self.weights[f"encoding.tables.{layer}"].flatten(0, -2).numpy()
            return shaw.define(q[h], k[h], v[h], table, causal=a.causal)
        if a.qk_norm:
            scale = self.weights[f"layers.{layer}.attention.scale"].flatten()[h].item()
            options |= {"qk_norm": True, "scale": scale}
        if (bias := self.bias()) is not None:
            options["bias"] = bias[h]
        turned_q, turned_k = self.turned(q[h]), self.turned(k[h])
        return define(turned_q, turned_k, v[h], *(gate[h] for gate in gates), **options)

    def encoded(self, x):
        """The tokens with what their positions add."""
        x, options = x.numpy(), self.architecture.position_options
        match self.architecture.position:
            case "sinusoidal":
                x = sinusoidal.define(x, positions=self.positions, **options)
            case "learned":
                x = learned.define(x, self.array("encoding.table"), positions=self.positions)
            case "lstm_generated":
                names = ("w_x", "w_h", "gates", "w_out")
                x = lstm_generated.define(x, *(self.array(f"encoding.{name}") for name in names))
        return torch.from_numpy(x)

    def turned(self, x):
        """Queries or keys of a head."""
        d, options = x.shape[-1], self.architecture.position_options
        match self.architecture.position:
            case "rotary":
                base, factor = options.get("base", 10000), options.get("factor", 1)
                theta = base ** (-2 * np.arange(d // 2) / d) / factor
                where = {"positions": self.positions, "layout": "half"}
            case "time_aware":
                theta = 2 * math.pi / np.geomspace(*options["periods"], d // 2)
                where = {"positions": self.times}
            case _:
                return x
        return rotary.define(x, frequencies=theta, **where)

    def bias(self):
        """What is added to scores, all heads': (h, n, n)."""
        a = self.architecture
        nothing = np.zeros((a.heads, len(self.positions), len(self.positions)))
        where = {"positions_q": self.positions, "positions_k": self.positions}
        match a.position:
            case "alibi":  # heads are a power of two here
                slopes = 2.0 ** (-8 * np.arange(1, a.heads + 1) / a.heads)
                return alibi.define(nothing, slopes, **where)
            case "relative_bias":
                table, options = self.array("encoding.table"), {"causal": a.causal}
                options |= a.position_options
                if "buckets" not in options:
                    options["buckets"] = 32
                return relative_bias.define(nothing, table, **options, **where)
            case "time_aware":
                slopes, changes = np.exp(self.array("encoding.log_slopes")), "encoding.changes"
                knots = np.array(a.position_options["knots"])
                learned_too = {"knots": knots, "changes": self.array(changes)}
                return time_aware.define(nothing, self.times, self.times, slopes, **learned_too)


def compared(architecture, positions=None):
    model, (tokens, where) = built(architecture), sequences(architecture)
    times = where.get("times", torch.zeros(tokens.shape))
    logits = model(tokens, positions=positions, **where).detach()
    if positions is None:
        positions = torch.arange(tokens.shape[-1]).expand(tokens.shape)
    for number in range(len(SEEDS)):
        plain = Plain(model, architecture, number)
        for text in range(tokens.shape[1]):
            one = (number, text)
            expected = plain.logits(tokens[one], positions[one], times[one])
            torch.testing.assert_close(logits[one], expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name != "three heads"])
def test_logits_are_those_of_the_definitions(name):
    compared(TRANSFORMERS[name])


@pytest.mark.parametrize("position", ["sinusoidal", "learned", "rotary", "alibi", "relative_bias"])
def test_logits_are_those_of_the_definitions_wherever_tokens_stand(position):
    generator = torch.Generator().manual_seed(0)
    order = torch.rand(len(SEEDS), 2, 40, generator=generator).argsort(-1)
    compared(TRANSFORMERS[f"position {position}"], order[..., :12].sort(-1).values)


@pytest.mark.parametrize("norm", ["pre", "post", "none"])
@pytest.mark.parametrize("fields", [{"mlp": 0}, {"layers": 3, "mlp": 1}, {"heads": 1}])
def test_logits_are_those_of_the_definitions_however_layers_are_made(norm, fields):
    compared(small(norm=norm, position="rotary", **fields))


def first(architecture):
    return models.build(architecture, vocabulary=4, classes=4)


def test_qk_norm_starts_as_no_norm_would():
    """A scale of √d, times cosines, is what 1/√d is to entries of variance 1."""
    for layer in first(small(qk_norm=True)).layers:
        torch.testing.assert_close(layer.attention.scale, torch.full((1, 1, 2, 1, 1), 2.0))


def test_gates_start_where_most_of_a_token_stays():
    """From a decay of one half, nothing far away would be left to learn from."""
    attention = first(small(mechanism="gated_delta_rule")).layers[0].attention
    seen = []
    attention.attend = lambda q, k, v, *gates: seen.extend(gates) or v
    with torch.no_grad():
        for gate in attention.gates.values():
            gate.weight.zero_()
        attention(torch.ones(1, 1, 1, 8), Encoding(None, None), Where(1), None, 0)
    decay, beta = seen
    torch.testing.assert_close(decay.exp(), torch.full((1, 1, 2, 1, 1), 0.9526), atol=1e-4, rtol=0)
    torch.testing.assert_close(beta, torch.ones(1, 1, 2, 1, 1))
