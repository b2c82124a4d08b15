"""Under which conditions models train, and how they are asked; and all that differs between two.

A cause is named only where one thing differs. So what two conditions differ in is counted, on the
sequences themselves (``differences``): how many tokens there are, up to which position they stand,
how far apart neighbours stand, how far back the answer, and how many symbols distract.

Models train on 8 to 32 tokens, under

- "plain": at the positions 0, 1, 2, …; all tokens are symbols;
- "random positions": the positions of a sequence are drawn, in order, from as many as the longest
  has (:cite:t:`ruoss2023randomized`). So no position is new at any length: but neighbours stand 8
  apart, on average, where those of the longest sequence stand 1 apart;
- "random gaps": the range that they are drawn from is drawn as well, for each step, from as many as
  there are tokens up to as many as the longest has; so gaps of all sizes occur;
- "blanks": the number of symbols stays, and blanks, known from training, fill a longer sequence;
- "blanks, random positions": both.

They are asked, at no cost of training,

- "longer": sequences of other lengths, under the condition that they trained under;
- of "plain" models, on 32 tokens, "stretched": at positions drawn from as many as a longer sequence
  has; and "shifted": at the last 32 consecutive positions of the longest;
- of those at "random positions" or "gaps", on 32 tokens, "evenly": a fixed gap apart, from a
  random start on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from attention_limits.experiments import grid, search
from attention_limits.experiments.started import Started
from attention_limits.models import Architecture
from attention_limits.runs.table import Table
from attention_limits.tasks import IGNORE, Task
from attention_limits.tasks.lookup import MostRecent, TokenBack
from attention_limits.training import Recipe

TRAINED = (8, 32)  # tokens, from and to
LONGEST = 256
COUNT = 400  # sequences of which it is counted how they differ

ENCODINGS = {
    "none": Architecture(),
    "none + bos": Architecture(),  # and the sequence begins with a token of its own
    "sinusoidal": Architecture(position="sinusoidal"),
    # At first, entries of the table deviate by so much from 0; those of a token by 1.
    "learned .02": Architecture(
        position="learned", position_options={"n_max": LONGEST, "deviation": 0.02}
    ),
    "learned 1": Architecture(
        position="learned", position_options={"n_max": LONGEST, "deviation": 1.0}
    ),
    "rotary": Architecture(position="rotary"),
    "alibi": Architecture(position="alibi"),
    # From this distance on all are alike: within training, and beyond it.
    "relative_bias 24": Architecture(
        position="relative_bias", position_options={"max_distance": 24}
    ),
    "relative_bias 128": Architecture(
        position="relative_bias", position_options={"max_distance": 128}
    ),
    "shaw 16": Architecture(position="shaw", position_options={"max_distance": 16}),
    "shaw 48": Architecture(position="shaw", position_options={"max_distance": 48}),
    "lstm_generated": Architecture(position="lstm_generated"),
    "lstm alone": Architecture(kind="lstm"),
}
NOT_TOLD = ("none", "none + bos", "lstm_generated", "lstm alone")  # where a token stands
CONDITIONS = ("random positions", "plain", "random gaps", "blanks", "blanks, random positions")


@dataclass(frozen=True)
class Setting(grid.Setting):
    """A task, and the parameters that keep its number of symbols, if any do."""

    lengths: tuple[int, int] = TRAINED
    blanks: Mapping[str, int] = field(default_factory=dict)

    def under(self, condition: str, encoding: str = "none", marks: int | None = None) -> Task:
        """The task as a condition asks it, begun as a model wants it, or with other marks."""
        changes: dict[str, object] = {} if marks is None else {"marks": marks}
        task = self.make(**(self.blanks if "blanks" in condition else {}), **changes)
        return Started(task) if encoding.endswith("+ bos") else task


SETTINGS = {
    "most recent": Setting("most_recent", steps=400, blanks={"marks": 2, "distractors": 3}),
    "token 3 back": Setting("token_back", steps=350),
    "first token": Setting("first_token", steps=200, blanks={"distractors": 5}),
}


def mean_something(setting: str, encoding: str) -> list[str]:
    """The conditions that an encoding hears, and that its task has."""
    told = encoding not in NOT_TOLD
    content = bool(SETTINGS[setting].blanks)  # what is asked is found by what it is
    return [
        condition
        for condition in CONDITIONS
        if (told or "random" not in condition) and (content or "blanks" not in condition)
    ]


def recipe(setting: str, condition: str, steps: int | None = None) -> Recipe:
    """How a condition trains, for as many steps as the setting says if none are given."""
    given = SETTINGS[setting]
    return Recipe(
        steps=steps or given.steps,
        lengths=given.lengths,
        max_position=LONGEST if "random" in condition else None,
        vary_gaps="gaps" in condition,
    )


@dataclass(frozen=True)
class Question:
    """One way to ask.

    Attributes:
        asked: "longer", "stretched", "shifted" or "evenly".
        n: how many tokens.
        end: all positions are less than that.
        gap: how far apart neighbours stand, on average.
    """

    asked: str
    n: int
    end: int
    gap: float

    @property
    def max_position(self) -> int | None:
        """The range that positions are drawn from, if they are drawn."""
        return self.end if self.asked in ("longer", "stretched") and self.end > self.n else None

    @property
    def words(self) -> str:
        """What a table calls it: how many tokens, and where they stand if not at 0, 1, 2, …"""
        match self.asked:
            case "longer":
                return f"{self.n} tokens"
            case "stretched":
                return f"{self.n} of {self.end}"
            case "shifted":
                return f"{self.n} from {self.end - self.n}"
            case _:
                return f"{self.n}, gap {self.gap:g}"

    def positions(self, count: int) -> np.ndarray | None:
        """Where tokens stand, (count, n), if that is neither 0, 1, … nor drawn."""
        if self.asked not in ("shifted", "evenly"):
            return None
        rng = np.random.default_rng([count, self.n, self.end])
        latest = self.end - 1 - int(self.gap) * (self.n - 1)
        first = rng.integers(latest + 1, size=count) if self.asked == "evenly" else latest
        return np.add.outer(np.broadcast_to(first, count), int(self.gap) * np.arange(self.n))


def questions(
    condition: str, encoding: str, lengths: tuple[int, ...], gaps: tuple[int, ...]
) -> Iterator[Question]:
    """All that models of a condition are asked."""
    short = TRAINED[1]
    for n in lengths:
        end = LONGEST if "random" in condition else n
        yield Question("longer", n, end, end / n)
    if encoding in NOT_TOLD or "blanks" in condition:
        return
    if "random" in condition:
        for gap in gaps:
            yield Question("evenly", short, LONGEST, gap)
        return
    for end in lengths:
        if end > short:
            yield Question("stretched", short, end, end / short)
    yield Question("shifted", short, LONGEST, 1)


# --- what differs -------------------------------------------------------------------------------


def trained(setting: str, condition: str) -> list[dict[str, float]]:
    """All that may differ, of the longest sequences in training: of each range of positions."""
    ends = search.ranges(recipe(setting, condition))
    return [_counted(setting, condition, TRAINED[1], end, None) for end in ends]


def asked(
    setting: str, condition: str, question: Question, marks: int | None = None
) -> dict[str, float]:
    """The same of the sequences that are asked, with so many marks if not as in training."""
    positions = question.positions(COUNT)
    return _counted(setting, condition, question.n, question.max_position, positions, marks)


def _counted(
    setting: str,
    condition: str,
    n: int,
    end: int | None,
    positions: np.ndarray | None,
    marks: int | None = None,
) -> dict[str, float]:
    task = SETTINGS[setting].under(condition, marks=marks)
    batch = task.sample((0, n), COUNT, n, max_position=end)
    positions = batch.positions if positions is None else positions
    last = (batch.targets != IGNORE).any(0).nonzero()[0][-1]  # of the places that are asked
    symbols = _symbols(task, batch.inputs)
    answer = positions[np.arange(COUNT), ANSWERS[setting](batch.inputs)]
    counted = {
        "tokens": n,
        "largest position": int(positions.max()),
        "gap of tokens": float(np.diff(positions, axis=1).mean()),
        "gap of symbols": _gap(positions, symbols),
        "query's position": float(np.mean(positions[:, last])),
        "answer's distance": float(np.mean(positions[:, last] - answer)),
        "distractors": float(symbols.sum(1).mean()) - 1,
    }
    if setting == "most recent":
        marked = _marked(batch.inputs)
        counted["marks"] = float(marked.sum(1).mean())
        counted["gap of marks"] = _gap(positions, marked)
    return counted


def _gap(positions: np.ndarray, which: np.ndarray) -> float:
    """How far those of a sequence stand apart that are chosen, on average."""
    spread = [p[s][-1] - p[s][0] for p, s in zip(positions, which, strict=True)]
    return float(np.mean(spread / (which.sum(1) - 1)))


def _symbols(task: Task, inputs: np.ndarray) -> np.ndarray:
    """Which tokens are symbols: they come first in a vocabulary, then blanks and queries."""
    return inputs < task.classes * (task.vocabulary // task.classes)


def _marked(inputs: np.ndarray) -> np.ndarray:
    symbols = MostRecent().symbols
    return (symbols <= inputs) & (inputs < 2 * symbols)


def _last_marked(inputs: np.ndarray) -> np.ndarray:
    return inputs.shape[1] - 1 - _marked(inputs)[:, ::-1].argmax(1)


# Where the answer stands that the last question asks for.
ANSWERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "most recent": _last_marked,
    "token 3 back": lambda inputs: np.full(len(inputs), inputs.shape[1] - 1 - TokenBack().k),
    "first token": lambda inputs: np.zeros(len(inputs), dtype=int),
}


def differences(
    setting: str,
    under: Sequence[str] = CONDITIONS,
    encoding: str = "rotary",
    gaps: tuple[int, ...] = (8, 1),
    marked: Sequence[tuple[int, int]] = (),
) -> Table:
    """All that differs between how models of a task train and how they are asked.

    What is the same in a pair of rows cannot be what makes the difference between them. Of
    training, the longest sequences are counted. ``marked`` are lengths that are asked with another
    number of marks, at random positions.
    """
    blank = any("blanks" in condition for condition in under)
    known = trained(setting, "plain")[0]
    # Without blanks all tokens are symbols, and marks say how many of them look like the answer.
    told = {"gap of symbols"} | ({"distractors"} if "marks" in known else set())
    names = [name for name in known if blank or name not in told]
    rows = []
    for condition in under:
        if condition not in mean_something(setting, encoding):
            continue
        counts = {"trained": trained(setting, condition)}
        for question in questions(condition, encoding, (LONGEST,), gaps):
            counts[question.words] = [asked(setting, condition, question)]
        for n, marks in marked if "random" in condition else ():
            question = Question("longer", n, LONGEST, LONGEST / n)
            words = f"{question.words}, {marks} marks"
            counts[words] = [asked(setting, condition, question, marks)]
        for how, found in counts.items():
            each = [[f"{x:.3g}" for x in (one[name] for one in found)] for name in names]
            numbers = (" to ".join(dict.fromkeys((x[0], x[-1]))) for x in each)
            rows.append([f"{condition}: {how}", *numbers])
    return Table(["sequences", *names], rows)
