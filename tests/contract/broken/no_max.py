"""A softmax without its maximum: e to the power of a large score is infinite."""


def attend(q, k, v):
    weights = (q @ k.mT * q.shape[-1] ** -0.5).exp()
    return weights @ v / weights.sum(-1, keepdim=True).clamp_min(1e-30)
