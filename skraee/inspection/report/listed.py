"""Which texts a report names: a bounded number, the most telling ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

import numpy as np

from skraee.inspection.answers import Answers
from skraee.inspection.story import Told
from skraee.retrieval.keys import joined
from skraee.text.inputs import Texts


@dataclass(frozen=True, eq=False)
class ListedText:
    """A text, and what came of it.

    Attributes
    ----------
    position : int
        Among the texts that were given, from 0 on.
    text : str
        Its words, the fields of a template joined, cut where it is very long.
    n_letters : int
        How long it is.
    label, answer : object
        The right class, and the one that was answered.
    confidence : float
        Probability of the answer.
    exit_layer : int
        Where it stopped.
    is_right : bool
        Whether the answer is right.
    told : Told or None
        Why: what `explain` says, where it was asked.
    """

    position: int
    text: str
    n_letters: int
    label: Any
    answer: Any
    confidence: float
    exit_layer: int
    is_right: bool
    told: Told | None = None


@dataclass(frozen=True, eq=False)
class TextList:
    """Texts of one sort, the most telling first.

    Attributes
    ----------
    name : str
        What they are: wrong, unsure or deep.
    texts : tuple of ListedText
    n_texts : int
        How many there are of the sort, those that are not listed included.
    """

    name: str
    texts: tuple[ListedText, ...]
    n_texts: int


def orders(found: Answers) -> dict[str, list[int]]:
    """Return the positions of wrong, unsure and deep texts, the most telling first.

    Wrong answers begin with the most confident one: there a label is wrong, or the
    model is. All texts can be unsure; deep are those that ran more layers than the
    cheapest.

    Parameters
    ----------
    found : Answers

    Returns
    -------
    dict of str to list of int
    """
    sure = found.proba.max(axis=1)
    wrong = np.flatnonzero(~found.right)
    deep = np.flatnonzero(found.exits > found.exits.min())
    return {
        "wrong": wrong[np.argsort(-sure[wrong], kind="stable")].tolist(),
        "unsure": np.argsort(sure, kind="stable").tolist(),
        "deep": deep[np.lexsort((sure[deep], -found.exits[deep]))].tolist(),
    }


def most_telling(lists: Sequence[Sequence[int]], most: int) -> list[int]:
    """Return positions by turns from several lists, each once.

    Parameters
    ----------
    lists : sequence of sequence of int
    most : int
        How many.

    Examples
    --------
    >>> from skraee.inspection.report.listed import most_telling
    >>> most_telling([[4, 1], [4, 5, 6], []], 3)
    [4, 1, 5]
    """
    turns = (place for turn in zip_longest(*lists) for place in turn)
    once = dict.fromkeys(place for place in turns if place is not None)
    return list(islice(once, most))


def samples_at(samples: Texts, positions: Sequence[int]) -> dict[int, Texts]:
    """Return some of the texts as an estimator takes one of them, in one go.

    Parameters
    ----------
    samples : Texts
        Of which there may be very many.
    positions : sequence of int
    """
    wanted = set(positions)
    return {
        place: Texts([[part] for part in sample])
        for place, sample in enumerate(samples)
        if place in wanted
    }


def text_lists(
    found: Answers,
    positions: dict[str, list[int]],
    told: dict[int, Told],
    *,
    listed: int,
    most_letters: int,
) -> tuple[TextList, ...]:
    """Put together what is known of the texts that are listed.

    Parameters
    ----------
    found : Answers
    positions : dict of str to list of int
        As `orders` returns them.
    told : dict of int to Told
        Position -> why.
    listed : int
        Texts of each list, at the most.
    most_letters : int
        Of a text that are kept.
    """
    shown = {name: places[:listed] for name, places in positions.items()}
    known = _known(found, [p for places in shown.values() for p in places])
    answers = found.answers
    texts = {
        place: _listed(
            found, place, int(answers[place]), words, told.get(place), most_letters
        )
        for place, words in known
    }
    return tuple(
        TextList(name, tuple(texts[p] for p in places), len(positions[name]))
        for name, places in shown.items()
    )


def _known(found: Answers, positions: list[int]) -> Iterator[tuple[int, str]]:
    for place, sample in samples_at(found.samples, positions).items():
        yield place, joined(sample)[0]


def _listed(
    found: Answers,
    place: int,
    answer: int,
    words: str,
    told: Told | None,
    most_letters: int,
) -> ListedText:
    names, code = found.names, int(found.codes[place])
    return ListedText(
        position=place,
        text=words[:most_letters],
        n_letters=len(words),
        label=names[code],
        answer=names[answer],
        confidence=float(found.proba[place, answer]),
        exit_layer=int(found.exits[place]),
        is_right=answer == code,
        told=told,
    )
