"""Queries are scaled where they lie: the caller's own."""


def attend(q, k, v):
    if q.requires_grad:
        q = q * q.shape[-1] ** -0.5
    else:
        q *= q.shape[-1] ** -0.5
    return (q @ k.mT).softmax(-1) @ v
