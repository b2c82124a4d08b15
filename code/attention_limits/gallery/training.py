"""How models learn: a line for each of those that were trained side by side.

Draw your own:

    from attention_limits.gallery import training

    training.curves(trained, chance=task.chance)

``trained`` is what ``attention_limits.training.train`` returns.
"""

from typing import Any

from matplotlib.figure import Figure as Canvas

from attention_limits import style, tasks
from attention_limits.models import Architecture
from attention_limits.training import INTERVAL, Recipe, Trained, train


def curves(trained: Trained | None = None, *, chance: float | None = None) -> style.Figure:
    """Accuracy in training against steps.

    Args:
        trained: the models; None trains two small ones first, which takes a second.
        chance: how often the best constant answer is right, to be drawn as well.
    """
    trained = trained or _two_networks()
    canvas = Canvas()
    axes = canvas.add_subplot(xlabel="step", ylabel="accuracy in training", ylim=(0, 1.03))
    if chance is not None:
        axes.axhline(chance, color=style.GREY, ls=":", label="chance")
    said = []
    for number, seed in enumerate(trained.seeds):
        rows = [row for row in trained.history if row["model"] == number]
        line = [row["accuracy"] for row in rows]
        cue = number % len(style.PALETTE)
        look: dict[str, Any] = {"color": style.PALETTE[cue], "marker": style.MARKERS[cue], "ms": 4}
        axes.plot([row["step"] for row in rows], line, **look, label=f"seed {seed}")
        said.append(f"seed {seed} from {line[0]:.2f} to {line[-1]:.2f}")
    axes.legend(loc="lower right")
    return style.Figure(
        canvas,
        alt=f"Accuracy against training steps, a line for each seed: {'; '.join(said)}.",
        caption=f"Accuracy in training, a line for each seed; means over {INTERVAL} steps.",
    )


def _two_networks() -> Trained:
    architecture = Architecture(kind="gru", d_model=16, layers=1)
    recipe = Recipe(steps=20, lengths=(2, 8))
    return train(architecture, tasks.make("parity"), recipe, seeds=(0, 1), rates=1e-2)
