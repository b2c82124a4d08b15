"""The still figure of the page on causes: what many more steps repair, and what marks take."""

from attention_limits import style
from attention_limits.chapters.positional_encodings.evidence.causes import at_random_positions
from attention_limits.chapters.positional_encodings.figures import rows
from attention_limits.chapters.positional_encodings.figures.rows import Panel
from attention_limits.chapters.positional_encodings.recorded import (
    NAMES,
    PATIENT,
    RECENCY,
    SHORT,
    evenly,
    longer,
)
from attention_limits.experiments import controls
from attention_limits.experiments.conditions import LONGEST, SETTINGS, TRAINED, Question
from attention_limits.experiments.controls import MARKS, RANDOM, RATES, TIMES
from attention_limits.runs import records


def controlled() -> style.Figure:
    """Recency of models trained at random positions: with more steps, denser, and marked."""
    chance = SETTINGS[RECENCY].make().chance
    names = [name for name in NAMES if name in RATES[RECENCY, RANDOM]]
    asked: list[tuple[Question, int | None]]
    asked = [(longer(LONGEST, RANDOM), None), (evenly(1), None)]
    asked += [(longer(n, RANDOM), marks) for n, marks in MARKS]
    panels = []
    for question, marks in asked:
        found = {}
        for name in names:
            patient = at_random_positions(name, question, patient=True, marks=marks)
            usual = [at_random_positions(name, question, patient=False)] if marks is None else []
            found[name] = [*usual, patient]
        title = f"n = {question.n}, " + ("1 apart" if marks is None else f"{marks} marks")
        panels.append(Panel(title, chance, found, PATIENT[question, marks]))
    run, steps = records.load(controls), TIMES[RECENCY, RANDOM] * SETTINGS[RECENCY].steps
    return style.Figure(
        rows.canvas(panels, ("search", f"{steps:,} steps"), columns=2),
        alt=f"Accuracies on recency in {len(panels)} panels, one a question, of {len(names)} "
        f"encodings, means with the steps of the search, where asked, and with {steps:,} steps. "
        f"{rows.said(panels)}",
        caption=f"Models trained on {TRAINED[0]} to {SHORT} tokens at positions drawn from "
        f"{LONGEST}, asked for the most recent mark: among {LONGEST} tokens, one apart; {SHORT} "
        f"tokens, one apart; {LONGEST} tokens with only {MARKS[0][1]} marks; and {SHORT} tokens "
        f"as in training, with {MARKS[1][1]} marks. Hollow: means after the steps of the search. "
        f"Filled: after {steps:,} steps, with the range of "
        f"{len(run.config['seeds'])} seeds. Cross: what we expected before these runs. Dotted: a "
        f"guess. {run.stamp[0].upper()}{run.stamp[1:]}.",
    )
