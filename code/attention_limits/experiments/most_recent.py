"""Which symbol was marked last, on longer sequences: recency.

Encodings, conditions and questions are those of ``conditions``; how it is done says
``extrapolation``. Blanks are not among what is recorded: marks have a control of their own in
``controls``.
"""

from attention_limits.experiments.extrapolation import COLUMNS, Config, cells, presets, run_cell

__all__ = ["COLUMNS", "DURATIONS", "PRESETS", "SETTING", "Config", "cells", "run_cell"]

SETTING = "most recent"
PRESETS = presets(SETTING, ("random positions", "plain", "random gaps"))
DURATIONS = {"smoke": "a few seconds", "book": "half a minute", "full": "about two hours"}
