"""What PyTorch makes of functions, and which mechanisms go through it: a table, held by tests.

``tests/attention/test_transforms.py`` tries each of ``TRANSFORMS`` on every mechanism, and finds
that it works, or that it is refused where ``REFUSED`` says so.
"""

# In reStructuredText, as docstrings are.
TRANSFORMS = {
    "``torch.func.vmap``": "along each tensor alone, along all, and along masks",
    "``torch.func.grad``": "alone, within ``vmap`` and around it",
    "``torch.func.jacrev``": "equal to the Jacobian row by row",
    "``jacobian(vectorize=True)``": "equal to the Jacobian row by row",
    "``torch.func.jvp``": "against differences, within ``jacfwd``, around ``vmap``; dual tensors",
    "a second backward pass": "``gradgradcheck``; ``hessian`` equal to ``jacrev`` twice",
    "``torch.compile(fullgraph=True)``": "both passes, autocast, packed sequences, streams",
    "``torch.compile(dynamic=True)``": "one graph for all lengths",
    "``torch.export``": "for any length, run at another; packed sequences",
    "activation checkpointing": "by hooks, and reentrant",
    "``save_on_cpu``": "gradients are the same",
    "anomaly mode": "with its search for NaN",
    "deterministic algorithms": "on a CPU",
    "``DistributedDataParallel``": "in a group of one process",
}

# The fused kernels behind these have no second derivative.
REFUSED = {("a second backward pass", name) for name in ("dense", "clock")}
