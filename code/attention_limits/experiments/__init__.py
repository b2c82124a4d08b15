"""Experiments that take a clock or patience: each is a module with the same interface.

    from attention_limits.experiments import scaling

    rows = list(scaling.measure(scaling.PRESETS["smoke"]))

- ``Config``: a frozen dataclass of all that a run depends on, the machine aside. Its fields survive
  JSON; ``device`` and ``threads`` (an int) are two of them, and ``seeds``, a tuple, where there
  are several;
- ``COLUMNS``: what each row of the records holds, one row a measurement;
- ``PRESETS``: a Config for each of "smoke" (a test's patience), "book" (what a chapter may run:
  counts and no clock) and "full" (what ships with the package), and ``DURATIONS``, for how long;
- ``TIMED``, where rows are times: then one machine has to measure all rows of a run. Those of other
  experiments may come from several, if config and code are the same;
- ``PACKAGES``, where it rests on some that the library does not need;
- ``measure(config, progress=None)``: the rows, as they come.

An experiment that trains for minutes is made of cells instead, each by itself repeatable. A run of
it survives a kill: it goes on from the cells that are finished, and from the last checkpoints of
those that are not. Several processes, or machines, may share it. In place of ``measure`` it has

- ``cells(config)``: the cells, an iterable of frozen values. Each has a ``name``, a string like no
  other's that can name a folder, and is told apart by nothing else;
- ``run_cell(cell, config, checkpoints, progress)``: the rows of one cell, a list. They depend on
  nothing but ``cell`` and ``config``, checkpoints or no, so all randomness starts from seeds that
  these two hold. Numbers in them are finite: JSON has no NaN, so None stands for what diverged.

  ``checkpoints`` is a folder of this cell's own: empty when the cell first starts, with all that it
  left there when it starts again, gone once its rows are recorded; None: keep nothing. A checkpoint
  is replaced whole (written beside, then renamed). ``progress`` is told shares of this cell.

``grid`` has what those that train have in common, ``registry`` finds an experiment by its name.
``runs.runner`` runs both kinds, ``runs.records`` keeps what was measured, and
``attention-limits run NAME`` does all of it.
"""
