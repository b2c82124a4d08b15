"""Claims by their ids, or by words of what they say."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from attention_limits.claims import Claim

POWERS = {"2": "quadratic", "3": "cubic"}


class NothingFoundError(ValueError):
    """No claim is meant by these words."""


def find(words: Sequence[str], ledger: Mapping[str, Claim]) -> list[Claim]:
    """The claims that some words mean, in the order of the ledger.

    Those that are ids mean their claims. All others together mean each claim in whose id or
    statement every one of them occurs, whole or as the beginning of a longer word. Capitals and
    punctuation make no difference.

    Raises:
        NothingFoundError: if they mean none, with words that are like them, or are no words.
    """
    ids = {word for word in words if word in ledger}
    wanted = _words(" ".join(word for word in words if word not in ledger))
    if not ids and not wanted:  # as of a variable of the shell that is not set
        said = " ".join(map(repr, words))
        raise NothingFoundError(f"words must have letters or digits, got {said}")
    if wanted:
        held = {claim.id: _words(f"{claim.id} {claim.statement}") for claim in ledger.values()}
        found = {name for name, own in held.items() if all(_occurs(word, own) for word in wanted)}
        if not found:
            raise NothingFoundError(_nothing(wanted, held))
        ids |= found
    return [claim for claim in ledger.values() if claim.id in ids]


def _words(text: str) -> list[str]:
    """The words of a text, in lower case: “The softmax’s $n^2$” is the, softmaxs, n, 2, quadratic.

    A power of n is also found by its name, as who doubts it would say it.
    """
    text = re.sub(r"\bn\^([23])", lambda power: f"{power[0]} {POWERS[power[1]]} ", text)
    text = re.sub("['‘’]", "", text.casefold())
    text = re.sub(r"\\[a-z]+", " ", text)  # commands of TeX
    return re.findall(r"[^\W_]+", text)


def _occurs(word: str, own: Iterable[str]) -> bool:
    """Whole, or from three letters on as a beginning: "square" is in "squares"."""
    return any(other == word or (len(word) > 2 and other.startswith(word)) for other in own)


def _nothing(wanted: Sequence[str], held: Mapping[str, Sequence[str]]) -> str:
    """Why nothing was found, and what is like it."""
    known = {word for own in held.values() for word in own}
    unknown = [word for word in wanted if not _occurs(word, known)]
    near = difflib.get_close_matches("-".join(wanted), held, cutoff=0.7)
    for word in unknown:
        near += difflib.get_close_matches(word, known, cutoff=0.75)
    said = " and ".join(map(repr, unknown or wanted))
    said = f"no claim has {said}" if unknown else f"no claim has {said} together"
    if near:
        return f"{said}; did you mean {' or '.join(dict.fromkeys(near))}?"
    return f"{said}; attention-limits verify --list shows what there is"
