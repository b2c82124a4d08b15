"""The sliders of the page on softmax of "Quadratic cost"."""

from attention_limits.chapters.quadratic_cost.derivations.softmax import (
    MATERIALISED,
    PLAIN_ROWS,
    TILE_ROWS,
    TILED,
)
from attention_limits.explorable import Explorable, Readout, Slider, explore
from attention_limits.formula import Formula
from attention_limits.symbols import (
    B,
    M,
    d,
    n,
)


def tiled_traffic() -> Explorable:
    """How many numbers attention moves between memory and chip, with and without tiles."""
    plain, tiled = MATERIALISED.subs({B: PLAIN_ROWS.expr}), TILED.subs({B: TILE_ROWS.expr})
    saved = Formula((plain.expr / tiled.expr).subs(n, 65536), "×")
    return explore(
        [plain, tiled],
        x=n,
        over=(256, 2**20),
        sliders=[
            Slider.between(M, 2**12, 2**22, 2**16, steps=40, log=True),
            Slider(d, (32, 64, 128, 256), 128),
        ],
        name="tiled-traffic",
        title="How much has to be moved?",
        caption="Enlarge the chip. More rows share each key that passes, and the line of the tiles "
        "sinks; its slope stays two, until all queries fit at once and it bends to one. Then widen "
        "the head on a small chip: are tiles always better?",
        alt_text="Two rising lines on logarithmic axes, numbers moved by one head over the length "
        "of the text, both of slope two. Tile by tile the line lies lower, the more so the larger "
        "the chip, and is flatter where all queries fit on chip.",
        log="xy",
        y_title="numbers moved by one head",
        readouts=[
            Readout("rows in a tile", TILE_ROWS),
            Readout("fewer numbers at 65,536 tokens", saved, ",.1f"),
        ],
    )
