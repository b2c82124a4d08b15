"""Mechanisms as readers write them, and reports of them."""

from attention_limits import contract

PLAIN = """
def attend(q, k, v):
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
"""
SOFTMAX = """
import torch

def attend(q, k, v, *, causal=False):
    scores = q @ k.mT * q.shape[-1] ** -0.5
    later = torch.ones_like(scores, dtype=torch.bool).triu(1 + k.shape[-2] - q.shape[-2])
    scores = scores.masked_fill(later, -torch.inf) if causal else scores
    return scores.softmax(-1).nan_to_num() @ v
"""
CACHE = """
import torch
CAUSAL = True

def attend(q, k, v):
    scores = q @ k.mT * q.shape[-1] ** -0.5
    later = torch.ones_like(scores, dtype=torch.bool).triu(1 + k.shape[-2] - q.shape[-2])
    return scores.masked_fill(later, -torch.inf).softmax(-1).nan_to_num() @ v

def step(state, q, k, v):
    if state is not None:
        k, v = (torch.cat(pair, dim=-2) for pair in zip(state, (k, v)))
    return attend(q, k, v), (k.clone(), v.clone())
"""


def quick(module, **how):
    return contract.check(module, size="quick", **how)


def only(report, check):
    """What the one check found that failed."""
    assert report.failed == (check,), str(report)
    [finding] = [f for f in report.findings if f.status == "failed"]
    return finding
