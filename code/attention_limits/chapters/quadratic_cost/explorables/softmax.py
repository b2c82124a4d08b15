"""The sliders of the page on softmax of "Quadratic cost"."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import sympy as sp

from attention_limits import style
from attention_limits.chapters.quadratic_cost.derivations.softmax import (
    KEYS_ON_CHIP,
    MATERIALISED,
    MOVED_IN_TILES,
    MOVED_PLAINLY,
    OUTPUTS_DONE,
    PAIRS_DONE,
    PLAIN_ROWS,
    QUERIES_ON_CHIP,
    SHARE_DONE,
    TILE_ROWS,
    TILED,
)
from attention_limits.explorable import (
    FOUR,
    Explorable,
    Readout,
    Slider,
    Table,
    Trace,
    explore,
    with_transforms,
)
from attention_limits.formula import Formula
from attention_limits.symbols import (
    B,
    M,
    d,
    i,
    j,
    n,
    step,
)

# The head that is drawn, and the blocks of rows that it is cut into.
QUERIES, WIDTH, BLOCKS = 512, 64, 4
ROWS = QUERIES // BLOCKS
STEPS = BLOCKS * (BLOCKS + 2)
DRAWN = {n: QUERIES, d: WIDTH, B: ROWS}
# Where things lie, in percent of the drawing: left and right of each column, top and bottom of each
# row. What is on the chip lies under what it comes from or goes to.
COLUMNS = {"Q": (3, 13), "K": (17, 27), "V": (31, 41), "O": (45, 55), "scores": (70, 97)}
CHIP_COLUMNS = COLUMNS | {"scores": (62, 70), "max": (79, 83), "sum": (92, 96)}
HBM, CHIP, BARS = (8, 38), (51, 63), (80, 94)
NARROW = "width < 330"  # where words that stand in one line elsewhere would meet
LONGEST_BAR = MATERIALISED.numpy(n=QUERIES, d=WIDTH, B=ROWS)


def tiles_step_by_step() -> Explorable:
    """One head of FlashAttention: which blocks are on the chip now, and the traffic so far."""
    sliders = [Slider(step, tuple(range(STEPS + 1)), 9)]

    def trace(field: str, formula: Formula, columns: dict[sp.Symbol, str]) -> Trace:
        return Trace(field, formula.subs(DRAWN), columns)

    queries = trace("queries", QUERIES_ON_CHIP, {i: "row"})
    keys = trace("keys", KEYS_ON_CHIP, {j: "row"})
    outputs = trace("outputs", OUTPUTS_DONE, {i: "row"})
    pairs = trace("pairs", PAIRS_DONE, {i: "row", j: "column"})
    tiles = trace("tiles", MOVED_IN_TILES, {step: "at"})
    plain = trace("plain", MOVED_PLAINLY, {step: "at"})

    layers = [
        *_frames(),
        *_blocks("Q", queries, sliders),
        *_blocks("K", keys, sliders),
        *_blocks("V", keys, sliders),
        *_blocks("O", outputs, sliders, (0.2, 0.4)),
        _pairs(pairs, sliders),
        *_on_chip(["Q", "O", "max", "sum"], queries, sliders),
        *_on_chip(["K", "V", "scores"], keys, sliders),
        *_bar(tiles, sliders, 0, style.VERMILLION, "traffic in tiles"),
        *_bar(plain, sliders, 1, style.BLUE, "traffic of plain kernels"),
        _now(),
    ]
    return Explorable(
        name="tiles-step-by-step",
        title="FlashAttention, step by step",
        caption=f"One head, n = {QUERIES}, d = {WIDTH}, in blocks of {ROWS} rows. Each step moves "
        "blocks between HBM and the chip; coloured blocks are on the chip now. Take one step at a "
        "time (arrow keys help). How often does each block of keys pass before the last output is "
        "stored? All scores get computed: where are they kept? Plain kernels compute the same "
        "scores, but store, load, store and load each of them.",
        alt="Above, HBM: queries Q, keys K, values V and outputs O, each a column of four blocks, "
        "and beside it a square of four by four cells, the scores computed so far. Below, the "
        "chip, with room for one block of each, a block of scores, maxima and sums. A tile of "
        "queries stays on the chip while blocks of keys and values pass one after another, and the "
        "cells of one row of the square fill. Two bars at the foot show the traffic so far: that "
        "of tiles grows slowly, that of plain kernels about four times as fast.",
        chart=alt.layer(*layers)
        .resolve_scale(color="independent", opacity="independent")
        .properties(width="container", height=430),
        sliders=sliders,
        traces=[queries, keys, outputs, pairs, tiles, plain],
        table=_table([tiles, plain]),
        readouts=[
            Readout("scores computed", SHARE_DONE.subs(DRAWN), ".0%"),
            Readout("traffic in tiles", MOVED_IN_TILES.subs(DRAWN)),
            Readout("traffic of plain kernels", MOVED_PLAINLY.subs(DRAWN)),
        ],
        presets={
            "First tile": {step: BLOCKS + 2},
            "The end": {step: STEPS},
        },
    )


def tiled_traffic() -> Explorable:
    """The memory traffic of attention, with and without tiles, over the length."""
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
        title="How much memory traffic?",
        caption="Enlarge the chip. More rows share each key that passes, and the line of the tiles "
        "sinks; its slope stays two, until all queries fit at once and it bends to one. Then widen "
        "the head on a small chip: are tiles always better?",
        alt_text="Two rising lines on logarithmic axes, the memory traffic of one head over the "
        "sequence length, both of slope two. In tiles the line lies lower, the more so the "
        "larger the chip, and is flatter where all queries fit on the chip.",
        log="xy",
        y_title="memory traffic of one head (numbers)",
        readouts=[
            Readout("rows in a tile", TILE_ROWS),
            Readout("less traffic in tiles at 65,536 tokens", saved, FOUR),
        ],
    )


# --- the drawing ----------------------------------------------------------------------------------


def _at(x: str, y: str) -> tuple[alt.X, alt.Y]:
    """A place in the drawing, in percent from the left and from the top."""
    across = alt.X(f"{x}:Q", axis=None).scale(domain=[0, 100], nice=False)
    down = alt.Y(f"{y}:Q", axis=None).scale(domain=[0, 100], nice=False, reverse=True)
    return across, down


def _box(chart: alt.Chart, **looks: Any) -> alt.Chart:
    """A rectangle for each row, from its columns left, right, top and bottom."""
    return chart.mark_rect(**looks).encode(*_at("left", "top"), x2="right", y2="bottom")


def _rows(values: Sequence[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.Data(values=[dict(row) for row in values]))


def _frames() -> list[alt.Chart]:
    """What does not move: the two memories, the empty places on the chip, and all names."""
    around = [
        {"left": 0, "right": 58, "top": HBM[0] - 2, "bottom": HBM[1] + 2},
        {"left": 0, "right": 100, "top": CHIP[0] - 2, "bottom": CHIP[1] + 3},
    ]
    titles = [
        {"x": 0, "y": 2, "words": "HBM"},
        {"x": 0, "y": CHIP[0] - 5, "words": "on-chip memory"},
    ]
    right_of_them = [{"x": COLUMNS["scores"][1], "y": 2, "words": "scores done"}]
    names = [
        {"x": x, "y": CHIP[0] + 1, "words": "mix" if name == "O" else name}
        for name, x in _middles(CHIP_COLUMNS).items()
    ]
    text: dict[str, Any] = {"baseline": "middle"}
    left, right = ({"align": side, "fontWeight": "bold", **text} for side in ("left", "right"))
    bold = ((titles, left), (right_of_them, right))
    return [
        _box(_rows(around), filled=False, stroke=style.GREY, strokeWidth=1.5),
        *(
            _box(_place(_rows([{}]), name), filled=False, stroke=style.GREY, strokeDash=[2, 2])
            for name in CHIP_COLUMNS
        ),
        *(_rows(rows).mark_text(**at).encode(*_at("x", "y"), text="words:N") for rows, at in bold),
        _rows(names)
        .mark_text(align="center", fontSize=11, **text)
        .encode(*_at("x", "y"), text="words:N"),
    ]


def _middles(columns: dict[str, tuple[int, int]]) -> dict[str, float]:
    return {name: (left + right) / 2 for name, (left, right) in columns.items()}


def _place(rows: alt.Chart, name: str) -> alt.Chart:
    """Rows with the place of something on the chip."""
    left, right = CHIP_COLUMNS[name]
    return rows.transform_calculate(
        left=f"{left}", right=f"{right}", top=f"{CHIP[0] + 4}", bottom=f"{CHIP[1]}"
    )


def _cut(rows: alt.Chart) -> alt.Chart:
    """Rows with a top and a bottom for each block of a column in HBM."""
    height = (HBM[1] - HBM[0]) / BLOCKS
    return rows.transform_calculate(
        top=f"{HBM[0]} + datum.row * {height} + 0.5",
        bottom=f"{HBM[0]} + (datum.row + 1) * {height} - 0.5",
    )


def _blocks(
    name: str, trace: Trace, sliders: Sequence[Slider], shades: tuple[float, ...] = (0.2, 0.6)
) -> list[alt.Chart]:
    """A matrix in HBM, block by block, coloured where the trace is 1."""
    left, right = COLUMNS[name]
    rows = _cut(alt.Chart(alt.sequence(0, BLOCKS, as_="row")))
    rows = with_transforms(rows, trace.transforms(sliders))
    rows = rows.transform_calculate(
        left=f"{left}", right=f"{right}", x=f"{(left + right) / 2}", y="(datum.top+datum.bottom)/2"
    )
    rows = rows.transform_calculate(words=f"'{name}' + (datum.row + 1)")
    return [
        _shaded(rows, trace, shades),
        rows.mark_text(baseline="middle", fontSize=11).encode(*_at("x", "y"), text="words:N"),
    ]


def _shaded(rows: alt.Chart, trace: Trace, shades: tuple[float, ...]) -> alt.Chart:
    """Boxes, grey where the trace is 0 and coloured from 1 on, as opaque as ``shades`` says."""
    colour = alt.Color(f"{trace.field}:Q", legend=None)
    shade = alt.Opacity(f"{trace.field}:Q", legend=None)
    return _box(rows).encode(
        color=colour.scale(type="threshold", domain=[0.5], range=[style.GREY, style.VERMILLION]),
        opacity=shade.scale(domain=list(range(len(shades))), range=list(shades)),
    )


def _pairs(trace: Trace, sliders: Sequence[Slider]) -> alt.Chart:
    """The square of all scores, cell by cell: computed or not yet."""
    left, right = COLUMNS["scores"]
    width = (right - left) / BLOCKS
    cells = alt.Chart(alt.sequence(0, BLOCKS**2, as_="cell"))
    cells = cells.transform_calculate(
        row=f"floor(datum.cell / {BLOCKS})", column=f"datum.cell % {BLOCKS}"
    )
    cells = _cut(cells).transform_calculate(
        left=f"{left} + datum.column * {width} + 0.4",
        right=f"{left} + (datum.column + 1) * {width} - 0.4",
    )
    return _shaded(with_transforms(cells, trace.transforms(sliders)), trace, (0.2, 0.4, 1))


def _on_chip(names: Sequence[str], trace: Trace, sliders: Sequence[Slider]) -> list[alt.Chart]:
    """What the chip holds as long as the trace is 1 for some block, with the block's number."""
    held = alt.Chart(alt.sequence(0, BLOCKS, as_="row"))
    held = with_transforms(held, trace.transforms(sliders))
    held = held.transform_filter(f"datum.{trace.field} == 1")
    layers = []
    for name in names:
        here = _place(held, name)
        layers.append(_box(here, color=style.VERMILLION, opacity=1 if name == "scores" else 0.6))
        if name in ("Q", "K", "V"):
            here = here.transform_calculate(
                words=f"'{name}' + (datum.row + 1)",
                x="(datum.left + datum.right) / 2",
                y="(datum.top + datum.bottom) / 2",
            )
            text = here.mark_text(baseline="middle", fontSize=11)
            layers.append(text.encode(*_at("x", "y"), text="words:N"))
    return layers


