"""Models of every kind, mechanism and position, small enough to be compared number by number."""

import torch

from attention_limits import models
from attention_limits.attention import block_sparse
from attention_limits.models import Architecture
from attention_limits.models.encodings import ENCODINGS

N, VOCABULARY, CLASSES = 12, 5, 3
SEEDS = (3, 5, 9)

BIGBIRD = block_sparse.bigbird(3, width=1, first=1, per_row=1, seed=0)
MECHANISMS = {
    "dense": {},
    "dense, log_n and a sink": {"log_n": 0.4, "sink": 0.5},
    "online_softmax": {"block": 5},
    "sliding_window": {"window": 4},
    "offsets": {"offsets": (0, 1, 2, 4)},
    "block_sparse": {"layout": BIGBIRD, "block": 4},
    "window_2d": {"width": 3, "window": 2, "shift": 1},
    "fractal": {"block": 2, "covariance": True},
    "clock": {"period": 3},
    "clock, a period a head": {"period": (1, 3)},
    "linear": {"feature_map": "relu"},
    "gated_linear": {},
    "gated_linear, per channel": {"per_channel": True},
    "delta_rule": {},
    "gated_delta_rule": {},
}
POSITION_OPTIONS = {
    "sinusoidal": {"base": 100.0},
    "learned": {"n_max": 40},
    "rotary": {"base": 100.0, "factor": 2.0},
    "relative_bias": {"buckets": 8, "max_distance": 10},
    "shaw": {"max_distance": 3},
    "time_aware": {"knots": (0.5, 2.0), "periods": (0.5, 8.0)},
    "lstm_generated": {"hidden": 6},
}


def small(**fields):
    return Architecture(**{"d_model": 8, "heads": 2, **fields})


CASES = {
    **{
        name: small(mechanism=name.partition(",")[0], options=options, position="rotary")
        for name, options in MECHANISMS.items()
    },
    **{
        f"position {name}": small(position=name, position_options=POSITION_OPTIONS.get(name, {}))
        for name in ENCODINGS
    },
    "three heads": small(d_model=12, heads=3, position="alibi"),
    "qk_norm": small(qk_norm=True),
    "post": small(norm="post"),
    "no norms": small(norm="none"),
    "no MLP": small(mlp=0),
    "not causal": small(causal=False, position="relative_bias"),
    "rnn": small(kind="rnn"),
    "gru": small(kind="gru"),
    "lstm": small(kind="lstm"),
    "convolution": small(kind="convolution"),
    "convolution, not causal": small(kind="convolution", causal=False),
}


def built(architecture, seeds=SEEDS, dtype=torch.float64):
    """A model in which no weight is what it was at first: what is 0 there may hide a mistake."""
    model = models.build(architecture, vocabulary=VOCABULARY, classes=CLASSES, seeds=seeds)
    with torch.no_grad():
        for number, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(seed)
            for weights in model.parameters():
                noise = torch.randn(weights.shape[1:], generator=generator)
                weights[number] += 0.3 * noise
    return model.to(dtype)


def sequences(architecture, seeds=SEEDS, batch=2, n=N):
    """Tokens and, for models that want them, times: those of a seed depend on the seed alone."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    draw = {"size": (batch, n)}
    tokens = [torch.randint(VOCABULARY, generator=g, **draw) for g in generators]
    steps = [torch.rand(batch, n, generator=g, dtype=torch.float64) for g in generators]
    times = torch.stack(steps).cumsum(-1)
    where = {"times": times} if architecture.position == "time_aware" else {}
    return torch.stack(tokens), where
