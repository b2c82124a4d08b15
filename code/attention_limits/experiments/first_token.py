"""With which symbol did the sequence begin, on longer ones: an absolute place.

Encodings, conditions and questions are those of ``conditions``; how it is done says
``extrapolation``. Two conditions have to do: what stands between the first token and the last does
not change which is the first.
"""

from attention_limits.experiments.extrapolation import COLUMNS, Config, cells, presets, run_cell

__all__ = ["COLUMNS", "DURATIONS", "PRESETS", "SETTING", "Config", "cells", "run_cell"]

SETTING = "first token"
PRESETS = presets(SETTING, ("random positions", "plain"))
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about half an hour"}
