"""The lab of encodings: every control, and models that train while somebody watches."""

import html
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from bs4 import BeautifulSoup
from helpers.task_runs import loads, made_runs
from ipywidgets import Widget

from attention_limits import training
from attention_limits.chapters.positional_encodings import lab as labs
from attention_limits.chapters.positional_encodings.figures import length as figures
from attention_limits.chapters.positional_encodings.recorded import FIRST, NAMES, OFFSET
from attention_limits.experiments import conditions, first_token, search
from attention_limits.experiments.conditions import ENCODINGS, LONGEST, SETTINGS, TRAINED
from attention_limits.lab import VIEW
from attention_limits.notebook import STILL
from attention_limits.runs import records

pytestmark = pytest.mark.slow  # each trains, or starts processes

STEPS = 20  # with a look on the way, after ten
LENGTHS, COUNT = (32, 64), 10
BATCH = 4
recipe_of, losses_of = conditions.recipe, search.losses


def few_sequences(*given):
    return replace(recipe_of(*given), batch=BATCH)


def of_few(trained, task, recipe, count):
    return losses_of(trained, task, recipe, COUNT)


@pytest.fixture(scope="module")
def runs():
    """Records by hand, in which each encoding has another learning rate on each task."""
    found = made_runs(seeds=(0,), conditions=("plain",))
    pairs = [(task, name) for task in found for name in NAMES]
    for task, run in found.items():
        for row in run.records:
            row["rate"] = 1e-4 * (1 + pairs.index((task, row["encoding"])))
    return found


@pytest.fixture(scope="module")
def drawn(runs):
    return figures.curves(list(runs.values()))


@pytest.fixture(scope="module", autouse=True)
def from_hand(runs, drawn):
    """The records, and their figure, with which each lab begins; drawing it takes a second."""
    draw = figures.curves

    def curves(given=None, *rest):
        return drawn if given is None or len(given) == len(runs) else draw(given, *rest)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(records, "load", loads(runs))
        patched.setattr(figures, "curves", curves)
        yield


@pytest.fixture(scope="module")
def idle():
    """Controls that are moved, with nobody to press the button."""
    return labs.TrainIt()


@pytest.fixture
def live(monkeypatch):
    """The controls of a reader who has chosen little, so that a run takes no time.

    Of the figures of a run only that is drawn which ``plot_of`` looks at; see ``pressed``.
    """
    controls, draw, given_for = chosen_little(monkeypatch), figures.curves, {}

    def not_yet(*given):
        name = f"figure {len(given_for)}"
        given_for[name] = given
        return SimpleNamespace(_repr_html_=lambda: name)

    monkeypatch.setattr(figures, "curves", not_yet)
    controls.drawn = lambda name: draw(*given_for[name])._repr_html_()
    return controls


def plot_of(live):
    """What the reader sees."""
    shown = live.plot.value
    return live.drawn(shown) if shown.startswith("figure ") else shown


def chosen_little(patched):
    patched.setattr(labs, "LENGTHS", LENGTHS)
    patched.setattr(labs, "COUNT", COUNT)
    patched.setattr(conditions, "recipe", few_sequences)
    patched.setattr(search, "losses", of_few)
    controls = labs.TrainIt()
    choose(controls, "none", "lstm alone")
    controls.steps.min = controls.steps.value = STEPS
    return controls


class Pressed(NamedTuple):
    """A run to its end: its controls, what was drawn before, its models, and threads after it."""

    controls: labs.TrainIt
    before: str
    models: list[training.Trained]
    threads: int


@pytest.fixture(scope="module")
def pressed():
    """What is chosen is trained once, and all is drawn, for those that look at what came of it."""
    kept, real, threads = [], training.train, torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            training, "train", lambda *given, **rest: kept.append(real(*given, **rest)) or kept[-1]
        )
        controls = chosen_little(patched)
        before = controls.plot.value
        torch.set_num_threads(2)
        try:
            controls.button.click()
            return Pressed(controls, before, kept, torch.get_num_threads())
        finally:
            torch.set_num_threads(threads)


