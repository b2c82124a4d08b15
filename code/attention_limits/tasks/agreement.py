r"""Agreement: the number of a verb is that of its subject, whatever stands between them.

``agreement``: a noun phrase with a relative clause, of a German of masculine nouns, up to the
verb, whose number is asked for:

    der alte Mann, der den Hund hinter den Freunden sah
    der alte Mann, den die Hunde hinter dem Freund sahen

The subject is the relative pronoun, which has the number of the noun before the comma, or the
noun after it; case tells which.  In every sentence one of them is a masculine singular, *der* or
*den*, and settles the case of both:

=====  ========  =====  ==========
noun   relative  after  verb
=====  ========  =====  ==========
der    der       den    singular
der    der       die    singular
der    den       der    singular
die    die       der    singular
der    den       die    plural
die    die       den    plural
=====  ========  =====  ==========

Feminine and neuter forms are the same in both cases, and leave open who saw whom: "die Frau, die
die Kinder", sah or sahen?  Here the verb is singular just if one of the two words after the comma
is *der*, the only nominative of a masculine singular.  Both numbers are equally frequent, and so
are the rows of each.  Neither noun decides alone: the number of either is the verb's in 5 of 8
sentences.

Attractors follow: nouns in the dative, after prepositions, whose numbers say nothing.  They
separate the verb from its subject, as in English corpora (:cite:t:`linzen2016assessing`).  What
room is left holds adverbs.  It probes memory of one bit over a growing distance.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from attention_limits.tasks.task import (
    IGNORE,
    Batch,
    Task,
    asked_at_the_end,
    check_distractors,
    subsets,
)

SINGULAR, PLURAL = 0, 1

# (noun, relative, after, verb), the singulars first
CLAUSES = (
    ("der", "der", "den", SINGULAR),
    ("der", "der", "die", SINGULAR),
    ("der", "den", "der", SINGULAR),
    ("die", "die", "der", SINGULAR),
    ("der", "den", "die", PLURAL),
    ("die", "die", "den", PLURAL),
)
DETERMINERS = ("der", "den", "dem", "die")
# One form for the singular, one for the plural, one for the plural's dative.
NOUNS = (
    ("Mann", "Männer", "Männern"),
    ("Hund", "Hunde", "Hunden"),
    ("Freund", "Freunde", "Freunden"),
    ("Sohn", "Söhne", "Söhnen"),
    ("Arzt", "Ärzte", "Ärzten"),
    ("Koch", "Köche", "Köchen"),
    ("Wolf", "Wölfe", "Wölfen"),
    ("Gast", "Gäste", "Gästen"),
)
ADJECTIVES = (("alte", "alten"), ("junge", "jungen"), ("große", "großen"), ("kluge", "klugen"))
PREPOSITIONS = ("hinter", "neben", "vor", "bei")
ADVERBS = ("gestern", "oft", "heimlich", "wieder")
VERB = ("sah", "sahen")
SLOT = "…"  # where the verb is asked for
COMMA = ","
WORDS = (
    *(SLOT, COMMA, *DETERMINERS, *PREPOSITIONS, *ADVERBS),
    *(form for forms in (*ADJECTIVES, *NOUNS) for form in forms),
)
NUMBER = {word: i for i, word in enumerate(WORDS)}


@dataclass(frozen=True)
class Agreement(Task):
    """Is the verb to be singular or plural?

    Attributes:
        attractors: how many nouns stand between the clause's two and the verb; None for as many
            as there is room.
    """

    attractors: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_distractors(self.attractors, name="attractors")

    @property
    def vocabulary(self) -> int:
        """The words, with a comma and a slot for the verb."""
        return len(WORDS)

    classes = 2

    @property
    def shortest(self) -> int:
        """The clause, the attractors and the slot."""
        return 8 + 3 * (self.attractors or 0)

    def words(self, batch: Batch) -> list[str]:
        """The sentences of a batch, with the verbs that they ask for."""
        return [
            " ".join([WORDS[token] for token in row] + [VERB[number]]).replace(" ,", ",")
            for row, number in zip(batch.inputs[:, :-1], batch.targets[:, -1], strict=True)
        ]

    def _draw(self, rng: np.random.Generator, count: int, n: int) -> tuple[np.ndarray, ...]:
        answers = rng.integers(2, size=count)
        singulars = sum(clause[-1] == SINGULAR for clause in CLAUSES)
        which = rng.integers(
            np.where(answers == SINGULAR, 0, singulars),
            np.where(answers == SINGULAR, singulars, len(CLAUSES)),
        )
        first, relative, second, _ = _CLAUSES[which].T
        plurals = [(article == NUMBER["die"]).astype(int) for article in (first, second)]
        nouns = [_NOUNS[rng.integers(len(NOUNS), size=count), plural] for plural in plurals]
        adjective = _ADJECTIVES[rng.integers(len(ADJECTIVES), size=count), plurals[0]]
        comma = np.full(count, NUMBER[COMMA])
        clause = [first, adjective, nouns[0], comma, relative, second, nouns[1]]
        body = np.concatenate([np.stack(clause, axis=1), self._between(rng, count, n - 8)], axis=1)
        return asked_at_the_end(body, NUMBER[SLOT], answers)

    def _between(self, rng: np.random.Generator, count: int, width: int) -> np.ndarray:
        """Attractors of three words each, and adverbs before, between and after them."""
        attractors = width // 3 if self.attractors is None else self.attractors
        shape = count, attractors
        words = _ADVERBS[rng.integers(len(ADVERBS), size=(count, width))]
        # Each attractor takes one place among the adverbs, and two more once it is written out.
        places = subsets(rng, count, attractors, width - 2 * attractors).nonzero()[1]
        start = places.reshape(shape) + 2 * np.arange(attractors)
        plural = rng.integers(2, size=shape)
        phrase = (
            _PREPOSITIONS[rng.integers(len(PREPOSITIONS), size=shape)],
            np.where(plural, NUMBER["den"], NUMBER["dem"]),
            _NOUNS[rng.integers(len(NOUNS), size=shape), 2 * plural],
        )
        for offset, word in enumerate(phrase):
            np.put_along_axis(words, start + offset, word, axis=1)
        return words

    def _read(self, tokens: Iterable[int]) -> Iterator[int]:
        # The nominative of a masculine singular is "der", the pronoun's as the article's.
        clause: list[str] = []
        for token in tokens:
            word = WORDS[token]
            if word == SLOT:
                yield SINGULAR if "der" in clause[:2] else PLURAL
                continue
            yield IGNORE
            clause.append(word)
            if word == COMMA:
                clause.clear()


def _numbers(words: Iterable) -> np.ndarray:
    """Rows of words as tokens; numbers stay what they are."""
    return np.array([[NUMBER.get(word, word) for word in row] for row in words])


_CLAUSES, _NOUNS, _ADJECTIVES = map(_numbers, (CLAUSES, NOUNS, ADJECTIVES))
_PREPOSITIONS, _ADVERBS = (_numbers([words])[0] for words in (PREPOSITIONS, ADVERBS))
