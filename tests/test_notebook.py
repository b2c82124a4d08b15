"""Numbers that prose quotes: what the cell prints is what the sentence says."""

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from attention_limits.notebook import HIDDEN, STILL, glue


@pytest.fixture
def displayed(monkeypatch):
    """What `glue` shows: the lines that one sees, and the records behind them."""

    InteractiveShell.instance()  # without one, `display` prints

    def run(*, built=True, **values):
        monkeypatch.setenv(STILL, "1") if built else monkeypatch.delenv(STILL, raising=False)
        with capture_output() as captured:
            glue(**values)
        assert captured.stdout == "", "a kernel may cut what is printed in two"
        shown, *records = captured.outputs
        return shown.data["text/plain"], records

    return run


def test_the_reader_sees_name_and_number(displayed):
    """A notebook outside the book has only the printed line to find the number in."""
    printed, _ = displayed(gap=3.25e-16, below=5)
    assert printed == "gap = 3.25e-16\nbelow = 5"


def test_outside_a_build_there_is_nothing_that_a_front_end_cannot_show(displayed):
    """VS Code said below each number that it had no renderer for it."""
    printed, records = displayed(gap=3.25e-16, built=False)
    assert printed == "gap = 3.25e-16"
    assert records == []


@pytest.mark.parametrize("value", [np.float64(0.25), torch.tensor(0.25), 0.25])
def test_a_scalar_is_quoted_without_its_type(displayed, value):
    """MyST-NB formats the record's text as a number; `np.float64(0.25)` is none."""
    _, [record] = displayed(share=value)
    assert record.data == {f"{HIDDEN}text/plain": "0.25"}
    assert record.metadata["scrapbook"] == {"name": "share", "mime_prefix": HIDDEN}


def test_the_record_carries_every_digit(displayed):
    """The prose chooses the format, so the record must not have rounded before."""
    _, [record] = displayed(third=1 / 3)
    assert float(record.data[f"{HIDDEN}text/plain"]) == 1 / 3
