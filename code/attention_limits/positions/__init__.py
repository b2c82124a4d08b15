"""Positional encodings, one module each; the module is the encoding.

    from attention_limits.positions import rotary

    q, k = rotary.apply(q), rotary.apply(k)

Without one, attention does not see the order of a sequence. A module's ``PLACE`` says where in a
layer its encoding acts, and the interface depends on the place:

- ``"inputs"``: ``define(x, …)`` and ``apply(x, …)`` add something to each token, x (..., n, d);
- ``"queries and keys"``: the same functions, called on queries and on keys alike, before they meet;
- ``"scores"``: ``bias(…)`` is what goes on top of the scores, for ``dense.attend(…, bias=…)``;
  ``define(scores, …)`` and ``apply(scores, …)`` add it, scores (..., h, n_q, n_k), the queries
  being the last n_q of n_k positions. A bias does not hide keys ahead; a mask does.

``define`` is the equation, in NumPy; ``apply`` the computation, in PyTorch, differentiable;
``cost(…)`` a ``cost.EncodingCost``. At inputs, queries and keys, tokens are counted from ``start``,
the number of those that a stream had before, or lie at ``positions``, where these are given.

``tests/positions/test_contract.py`` holds every name in ``POSITIONS`` to what this interface
promises.
"""

POSITIONS = (
    "none",
    "sinusoidal",
    "learned",
    "rotary",
    "alibi",
    "relative_bias",
    "shaw",
    "time_aware",
    "lstm_generated",
)
