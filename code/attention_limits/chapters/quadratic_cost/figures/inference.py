"""Still figures of the page on inference of "Quadratic cost"."""

from matplotlib.figure import Figure as Canvas

from attention_limits import style
from attention_limits.shapes import MEMORY, MODELS


def trained_and_cache() -> style.Figure:
    """Each published model's context in training, and the tokens whose cache weighs as much."""
    equal = {name: (m.parameters - m.steady) / m.kappa for name, m in MEMORY.items()}
    canvas = Canvas(figsize=(4.4, 4.6))
    axes = canvas.add_subplot(ylim=(len(MODELS) - 0.4, -0.6))
    axes.set_xscale("log")
    axes.set(xlabel="tokens", xlim=(500, 1.4e8), yticks=range(len(MODELS)))
    axes.set_yticklabels(MODELS)
    for row, (name, model) in enumerate(MODELS.items()):
        axes.plot((model.trained, equal[name]), (row, row), color=style.GREY, zorder=1)
        # Apart from each other, so that neither hides the other where they meet.
        axes.plot(model.trained, row - 0.17, "o", color=style.GREY, ms=8)
        axes.plot(equal[name], row + 0.17, "D", color=style.BLUE, ms=7)
    axes.legend(
        [axes.lines[1], axes.lines[2]],
        ["trained on", "cache = weights"],
        loc="lower right",
        bbox_to_anchor=(1.02, 0.98),
        ncols=2,
        columnspacing=1,
        handletextpad=0.2,
    )
    within = [name for name, model in MODELS.items() if model.trained > equal[name]]
    times = "; ".join(f"{name} {equal[name] / model.trained:.2g}" for name, model in MODELS.items())
    return style.Figure(
        canvas,
        alt=f"{len(MODELS)} models, one a row, each with a grey dot at the longest context of its "
        "training and a blue diamond at the number of tokens whose cache is as large as all its "
        "weights, on a logarithmic axis. The diamond lies left of the dot only for "
        f"{' and '.join(within)}. Sequences of full length that it takes: {times}.",
        caption="The longest context in training (grey dots), and the number of tokens, of one "
        "sequence or of many, whose cache is as large as the weights (blue diamonds), at the same "
        "number of bytes a number.",
    )
