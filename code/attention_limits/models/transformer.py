"""A Transformer of a few layers, whose mechanism, positions and norms are its architecture's."""

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from attention_limits.models.architecture import Architecture
from attention_limits.models.encodings import ENCODINGS, Shaw, Where
from attention_limits.models.layers import Embedding, Initializer, Linear, Norm

SLOW = 3.0  # gates start at a decay of σ(3) = 0.95 a token


class Transformer(nn.Module):
    """Tokens to logits, (s, batch, n) to (s, batch, n, classes)."""

    def __init__(
        self, initializer: Initializer, architecture: Architecture, vocabulary: int, classes: int
    ):
        super().__init__()
        d = architecture.d_model
        self.embedding = Embedding(initializer, vocabulary, d)
        encoding = ENCODINGS[architecture.position]
        self.encoding = encoding(initializer, architecture, **architecture.position_options)
        self.layers = nn.ModuleList(
            Layer(initializer, architecture) for _ in range(architecture.layers)
        )
        self.norm = Norm(initializer, d) if architecture.norm == "pre" else nn.Identity()
        self.head = Linear(initializer, d, classes)

    def forward(
        self,
        tokens: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        times: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Each token's logits.

        Raises:
            ValueError: naming the argument, if its shape does not fit, or if the encoding cannot do
                with positions other than 0 … n − 1, or without times.
        """
        if positions is not None and not self.encoding.takes_positions:
            raise ValueError(
                f"positions must be None, that is 0 … n − 1, for {type(self.encoding).__name__}, "
                f"got {type(positions)}"
            )
        x = self.embedding(tokens)
        where = Where(x.shape[-2], positions, times)
        x = self.encoding.at_inputs(x, where)
        bias = self.encoding.bias(where)
        for number, layer in enumerate(self.layers):
            x = layer(x, self.encoding, where, bias, number)
        return self.head(self.norm(x))


class Layer(nn.Module):
    """Attention and, if it is there, an MLP, each added to the stream."""

    def __init__(self, initializer: Initializer, architecture: Architecture):
        super().__init__()
        d, wide = architecture.d_model, architecture.mlp * architecture.d_model
        self.order = architecture.norm
        self.attention = Attention(initializer, architecture)
        parts = (
            [Linear(initializer, d, wide), nn.ReLU(), Linear(initializer, wide, d)] if wide else []
        )
        self.mlp = nn.Sequential(*parts) if parts else None
        norms = 0 if self.order == "none" else 1 + bool(parts)
        self.norms = nn.ModuleList(Norm(initializer, d) for _ in range(norms))

    def forward(self, x, encoding, where, bias, number) -> torch.Tensor:
        """(s, batch, n, d_model) to the same; the others are the model's."""
        x = self._added(x, 0, lambda y: self.attention(y, encoding, where, bias, number))
        return x if self.mlp is None else self._added(x, 1, self.mlp)

    def _added(self, x, which, part) -> torch.Tensor:
        match self.order:
            case "pre":
                return x + part(self.norms[which](x))
            case "post":
                return self.norms[which](x + part(x))
            case _:  # none
                return x + part(x)


class Attention(nn.Module):
    """Heads side by side, and the gates that their mechanism wants."""

    def __init__(self, initializer: Initializer, architecture: Architecture):
        super().__init__()
        d, heads = architecture.d_model, architecture.heads
        self.heads = heads
        self.attend = architecture.attention.attend
        self.options = architecture.fitting("attend")
        self.project = Linear(initializer, d, 3 * d, bias=False)
        self.merge = Linear(initializer, d, d, bias=False)
        per_channel = architecture.options.get("per_channel", False)
        wide = {"log_decay": d if per_channel else heads, "beta": heads}
        gates = {name: Linear(initializer, d, wide[name]) for name in architecture.gates}
        self.gates = nn.ModuleDict(gates)
        start = (d / heads) ** 0.5  # as without qk_norm for entries of variance 1
        self.scale = (
            initializer.constant(1, heads, 1, 1, value=start) if architecture.qk_norm else None
        )

        self.log_n: float | nn.Parameter | None = self.options.get("log_n")
        if self.log_n is not None and architecture.learn_log_n:
            self.log_n = initializer.constant(1, heads, 1, 1, value=self.log_n)
        self.log_n_of_bias = architecture.log_n_of_bias

    def forward(self, x, encoding, where, bias, number) -> torch.Tensor:
        """(s, batch, n, d_model) to the same."""
        q, k, v = (self._split(part) for part in self.project(x).chunk(3, dim=-1))
        q, k = encoding.turned(q, where), encoding.turned(k, where)
        options = dict(self.options)
        if isinstance(encoding, Shaw):
            bias = encoding.bias_of(q, number, where)
        if self.log_n is not None:
            options["log_n"] = self.log_n
        if bias is not None and self.log_n is not None and self.log_n_of_bias:
            seen = torch.arange(1, x.shape[-2] + 1, device=x.device)  # keys, by each query
            bias = bias * (self.log_n * seen.log().unsqueeze(-1))
        if bias is not None:
            options["bias"] = bias
        if self.scale is not None:
            options |= {"scale": self.scale, "qk_norm": True}
        gates = [self._gate(name, x).to(q.dtype) for name in self.gates]
        out = self.attend(q, k, v, *gates, **options)
        return self.merge(out.transpose(-2, -3).flatten(-2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """(s, batch, n, d_model) to (s, batch, h, n, d)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)

    def _gate(self, name: str, x: torch.Tensor) -> torch.Tensor:
        noise = self._split(self.gates[name](x))
        return logsigmoid(noise + SLOW) if name == "log_decay" else 2 * noise.sigmoid()