def choose(controls, *names):
    for name, check in controls.encodings.items():
        check.value = name in names


def text_of(widget):
    return html.unescape(widget.value)


def reports_of(controls):
    """The share on the bar and the words beside it, each time that these change."""
    told = []
    controls.words.observe(lambda change: told.append((controls.bar.value, change.new)), "value")
    return told


# --- the faces ----------------------------------------------------------------------------------


def test_a_kernel_is_given_controls_and_every_other_reader_the_record(runs):
    """A notebook that is only looked at showed nothing, or the models of nobody knows when."""
    bundle = labs.train_it()._repr_mimebundle_()
    assert bundle.keys() == {VIEW, "text/html", "text/plain"}
    assert runs[FIRST].stamp in html.unescape(bundle["text/html"])


def test_a_page_is_given_no_control_and_no_widget_is_made(monkeypatch):
    """A dead control in the HTML."""
    monkeypatch.setenv(STILL, "1")
    monkeypatch.setattr(Widget, "__init__", lambda *_, **__: pytest.fail("a widget was made"))
    bundle = labs.train_it()._repr_mimebundle_()
    assert bundle.keys() == {"text/html", "text/plain"}
    face = BeautifulSoup(bundle["text/html"], "html.parser")
    assert not face.select(
        "input, select, button, a, script, [onclick], [tabindex]:not([role=img])"
    )
    assert face.select_one('figure.plot [role="img"]')["aria-label"]


# --- the controls -------------------------------------------------------------------------------


def test_every_control_has_a_name(idle):
    """A screen reader said "slider", twice."""
    choices = [idle.task, idle.steps, idle.seeds, idle.device, idle.button]
    named = [*idle.encodings.values(), *choices]
    assert len({control.description for control in named} - {""}) == len(named)


def test_what_is_offered_is_what_there_is(idle):
    """An encoding or a task was missing from the lab."""
    assert sorted(idle.encodings) == sorted(ENCODINGS)
    assert set(idle.task.options) == set(SETTINGS)
    assert "cpu" in idle.device.options
    assert (idle.seeds.min, idle.seeds.max) == (1, 5)


def test_what_is_chosen_first_takes_no_longer_than_a_minute():
    """A first press of the button, and ten minutes of silence; see DURATIONS of the experiment."""
    config, book = labs.TrainIt().config(), first_token.PRESETS["book"]
    assert config.settings == book.settings
    assert set(config.encodings) == {*book.encodings, "alibi"}
    assert config.steps == SETTINGS[book.settings[0]].steps
    assert (config.seeds, config.lengths) == (book.seeds, book.lengths)
    assert config.count <= book.count / 2  # and asks several times


@pytest.mark.parametrize("chosen", [*((name,) for name in NAMES), tuple(NAMES)])
def test_each_encoding_can_be_chosen(idle, chosen):
    """A checkbox was not connected to anything."""
    choose(idle, *chosen)
    assert idle.config().encodings == chosen


@pytest.mark.parametrize("task", SETTINGS)
def test_each_task_can_be_chosen_and_suggests_its_steps(idle, task):
    """Most recent match was given the steps of a task that is learned in half as many."""
    idle.task.value = task
    assert idle.config().settings == (task,)
    assert idle.config().steps == SETTINGS[task].steps
    idle.steps.value = 550
    assert idle.config().steps == 550


@pytest.mark.parametrize("count", [1, 5])
def test_seeds_go_from_one_to_five(idle, count):
    idle.seeds.value = count
    assert idle.config().seeds == tuple(range(count))


def test_each_device_can_be_chosen(idle):
    """The run went to the CPU, whatever the menu said."""
    for device in idle.device.options:
        idle.device.value = device
        assert idle.config().device == device


