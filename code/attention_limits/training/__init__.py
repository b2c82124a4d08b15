r"""One loop that trains every model of the book: several at once, each as if it were alone.

Models of one architecture train side by side, each with a seed and a learning rate of its own, as
one model with a leading axis (``models``): a small model spends its time on calls rather than on
arithmetic, and calls are shared.  ``train_ensemble`` gives each core of a CPU its part of them.

The loss is a sum over models of means over answers, so that no model sees another's gradient.
What is left to share, the norm to which gradients are clipped and the rate at which weights move,
is kept apart by hand.  AdamW :cite:p:`loshchilov2019decoupled` moves by its rate times something
that does not depend on it,

.. math::

    \theta_{t+1} = \theta_t + \eta \, \Delta_t

so PyTorch's own, with η = 1, tells where each model would go, and the model goes η of the way.
"""

from attention_limits.progress import Progress
from attention_limits.training.data import draw, score, to_tensors
from attention_limits.training.ensemble import train_ensemble
from attention_limits.training.evaluation import evaluate
from attention_limits.training.loop import train
from attention_limits.training.processes import cores
from attention_limits.training.recipe import INTERVAL, PRECISIONS, Recipe
from attention_limits.training.trained import Trained

__all__ = [
    "INTERVAL",
    "PRECISIONS",
    "Progress",
    "Recipe",
    "Trained",
    "cores",
    "draw",
    "evaluate",
    "score",
    "to_tensors",
    "train",
    "train_ensemble",
]
