"""What the controls of all labs share: a button, a bar, words, and a plot that grows."""

import html
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import ipywidgets as widgets

from attention_limits import devices, style

Config = TypeVar("Config")  # what the controls of one lab say

STOP = "To stop, interrupt the kernel: what was measured until then stays."


class RefusalError(ValueError):
    """What the controls say cannot be run; its words are for the reader, who sees no arguments."""


class Panel(ABC, Generic[Config]):
    """Controls, and what happens when the reader presses Run.

    Args:
        plot: what is shown before anything was measured.
    """

    def __init__(self, plot: style.Figure) -> None:
        self.device = widgets.Dropdown(options=devices.available(), description="device")
        self.button = widgets.Button(description="Run", button_style="primary")
        self.bar = widgets.FloatProgress(max=1.0)
        self.words = widgets.HTML()
        self.plot = widgets.HTML(plot._repr_html_())
        self.button.on_click(self.run)

    @abstractmethod
    def config(self) -> Config:
        """What the controls say.

        Raises:
            RefusalError: if nothing can be measured from that.
        """

    @abstractmethod
    def _run(self, config: Config) -> None:
        """Measure, and draw it as it grows; an interrupt ends it, and what there is stays."""

    def run(self, _: object = None) -> None:
        """Measure what is chosen; it blocks the kernel."""
        try:
            config = self.config()
        except RefusalError as refusal:
            self._write([str(refusal)])
            return
        self.button.disabled = True
        try:
            self._run(config)
        finally:
            self.button.disabled = False

    def _write(self, lines: list[str]) -> None:
        self.words.value = "<br>".join(html.escape(line) for line in lines if line)