# --- the run ------------------------------------------------------------------------------------


def test_run_trains_what_was_chosen_and_draws_it(pressed):
    """The button did nothing, or the recorded figure stayed."""
    live = pressed.controls
    assert live.plot.value != pressed.before
    for name, words in NAMES.items():
        assert (words in live.plot.value) == (name in ("none", "lstm alone"))
    assert "interrupted" not in live.plot.value
    assert live.bar.value == 1
    assert not live.button.disabled
    assert live.words.value == ""


def test_models_are_those_of_the_experiment_at_the_rate_that_was_recorded(live, monkeypatch):
    """An encoding was blamed for another's learning rate, or trained on other lengths."""
    real, given = training.train, []

    def train(architecture, task, recipe, **rest):
        given.append((architecture, task, recipe, rest["seeds"], rest["rates"], rest["device"]))
        return real(architecture, task, recipe, **rest)

    monkeypatch.setattr(training, "train", train)
    live.task.value = "token 3 back"
    live.steps.value = STEPS
    live.button.click()
    recipe = training.Recipe(steps=STEPS, batch=BATCH, lengths=TRAINED)
    task = SETTINGS["token 3 back"].make()
    rates = {row["encoding"]: row["rate"] for row in live.recorded[OFFSET].records}
    assert given == [
        (ENCODINGS[name], task, recipe, (0, 1), rates[name], "cpu")
        for name in ("none", "lstm alone")
    ]
    assert "LSTM alone" in plot_of(live)


def test_the_answers_are_those_of_the_trained_models(pressed):
    """The curve ended with a look on the way, before rates had cooled down."""
    task = SETTINGS["first token"].make()
    for name, trained in zip(("none", "lstm alone"), pressed.models, strict=True):
        for n in LENGTHS:
            wanted = [row["last"] for row in training.evaluate(trained, task, n, count=COUNT)]
            found = [row["accuracy"] for row in pressed.controls.rows[name] if row["n"] == n]
            assert found == wanted


def test_the_curve_grows_while_models_train(live, monkeypatch):
    """Nothing moved until the end, and a reader took it for dead."""
    seen, told = [], reports_of(live)

    class Drawn:
        def __init__(self, runs, encodings):
            [run] = runs
            assert encodings == ["none", "lstm alone"]
            self.name = f"figure {len(seen)} of {sorted({r['encoding'] for r in run.records})}"

        def _repr_html_(self):
            return self.name

    monkeypatch.setattr(labs.figures, "curves", Drawn)
    live.plot.observe(lambda change: seen.append((live.bar.value, change.new)), "value")
    live.button.click()
    both = "['lstm alone', 'none']"
    assert seen == [  # after 10 and all 20 steps of the first of two, then of the second; the end
        (0.25, "figure 0 of ['none']"),
        (0.5, "figure 1 of ['none']"),
        (0.75, f"figure 2 of {both}"),
        (1, f"figure 3 of {both}"),
        (1, f"figure 4 of {both}"),
    ]
    assert [share for share, _ in told] == [0.25, 0.5, 0.75, 1, 1]
    assert told[0][1].startswith("no positions: step 10 of 20, accuracy 0.")
    assert told[0][1].endswith(html.escape(labs.STOP))


@pytest.mark.parametrize(
    ("steps", "asked"),
    [(50, {20, 30, 40}), (200, {50, 100, 150}), (350, {90, 180, 270}), (10, set()), (20, {10})],
)
def test_it_asks_where_it_can_look(steps, asked):
    """Training shows itself every ten steps, and was asked at the 87th: never."""
    assert labs._asked_at(steps) == asked


def test_nothing_chosen_is_said_and_not_run(live, monkeypatch):
    """An empty choice ended in a traceback, out of sight."""
    monkeypatch.setattr(training, "train", pytest.fail)
    choose(live)
    live.button.click()
    assert text_of(live.words) == "Choose one encoding or more."
    assert not live.button.disabled


