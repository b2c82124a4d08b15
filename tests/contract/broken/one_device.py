"""Positions on the CPU, wherever the queries are."""

import torch


def attend(q, k, v):
    i, j = torch.arange(q.shape[-2]), torch.arange(k.shape[-2])
    near = -(i[:, None] - j + k.shape[-2] - q.shape[-2]).abs().to(q)
    bias = near.to(torch.device("cpu"), q.dtype)
    return (q @ k.mT * q.shape[-1] ** -0.5 + bias).softmax(-1) @ v
