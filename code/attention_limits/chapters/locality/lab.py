"""How many examples a pattern of the reader's own takes, by prior, on the reader's own machine."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from attention_limits.chapters.locality.figures import learning as figures
from attention_limits.experiments import separation
from attention_limits.experiments.separation import CORE, ENOUGH, PLAIN, READ, SHIFTED, Cell
from attention_limits.experiments.signals import Signals
from attention_limits.lab import Lab
from attention_limits.panel import STOP, Panel, RefusalError
from attention_limits.runs import records, timing

LENGTHS = (32, 64, 128)  # those that have rates of their own
EXAMPLES = (8, 16, 32, 64, 128, 256, 512, 1024)
SEEDS = (0, 1)
HIGHEST = 7.0  # of a number of the pattern
RECORDED = tuple(Signals(LENGTHS[0]).pattern.tolist())
STRENGTH = Signals(LENGTHS[0]).strength
# At a known place in noise of deviation 1, who knows a pattern of norm S is right in Φ(S).
LEAST = NormalDist().inv_cdf(READ)


def _of_strength(*shape: float) -> tuple[float, ...]:
    return tuple((np.array(shape) * STRENGTH / np.linalg.norm(shape)).tolist())


SHAPES = {
    "as recorded": RECORDED,
    "three quarters as strong": tuple(0.75 * number for number in RECORDED),
    "an edge": _of_strength(-1, -1, -1, -1, 1, 1, 1, 1),
    "a bump: its sum is not 0": _of_strength(1, 1, 1, 1, 1, 1, 1, 1),
}


def train_it() -> Lab:
    """Draw a pattern, and see how many examples layers of your choice need to learn it."""
    return Lab(controls=lambda: TrainIt().box, recorded=figures.drawn)


class Choice(NamedTuple):
    """What to learn, and by whom: a pattern, and all else."""

    pattern: tuple[float, ...]
    config: separation.Config


class TrainIt(Panel[Choice]):
    """The controls, and what happens when the reader presses Run.

    ``run`` blocks the kernel: layers train one after the other, each at the learning rate that it
    chose in the recorded run for as many examples.
    """

    def __init__(self) -> None:
        self.recorded = records.load(separation)
        super().__init__(figures.drawn())
        self.numbers = [_number(place, value) for place, value in enumerate(RECORDED, start=1)]
        self.shapes = {name: widgets.Button(description=name) for name in SHAPES}
        self.about = widgets.HTML()
        self.layers = {
            name: widgets.Checkbox(value=name in figures.TYPICAL, description=name, indent=False)
            for name in CORE
        }
        self.length = widgets.Dropdown(options=LENGTHS, value=64, description="ring n")
        self.shifts = widgets.Checkbox(description="shift the examples", indent=False)
        self.examples = widgets.SelectionRangeSlider(
            options=[(f"{count:,}", count) for count in EXAMPLES],
            index=(0, EXAMPLES.index(256)),
            description="examples",
            layout={"width": "30em"},
        )
        for number in self.numbers:
            number.observe(self._describe, "value")
        for name, button in self.shapes.items():
            button.on_click(lambda _, name=name: self.draw(SHAPES[name]))
        self._describe()
        self.box = widgets.VBox([*self._rows(), self.words, self.plot])

    def _rows(self) -> list[widgets.Box]:
        """The controls, a line for each thing that they say."""
        lines: list[Sequence[widgets.Widget]] = [
            self.numbers,
            [*self.shapes.values(), self.about],
            list(self.layers.values()),
            [self.length, self.examples, self.shifts],
            [self.device, self.button, self.bar],
        ]
        return [widgets.HBox(line, layout={"flex_flow": "row wrap"}) for line in lines]

    @property
    def pattern(self) -> tuple[float, ...]:
        """What is drawn."""
        return tuple(number.value for number in self.numbers)

    def draw(self, pattern: Sequence[float]) -> None:
        """Put the sliders where a pattern has its numbers."""
        for number, value in zip(self.numbers, pattern, strict=True):
            number.value = value

    def _describe(self, _: object = None) -> None:
        strength, total = np.linalg.norm(self.pattern), sum(self.pattern)
        total = 0.0 if abs(total) < 0.05 else total  # or −0.0 is written
        self.about.value = f"strength S = {strength:.1f}, sum {total:.1f}".replace("-", "−")

    def config(self) -> Choice:
        """What the controls say."""
        chosen = tuple(name for name, check in self.layers.items() if check.value)
        if not chosen:
            raise RefusalError("Choose one layer or more.")
        _check_strength(float(np.linalg.norm(self.pattern)))
        fewest, most = self.examples.value
        config = separation.Config(
            settings=(SHIFTED if self.shifts.value else PLAIN,),
            layers=chosen,
            lengths=(self.length.value,),
            examples=tuple(count for count in EXAMPLES if fewest <= count <= most),
            seeds=SEEDS,
            device=self.device.value,
        )
        return Choice(self.pattern, config)

    def _run(self, choice: Choice) -> None:
        self.rows: list[dict] = []
        self.remarks: list[str] = []
        complete = False
        try:
            with timing.on_threads(choice.config.threads):
                for number, cell in enumerate(separation.cells(choice.config)):
                    self._learn(cell, number, choice)
            complete = True
        except KeyboardInterrupt:
            self.remarks.append("Interrupted.")
        self.bar.value = 1.0 if complete else self.bar.value
        self._draw(choice, complete=complete)
        self._write(self.remarks)

    def _learn(self, cell: Cell, number: int, choice: Choice) -> None:
        """Train a layer on ever more examples, until it needs no more; say so if it cannot be."""
        config = choice.config
        for place, examples in enumerate(config.examples):
            self.bar.value = (number + place / len(config.examples)) / len(config.layers)
            self._write([*self.remarks, f"{cell.layer}: {examples} examples", STOP])
            rate = separation.rate(self.recorded, cell.layer, cell.condition, int(cell.n), examples)
            rates = [rate] * len(config.seeds)
            try:
                found = separation.learn(
                    cell, config, examples, rates, config.seeds, choice.pattern
                )
            except (ValueError, RuntimeError) as error:  # of a device, say, that lacks an operation
                self.remarks.append(f"{cell.layer} cannot be trained: {error}")
                return
            same = {"layer": cell.layer, "condition": cell.condition, "n": int(cell.n)}
            for seed, accuracy in zip(config.seeds, found.accuracy, strict=True):
                self.rows.append({**same, "examples": examples, "seed": seed, "accuracy": accuracy})
            self._draw(choice, complete=False)
            if np.mean(found.accuracy) >= ENOUGH:
                return

    def _draw(self, choice: Choice, *, complete: bool) -> None:
        if self.rows:
            run = records.new(separation, choice.config, list(self.rows), complete=complete)
            self.plot.value = figures.drawn(run, choice.pattern)._repr_html_()


def _number(place: int, value: float) -> widgets.FloatSlider:
    """One number of the pattern, which a pointer draws up and down, and arrow keys do."""
    return widgets.FloatSlider(
        value=value,
        min=-HIGHEST,
        max=HIGHEST,
        step=0.1,
        orientation="vertical",
        description=f"u{place}",
        readout_format=".1f",
        layout={"width": "4em", "height": "12em"},
    )


def _check_strength(strength: float) -> None:
    """Refuse a pattern that no layer could learn well enough to be compared."""
    if not strength:
        raise RefusalError("All eight numbers are 0, so there is nothing to learn. Draw a pattern.")
    if strength < LEAST:
        best = NormalDist().cdf(strength)
        raise RefusalError(
            f"A pattern of strength S = {strength:.1f} is too weak: whoever knows it and its place "
            f"is right in {best:.0%}, and no layer can do better. Draw one of {LEAST:.1f} or more."
        )
