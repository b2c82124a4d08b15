"""What the chapters' cells need of a notebook, and nothing that only the book has."""

import os

from IPython.core.formatters import format_display_data
from IPython.display import display

# Set in the kernels of a build, whose outputs end on pages without one. There a widget would be a
# dead control, and its state, under random names, would make each build another book.
STILL = "ATTENTION_LIMITS_STILL"

MIME = "application/vnd.attention-limits.explorable+json"  # of a figure with sliders
HIDDEN = "application/papermill.record/"  # a mime type that no notebook shows


def glue(**values: object) -> None:
    """Show values, and let the prose quote them: ``{glue:text}`name:.3f```.

    In a build it writes what MyST-NB's own ``glue`` writes, and also works where that is not
    installed. Elsewhere nobody reads these records, and VS Code says that it cannot render them.
    The lines that one sees are one output: a kernel may cut a printed stream in two.
    """
    # A scalar of NumPy or PyTorch shows its type as well, which no prose wants to quote.
    values = {k: v.item() if hasattr(v, "item") else v for k, v in values.items()}
    lines = [f"{k} = {v:.4g}" if isinstance(v, float) else f"{k} = {v}" for k, v in values.items()]
    display(_Lines("\n".join(lines)))
    for name, value in values.items() if STILL in os.environ else ():
        bundle, metadata = format_display_data(value)
        record = {"name": name, "mime_prefix": HIDDEN}
        hidden = {HIDDEN + mime: data for mime, data in bundle.items()}
        display(hidden, raw=True, metadata={**metadata, "scrapbook": record})


class _Lines(str):
    """Text that is shown as it is, in a notebook and outside of one, where `display` prints."""

    def __repr__(self) -> str:
        return str(self)
