"""Charts with sliders, made from the book's formulas, one file a chapter."""

from attention_limits.explorables.explorable import Explorable, Readout, Slider, Trace, explore

__all__ = ["Explorable", "Readout", "Slider", "Trace", "explore"]
