"""What attention is measured against, one module each; the module is the baseline.

    from attention_limits.baselines import recurrent

    recurrent.apply(x, w_x, w_h, bias)

The interface is that of ``attention_limits.attention``, with ``apply`` for ``attend``: ``define``
in NumPy, ``apply`` in PyTorch, ``cost``, and ``step`` where there is a stream.
"""

BASELINES = ("convolution", "recurrent")
