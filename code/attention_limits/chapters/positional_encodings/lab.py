"""How far a model carries what it learned, by its encoding, trained on the reader's own machine."""

import math

import ipywidgets as widgets

from attention_limits import training
from attention_limits.chapters.positional_encodings import recorded
from attention_limits.chapters.positional_encodings.figures import length as figures
from attention_limits.experiments import conditions, extrapolation
from attention_limits.experiments.conditions import SETTINGS
from attention_limits.experiments.extrapolation import Cell, Config
from attention_limits.lab import Lab
from attention_limits.panel import STOP, Panel, RefusalError
from attention_limits.runs import records, timing
from attention_limits.training import Trained

START = ("none", "rotary", "alibi")  # until the reader chooses others
START_TASK = "first token"
LENGTHS = (32, 64, 128, 256)
COUNT = 100  # texts of each length; asking takes as long as training
LOOKS = 4  # how often each encoding is asked, the last time when it has trained


def train_it() -> Lab:
    """Train encodings of your choice on short sequences, and watch how they do on longer ones."""
    return Lab(controls=lambda: TrainIt().box, recorded=figures.curves)


class TrainIt(Panel[Config]):
    """The controls, and what happens when the reader presses Run.

    ``run`` blocks the kernel: models train one encoding after the other, each at the learning rate
    that it chose in the recorded run.
    """

    def __init__(self) -> None:
        self.recorded = {task: recorded.run(task) for task in recorded.EXPERIMENTS}
        super().__init__(figures.curves(list(self.recorded.values())))
        self.encodings = {
            name: widgets.Checkbox(value=name in START, description=words, indent=False)
            for name, words in recorded.NAMES.items()
        }
        self.task = widgets.Dropdown(
            options=list(recorded.EXPERIMENTS), value=START_TASK, description="task"
        )
        self.steps = widgets.IntSlider(
            value=SETTINGS[START_TASK].steps, min=50, max=1000, step=50, description="steps"
        )
        self.seeds = widgets.IntSlider(value=2, min=1, max=5, description="seeds")
        self.task.observe(self._suggest_steps, "value")
        checks = widgets.HBox(list(self.encodings.values()), layout={"flex_flow": "row wrap"})
        how = widgets.HBox([self.task, self.steps, self.seeds], layout={"flex_flow": "row wrap"})
        start = widgets.HBox([self.device, self.button, self.bar], layout={"flex_flow": "row wrap"})
        self.box = widgets.VBox([checks, how, start, self.words, self.plot])

    def _suggest_steps(self, change: dict) -> None:
        """As many as the search of the recorded run began with."""
        self.steps.value = SETTINGS[change["new"]].steps

    def config(self) -> Config:
        """What the controls say."""
        chosen = tuple(name for name, check in self.encodings.items() if check.value)
        if not chosen:
            raise RefusalError("Choose one encoding or more.")
        return Config(
            settings=(self.task.value,),
            encodings=chosen,
            conditions=("plain",),
            seeds=tuple(range(self.seeds.value)),
            steps=self.steps.value,
            lengths=LENGTHS,
            count=COUNT,
            device=self.device.value,
        )

    def _run(self, config: Config) -> None:
        # By encoding: the answers when it was last asked, and after how many steps if on the way.
        self.rows: dict[str, list[dict]] = {}
        self.early: dict[str, int] = {}
        self.remarks: list[str] = []
        complete = False
        try:
            with timing.on_threads(config.threads):
                for number, cell in enumerate(extrapolation.cells(config)):
                    self._train(cell, number, config)
            complete = True
        except KeyboardInterrupt:
            self.remarks.append("Interrupted.")
        for encoding, step in self.early.items():
            self.remarks.append(f"{recorded.NAMES[encoding]} is drawn as after {step} steps.")
        self.bar.value = 1.0 if complete else self.bar.value
        self._draw(config, complete=complete)
        self._write(self.remarks)

    def _train(self, cell: Cell, number: int, config: Config) -> None:
        """Train one encoding and ask it, on the way and in the end; say so if it cannot be."""
        name, [task] = recorded.NAMES[cell.encoding], config.settings
        recipe = conditions.recipe(task, cell.condition, config.steps)

        def hear(share: float | None, words: str) -> None:
            if share is not None:
                self.bar.value = (number + share) / len(config.encodings)
            self._write([*self.remarks, f"{name}: {words}", STOP])

        def on_eval(trained: Trained) -> None:
            step = max(trained.steps)
            if step in _asked_at(recipe.steps):
                self._ask(cell, config, trained)
                self.early[cell.encoding] = step

        try:
            trained = training.train(
                conditions.ENCODINGS[cell.encoding],
                SETTINGS[task].under(cell.condition, cell.encoding),
                recipe,
                seeds=config.seeds,
                rates=self._rate(task, cell),
                device=config.device,
                progress=hear,
                on_eval=on_eval,
            )
            self._ask(cell, config, trained)
        except (ValueError, RuntimeError) as error:  # of a device, say, that lacks an operation
            self.remarks.append(f"{name} cannot be trained: {error}")
            return
        self.early.pop(cell.encoding, None)
        if diverged := trained.ended.count("diverged"):
            self.remarks.append(f"{name}: {diverged} of {len(config.seeds)} seeds diverged.")

    def _ask(self, cell: Cell, config: Config, trained: Trained) -> None:
        """Ask sequences of all lengths, in place of earlier answers, and draw them."""
        questions = map(recorded.longer, config.lengths)
        asked = extrapolation.ask(cell, config, trained, questions, role="test", at_edge=None)
        self.rows[cell.encoding] = asked
        self._draw(config, complete=False)

    def _rate(self, task: str, cell: Cell) -> float:
        """The learning rate that the encoding chose on this task in the recorded run."""
        rate, *_ = extrapolation.chosen(self.recorded[task], cell.encoding, cell.condition)
        return rate

    def _draw(self, config: Config, *, complete: bool) -> None:
        if self.rows:
            rows = [row for some in self.rows.values() for row in some]
            [task] = config.settings
            run = records.new(recorded.EXPERIMENTS[task], config, rows, complete=complete)
            chosen = [name for name in recorded.NAMES if name in config.encodings]
            self.plot.value = figures.curves([run], chosen[: figures.COLOURS])._repr_html_()


def _asked_at(steps: int) -> set[int]:
    """After which steps on the way an encoding is asked: those where it can be looked at."""
    parts = (steps * part / LOOKS / training.INTERVAL for part in range(1, LOOKS))
    return {math.ceil(part) * training.INTERVAL for part in parts} - {steps}
