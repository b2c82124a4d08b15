"""Labs: both faces of each, and every control, moved to its ends."""

import html
from dataclasses import replace
from itertools import pairwise

import ipywidgets as widgets
import pytest
from bs4 import BeautifulSoup
from ipywidgets import Widget

from attention_limits import style
from attention_limits.chapters.quadratic_cost import lab as labs
from attention_limits.chapters.quadratic_cost.figures import scaling as figures
from attention_limits.experiments import scaling
from attention_limits.experiments.scaling import MECHANISMS
from attention_limits.lab import VIEW, Lab
from attention_limits.live import Gate, behind_gate
from attention_limits.notebook import STILL
from attention_limits.runs import records

pytestmark = pytest.mark.slow  # each trains, or starts processes

CONTROLS = (
    "input, select, button, textarea, output, a, script, [onclick], [tabindex]:not([role=img])"
)


@pytest.fixture(scope="module")
def recorded():
    return figures.times()


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch, recorded):
    """The recorded figure, with which each lab begins; drawing it takes longer than all else."""
    draw = figures.times
    monkeypatch.setattr(figures, "times", lambda run=None: recorded if run is None else draw(run))


@pytest.fixture
def lab():
    return labs.time_it()


@pytest.fixture
def live(monkeypatch):
    """The controls of a reader who has chosen two short lengths, so that a run takes no time."""
    monkeypatch.setattr(labs, "LENGTHS", (8, 16, 32))
    monkeypatch.setattr(labs, "START", 16)
    controls = labs.TimeIt()
    for name, check in controls.mechanisms.items():
        check.value = name in ("fused", "linear")
    return controls


def text_of(widget):
    return html.unescape(widget.value)


# --- the faces ----------------------------------------------------------------------------------


def test_a_kernel_is_given_controls_and_every_other_reader_the_record(lab):
    """A notebook that is only looked at, on GitHub say, showed nothing."""
    still, live = lab._faces()
    assert still.keys() == {"text/html", "text/plain"}
    assert live.keys() == {VIEW, "text/plain"}
    assert records.load(scaling).stamp in html.unescape(still["text/html"])
    assert "run this cell" in still["text/plain"]
    assert lab._repr_mimebundle_().keys() == {VIEW, *still}


def test_controls_stand_behind_a_gate_that_only_a_kernel_opens(lab, monkeypatch):
    """A saved notebook as a page had a button that no kernel heard."""
    poster = "a picture"
    gate, controls = behind_gate(lab.widget, poster).children
    assert controls is lab.widget
    answers = []
    monkeypatch.setattr(Gate, "send", lambda self, message: answers.append(message))
    gate._handle_custom_msg({"question": "here?"}, [])
    assert answers == [{"question": "here?"}]


def test_a_page_is_given_no_control_and_no_widget_is_made(lab, monkeypatch):
    """A button without a kernel, or the state of one under a random name, was in the book."""
    monkeypatch.setenv(STILL, "1")
    monkeypatch.setattr(Widget, "__init__", lambda *_, **__: pytest.fail("a widget was made"))
    bundle = lab._repr_mimebundle_()
    assert bundle.keys() == {"text/html", "text/plain"}


@pytest.mark.parametrize("still", [False, True])
def test_the_still_face_has_a_figure_a_date_and_nothing_to_press(lab, monkeypatch, still):
    """A dead control in the HTML."""
    if still:
        monkeypatch.setenv(STILL, "1")
    face = BeautifulSoup(lab._repr_mimebundle_()["text/html"], "html.parser")
    assert face.select(CONTROLS) == []
    assert face.select_one('figure.plot [role="img"]')["aria-label"]
    assert "recorded on" in face.figcaption.get_text()
    assert ("download this page as a notebook" if still else "run this cell") in face.get_text()


def test_displayed_twice_it_is_one_lab(lab):
    """Each display made new controls, and the old ones went deaf."""
    lab._faces()
    assert behind_gate(lab.widget, "").children[1] is lab.widget


def test_a_recorded_figure_s_words_cannot_break_out():
    """A `<` in a processor's name became a tag of the page."""
    figure = style.Figure(figures.times().figure, "n < 2", "a < b <script>")
    face = Lab(controls=widgets.Button, recorded=lambda: figure)._repr_mimebundle_()["text/html"]
    assert "<script>" not in face


# --- the controls -------------------------------------------------------------------------------


def test_every_control_has_a_name(lab):
    """A screen reader said "checkbox", five times."""
    controls = labs.TimeIt()
    named = [*controls.mechanisms.values(), controls.lengths, controls.device, controls.button]
    assert all(control.description for control in named)
    assert len({control.description for control in named}) == len(named)


