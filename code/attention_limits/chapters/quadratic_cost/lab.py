"""How cost grows with length, on the reader's own machine."""

import ipywidgets as widgets

from attention_limits.chapters.quadratic_cost.figures import scaling as figures
from attention_limits.experiments import scaling
from attention_limits.lab import Lab
from attention_limits.panel import STOP, Panel, RefusalError
from attention_limits.runs import records

LENGTHS = tuple(2**power for power in range(8, 17))
START = 4096  # the longest of them, until the reader asks for more


def time_it() -> Lab:
    """Time mechanisms of your choice on sequences of growing length."""
    return Lab(controls=lambda: TimeIt().box, recorded=figures.times)


class TimeIt(Panel[scaling.Config]):
    """The controls, and what happens when the reader presses Run.

    ``run`` blocks the kernel, since a second computation beside it would spoil the times.
    """

    def __init__(self) -> None:
        super().__init__(figures.times())
        self.mechanisms = {
            name: widgets.Checkbox(value=True, description=words, indent=False)
            for name, words in figures.NAMES.items()
        }
        self.lengths = widgets.SelectionRangeSlider(
            options=[(f"{n:,}", n) for n in LENGTHS],
            index=(0, LENGTHS.index(START)),
            description="lengths n",
            layout={"width": "30em"},
        )
        checks = widgets.HBox(list(self.mechanisms.values()), layout={"flex_flow": "row wrap"})
        start = widgets.HBox([self.device, self.button, self.bar])
        self.box = widgets.VBox([checks, self.lengths, start, self.words, self.plot])

    def config(self) -> scaling.Config:
        """What the controls say."""
        chosen = tuple(name for name, check in self.mechanisms.items() if check.value)
        if not chosen:
            raise RefusalError("Choose one mechanism or more.")
        shortest, longest = self.lengths.value
        return scaling.Config(
            mechanisms=chosen,
            lengths=tuple(n for n in LENGTHS if shortest <= n <= longest),
            counted=0,
            repeats=5,
            budget_seconds=1.0,
            device=self.device.value,
        )

    def _run(self, config: scaling.Config) -> None:
        rows: list[dict] = []
        remarks: list[str] = []

        def hear(share: float | None, words: str) -> None:
            if share is None:
                remarks.append(words)
            else:
                self.bar.value = share
                self._draw(config, rows, complete=False)
            self._write([*remarks, words if share is not None else "", STOP])

        complete = False
        try:
            for row in scaling.measure(config, hear):
                rows.append(row)
            complete = True
        except KeyboardInterrupt:
            remarks.append("Interrupted.")
        self.bar.value = 1.0 if complete else self.bar.value
        self._draw(config, rows, complete=complete)
        self._write(remarks)

    def _draw(self, config: scaling.Config, rows: list[dict], *, complete: bool) -> None:
        if rows:
            run = records.new(scaling, config, rows, complete=complete)
            self.plot.value = figures.times(run)._repr_html_()