def _bar(
    trace: Trace, sliders: Sequence[Slider], number: int, colour: str, name: str
) -> list[alt.Chart]:
    """Numbers moved so far, as a bar with its name and its number."""
    top = BARS[number]
    bar = alt.Chart(alt.sequence(0, STEPS + 1, as_="at")).transform_filter(f"datum.at == {step}")
    bar = with_transforms(bar, trace.transforms(sliders))
    bar = bar.transform_calculate(
        left="0",
        right=f"100 * datum.{trace.field} / {LONGEST_BAR:.0f}",
        end="100",
        top=f"{top}",
        bottom=f"{top + 5}",
        y=f"{top - 2.5}",
    )
    text: dict[str, Any] = {"baseline": "middle"}
    words = alt.expr(f"{NARROW} ? '{name}' : '{name}, in numbers'")
    number_moved = alt.Text(f"{trace.field}:Q", format=",.0f")
    return [
        _box(bar, color=colour),
        bar.mark_text(align="left", text=words, **text).encode(*_at("left", "y")),
        bar.mark_text(align="right", **text).encode(*_at("end", "y"), text=number_moved),
    ]


def _now() -> alt.Chart:
    """What the step does, in words: above the chip, or beneath it where its name takes the line."""
    now = alt.Chart(alt.sequence(0, 1, as_="zero"))
    now = now.transform_calculate(into=f"({step} - 1) % {BLOCKS + 2}")
    now = now.transform_calculate(tile=f"1 + floor(({step} - 1) / {BLOCKS + 2})")
    now = now.transform_calculate(
        x="100",
        y=f"{NARROW} ? {CHIP[1] + 8} : {CHIP[0] - 5}",
        words=f"{step} == 0 ? 'nothing has moved yet'"
        " : datum.into == 0 ? '↓ load Q' + datum.tile"
        f" : datum.into == {BLOCKS + 1} ? '↑ divide by the sum, store O' + datum.tile"
        " : '↓ K' + datum.into + ' and V' + datum.into + ' pass'",
    )
    return now.mark_text(align="right", baseline="middle").encode(*_at("x", "y"), text="words:N")


def _table(traces: Sequence[Trace]) -> Table:
    """The traffic after each tile of queries."""
    columns = {trace.formula.name: trace.formula for trace in traces}
    return Table(step, range(0, STEPS + 1, BLOCKS + 2), columns, "step", ",.0f")