def test_what_is_offered_is_what_there_is():
    """A mechanism was missing from the lab, or a device was offered that the machine lacks."""
    controls = labs.TimeIt()
    assert tuple(controls.mechanisms) == MECHANISMS
    offered = [value for _, value in controls.lengths.options]
    assert (offered[0], offered[-1]) == (256, 65536)
    assert all(later == 2 * earlier for earlier, later in pairwise(offered))
    assert "cpu" in controls.device.options


@pytest.mark.parametrize("chosen", [*((name,) for name in MECHANISMS), MECHANISMS])
def test_each_mechanism_can_be_chosen(chosen):
    """A checkbox was not connected to anything."""
    controls = labs.TimeIt()
    for name, check in controls.mechanisms.items():
        check.value = name in chosen
    assert controls.config().mechanisms == chosen


@pytest.mark.parametrize(
    ("index", "lengths"),
    [((0, 0), (256,)), ((8, 8), (65536,)), ((0, 8), labs.LENGTHS), ((2, 3), (1024, 2048))],
)
def test_the_range_goes_from_end_to_end(index, lengths):
    """One end of the slider was off by one."""
    controls = labs.TimeIt()
    controls.lengths.index = index
    assert controls.config().lengths == lengths


def test_each_device_can_be_chosen():
    """The run went to the CPU, whatever the menu said."""
    controls = labs.TimeIt()
    for device in controls.device.options:
        controls.device.value = device
        assert controls.config().device == device


# --- the run ------------------------------------------------------------------------------------


def test_run_measures_what_was_chosen_and_draws_it(live):
    """The button did nothing, or the recorded figure stayed."""
    recorded = live.plot.value
    live.button.click()
    assert live.plot.value != recorded
    for name, words in figures.NAMES.items():
        assert (words in live.plot.value) == (name in ("fused", "linear"))
    assert "exponent" in live.plot.value
    assert live.bar.value == 1
    assert not live.button.disabled
    assert live.words.value == ""


def test_the_plot_grows_while_it_runs(live):
    """Nothing moved until the end, and a reader took it for dead."""
    live.lengths.index = (0, 2)
    seen = []
    live.plot.observe(lambda change: seen.append(live.bar.value), "value")
    told = []
    live.words.observe(lambda change: told.append((live.button.disabled, change.new)), "value")
    live.button.click()
    assert seen == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1]
    assert [words for _, words in told] == [*(f"n = {n}<br>{labs.STOP}" for n in (8, 16, 32)), ""]
    assert all(disabled for disabled, _ in told)


def test_a_run_of_one_length_has_no_exponent(live):
    """A line through one point."""
    live.lengths.index = (0, 0)
    live.button.click()
    assert "linear attention" in live.plot.value
    assert "exponent 1" not in live.plot.value


def test_nothing_chosen_is_said_and_not_run(live, monkeypatch):
    """An empty choice ended in a traceback, out of sight."""
    monkeypatch.setattr(scaling, "measure", pytest.fail)
    for check in live.mechanisms.values():
        check.value = False
    live.button.click()
    assert text_of(live.words) == "Choose one mechanism or more."
    assert not live.button.disabled


def test_an_interrupt_keeps_what_is_there(live, monkeypatch):
    """Whoever lost patience lost the measurements too, or the button."""
    real = scaling.measure

    def impatient(config, progress):
        for row in real(replace(config, lengths=(8, 16, 32)), progress):
            if row["n"] == 32:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(scaling, "measure", impatient)
    live.button.click()
    assert text_of(live.words) == "Interrupted."
    assert "interrupted before its end" in live.plot.value
    assert "exponent" in live.plot.value
    assert live.bar.value < 1
    assert not live.button.disabled


def test_an_interrupt_before_the_first_measurement_leaves_the_record(live, monkeypatch):
    """An empty plot took the place of the recorded one."""

    def at_once(config, progress):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(scaling, "measure", at_once)
    recorded = live.plot.value
    live.button.click()
    assert live.plot.value == recorded
    assert text_of(live.words) == "Interrupted."


def test_what_stopped_and_why_stays_in_view(live, monkeypatch):
    """A line ended early, and nobody said that it was out of memory or out of time."""

    def full(*_, **__):
        raise RuntimeError("out of memory <here>")

    monkeypatch.setitem(scaling.ATTEND, "fused", full)
    live.button.click()
    assert text_of(live.words) == "fused stops before n = 8, which does not fit into memory"
    assert "linear attention" in live.plot.value


def test_an_error_frees_the_button(live, monkeypatch):
    """After one failure the lab could not be used again."""

    def broken(*_, **__):
        raise RuntimeError("expected a matrix")

    monkeypatch.setitem(scaling.ATTEND, "fused", broken)
    with pytest.raises(RuntimeError, match="expected a matrix"):
        live.run()
    assert not live.button.disabled
