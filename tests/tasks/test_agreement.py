"""German: what the contract of all tasks cannot know."""

import re
from itertools import product

import numpy as np
import pytest

from attention_limits.tasks import make
from attention_limits.tasks.agreement import CLAUSES, NOUNS, NUMBER, PLURAL, SINGULAR, VERB, WORDS

# Articles and relative pronouns that can be the subject, or the object, by gender and number.
FORMS = {
    ("masculine", SINGULAR): {"nominative": "der", "accusative": "den"},
    ("feminine", SINGULAR): {"nominative": "die", "accusative": "die"},
    ("masculine", PLURAL): {"nominative": "die", "accusative": "die"},
}


def readings(relative, second, first_number, second_number, gender="masculine"):
    """The number of the verb in each reading: one of the two its subject, the other its object."""
    words = ((relative, (gender, first_number)), (second, ("masculine", second_number)))
    return [
        kind[1]
        for (subject, kind), (other, other_kind) in (words, words[::-1])
        if FORMS[kind]["nominative"] == subject and FORMS[other_kind]["accusative"] == other
    ]


@pytest.mark.parametrize("clause", CLAUSES, ids=str)
def test_every_clause_has_one_subject(clause):
    """Both could be the subject: the verb's number is a matter of taste, and the target a guess."""
    first, relative, second, verb = clause
    numbers = [PLURAL if article == "die" else SINGULAR for article in (first, second)]
    assert readings(relative, second, *numbers) == [verb]


def test_all_clauses_that_have_one_subject_are_there():
    """A construction that the grammar allows was left out, and with it a counter-example."""
    allowed = set()
    for first, second in product((SINGULAR, PLURAL), repeat=2):
        for case, other in (("nominative", "accusative"), ("accusative", "nominative")):
            relative, article = FORMS["masculine", first][case], FORMS["masculine", second][other]
            found = readings(relative, article, first, second)
            if len(found) == 1:
                noun = FORMS["masculine", first]["nominative"]
                allowed.add((noun, relative, article, *found))
    assert allowed == set(CLAUSES)


def test_a_feminine_would_be_ambiguous():
    """Why all nouns are masculine: "die Frau, die die Hunde", sah or sahen?"""
    assert set(readings("die", "die", SINGULAR, PLURAL, gender="feminine")) == {SINGULAR, PLURAL}


def test_sentences_are_german():
    """Articles, adjectives and nouns agree in case and number, as this pattern spells out."""
    one, many, dative = ("|".join(forms) for forms in zip(*NOUNS, strict=True))
    adverbs = r"( (gestern|oft|heimlich|wieder))*"
    sentence = re.compile(
        rf"(der (alte|junge|große|kluge) ({one}), (der|den)"
        rf"|die (alten|jungen|großen|klugen) ({many}), die)"
        rf" (de[rn] ({one})|die ({many}))"
        rf"({adverbs} (hinter|neben|vor|bei) (dem ({one})|den ({dative})))*{adverbs} (sah|sahen)"
    )
    task = make("agreement", attractors=2)
    written = task.words(task.sample(0, 1000, 17))
    assert all(sentence.fullmatch(text) for text in written)
    assert len(set(written)) > 990


def test_sentences_end_in_the_verb_that_is_asked_for():
    task = make("agreement", attractors=0)
    batch = task.sample(0, 50, 8)
    for text, number in zip(task.words(batch), batch.targets[:, -1], strict=True):
        assert text.split()[-1] == VERB[number]


def test_words_are_different():
    """Two words share a token, or one has two."""
    assert len(set(WORDS)) == len(WORDS)


def test_neither_noun_of_the_clause_decides():
    """The number of each is the verb's in 5 of 8 sentences, as the page says, and not in more."""
    batch = make("agreement", attractors=1).sample(0, 6000, 14)
    for place in (0, 5):
        plural = batch.inputs[:, place] == NUMBER["die"]
        assert abs((plural == batch.targets[:, -1]).mean() - 5 / 8) < 0.03


@pytest.mark.parametrize("attractors", [1, 3, None])
def test_the_nearest_noun_says_nothing(attractors):
    """A model that looks at the last noun only looked as if it knew grammar."""
    task = make("agreement", attractors=attractors)
    inputs, targets, *_ = task.sample(0, 6000, 19)
    plural_of = {NUMBER[form]: form != forms[0] for forms in NOUNS for form in forms}
    nearest = np.array(
        [[plural_of[t] for t in row if t in plural_of][-1] for row in inputs.tolist()]
    )
    assert abs((nearest == targets[:, -1]).mean() - 0.5) < 0.03


def test_where_all_attractors_disagree_looking_back_fails():
    """The hard sentences exist in both numbers, and a majority of nouns gets them wrong."""
    task = make("agreement", attractors=3)
    inputs, targets, *_ = task.sample(0, 6000, 19)
    articles = inputs[:, 7:]
    plural, singular = ((articles == NUMBER[word]).sum(axis=1) for word in ("den", "dem"))
    assert (plural + singular == 3).all()
    opposed = np.where(targets[:, -1] == PLURAL, singular == 3, plural == 3)
    for number in (SINGULAR, PLURAL):
        share = opposed[targets[:, -1] == number].mean()
        assert abs(share - 1 / 8) < 0.03


@pytest.mark.parametrize("attractors", [0, 2, None])
def test_attractors_are_as_many_as_asked(attractors):
    """A longer sentence had more of them, or their places were always the same."""
    task = make("agreement", attractors=attractors)
    nouns = [NUMBER[form] for forms in NOUNS for form in forms]
    for n in (14, 21, 40):
        is_noun = np.isin(task.sample(0, 300, n).inputs, nouns)
        expected = (n - 8) // 3 if attractors is None else attractors
        assert (is_noun.sum(axis=1) == 2 + expected).all()
    if attractors == 2:
        assert is_noun[:, 9:-1].any(axis=0).all()
