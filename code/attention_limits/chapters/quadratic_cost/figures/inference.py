"""Still figures of the page on inference of "Quadratic cost"."""

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations.inference import (
    CACHE_WEIGHS,
)
from attention_limits.chapters.quadratic_cost.figures.models import by_model
from attention_limits.shapes import SHAPES


def trained_and_cache() -> style.Figure:
    """Each published model's context in training, and the tokens whose cache weighs as much."""
    weighs = {name: CACHE_WEIGHS(**shape.whole) for name, shape in SHAPES.items()}
    canvas, _ = by_model(weighs, "cache = weights", "tokens in flight")
    texts = {name: weighs[name] / shape.trained for name, shape in SHAPES.items()}
    said = "; ".join(f"{name} takes {count:.2g} texts" for name, count in texts.items())
    return style.Figure(
        canvas,
        alt=f"{len(SHAPES)} models, one a row, each with a dot at the context of its training and "
        "a diamond at the number of tokens whose cache weighs as much as the model, on a "
        f"logarithmic axis. In texts of full length: {said}.",
        caption="Context in training (dots) and the number of tokens in flight, of one text or of "
        "many, whose keys and values outweigh the model (diamonds), both at the same number of "
        "bytes a number.",
    )