def interrupt_at(monkeypatch, words):
    """The kernel is interrupted when the words are on the screen."""
    real = labs.TrainIt._write

    def write(self, lines):
        real(self, lines)
        if any(words in line for line in lines):
            raise KeyboardInterrupt

    monkeypatch.setattr(labs.TrainIt, "_write", write)


def test_an_interrupt_keeps_what_is_there_and_says_how_far_it_is(live, monkeypatch):
    """Half-trained models were taken for all that the encoding can do."""
    interrupt_at(monkeypatch, "LSTM alone: step 20")
    live.steps.value = 30
    live.button.click()
    assert text_of(live.words) == "Interrupted.<br>LSTM alone is drawn as after 10 steps."
    assert "interrupted before its end" in plot_of(live)
    assert "no positions" in plot_of(live)
    assert live.bar.value == pytest.approx((1 + 20 / 30) / 2)
    assert not live.button.disabled


def test_an_interrupt_between_two_encodings_leaves_the_first_complete(live, monkeypatch):
    interrupt_at(monkeypatch, "LSTM alone: step 10")
    live.button.click()
    assert text_of(live.words) == "Interrupted."
    assert "LSTM alone" not in plot_of(live)
    assert "no positions" in plot_of(live)


def test_an_interrupt_before_the_first_answers_leaves_the_record(live, monkeypatch):
    """An empty plot took the place of the recorded one."""
    recorded = live.plot.value
    interrupt_at(monkeypatch, "step 10")
    live.button.click()
    assert live.plot.value == recorded
    assert text_of(live.words) == "Interrupted."


def test_after_an_interrupt_the_next_run_starts_afresh(live):
    """Models of the last choice stayed in the plot of this one."""
    with pytest.MonkeyPatch.context() as patched:
        interrupt_at(patched, "LSTM alone: step 20")
        live.button.click()
    choose(live, "none")
    live.button.click()
    assert text_of(live.words) == ""
    assert set(live.rows) == {"none"}
    assert "LSTM alone" not in plot_of(live)


def test_what_cannot_be_trained_is_said_and_the_others_are(live, monkeypatch):
    """One operation that a device lacks, and the others' curves were lost in a traceback."""
    real = training.train

    def train(architecture, *given, **rest):
        if architecture == ENCODINGS["none"]:
            raise NotImplementedError("no <such> operation")
        return real(architecture, *given, **rest)

    monkeypatch.setattr(training, "train", train)
    live.button.click()
    assert text_of(live.words) == "no positions cannot be trained: no <such> operation"
    assert "&lt;such&gt;" in live.words.value
    assert "LSTM alone" in plot_of(live)
    assert not live.button.disabled


def test_a_length_that_a_table_lacks_is_said(live, monkeypatch):
    """A real refusal, by the model itself."""
    long = training.Recipe(steps=STEPS, lengths=(LONGEST + 1, LONGEST + 1))
    monkeypatch.setattr(conditions, "recipe", lambda *_: long)
    choose(live, "learned 1")
    live.button.click()
    assert text_of(live.words).startswith("table, from 1 cannot be trained: ")
    assert str(LONGEST) in live.words.value


def test_what_diverged_is_said(live, monkeypatch):
    """A line at chance, and nobody said that its model had blown up."""
    monkeypatch.setattr(labs.TrainIt, "_rate", lambda self, task, cell: 1e6)
    live.button.click()
    assert "no positions: 2 of 2 seeds diverged." in text_of(live.words)
    assert "no positions" in plot_of(live)


def test_an_error_frees_the_button(live, monkeypatch):
    """After one failure the lab could not be used again."""
    monkeypatch.setattr(training, "train", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        live.run()
    assert not live.button.disabled


def test_threads_are_as_before(pressed):
    """After the lab, the notebook computed on one thread."""
    assert pressed.threads == 2
