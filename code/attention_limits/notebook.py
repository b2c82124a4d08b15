"""What the chapters' cells need of a notebook, and nothing that only the book has."""

from IPython.core.formatters import format_display_data
from IPython.display import display

MIME = "application/vnd.attention-limits.explorable+json"  # of a figure with sliders
HIDDEN = "application/papermill.record/"  # a mime type that no notebook shows


def glue(**values: object) -> None:
    """Show values, and let the prose quote them: ``{glue:text}`name:.3f```.

    It writes what MyST-NB's own ``glue`` writes, and also works where that is not installed, in
    Colab say. The lines that one sees are one output: a kernel may cut a printed stream in two.
    """
    # A scalar of NumPy or PyTorch shows its type as well, which no prose wants to quote.
    values = {k: v.item() if hasattr(v, "item") else v for k, v in values.items()}
    lines = [f"{k} = {v:.4g}" if isinstance(v, float) else f"{k} = {v}" for k, v in values.items()]
    display(_Lines("\n".join(lines)))
    for name, value in values.items():
        bundle, metadata = format_display_data(value)
        record = {"name": name, "mime_prefix": HIDDEN}
        hidden = {HIDDEN + mime: data for mime, data in bundle.items()}
        display(hidden, raw=True, metadata={**metadata, "scrapbook": record})


class _Lines(str):
    """Text that is shown as it is, in a notebook and outside of one, where `display` prints."""

    def __repr__(self) -> str:
        return str(self)
