"""Attention mechanisms, one module each; the module is the mechanism.

    from attention_limits.attention import dense

    dense.attend(q, k, v, causal=True)

Every one of them has the same interface, so that who knows one knows all:

- ``define(q, k, v, *, …)``: the equation, in NumPy, as slow and as plain as it needs to be;
- ``attend(q, k, v, *, …)``: the computation, in PyTorch, differentiable, on ``(..., n, d)``;
- ``cost(*, …)``: what it needs, what it executes, what it holds, as Formulas;
- ``visible(n, *, n_k=None, …)``, where there is a pattern: who sees whom, ``n`` queries in rows;
- ``step(state, q, k, v, *, …)``, where there is a stream: the next tokens; None starts it.

``tests/attention/test_contract.py`` holds every name in ``MECHANISMS`` to what this interface
promises.
"""

MECHANISMS = (
    "dense",
    "online_softmax",
    "sliding_window",
    "offsets",
    "block_sparse",
    "window_2d",
    "fractal",
    "clock",
    "linear",
    "gated_linear",
    "delta_rule",
    "gated_delta_rule",
)
