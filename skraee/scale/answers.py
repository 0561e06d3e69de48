"""What a worker makes of a batch of texts: answers, and no end by a bad text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skraee.text.inputs import Texts

if TYPE_CHECKING:
    from skraee.sharing.saved import Classifier

IntArray = npt.NDArray[np.int64]

# What a model that works at all can answer.
_KNOWN_GOOD = "a"

# Of an error's words; a column has one for each bad text.
_MOST_WORDS = 200


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers to n texts, of which some may have none.

    Attributes
    ----------
    codes : ndarray of shape (n,), int64
        Places of the labels in `classes_`; -1 without an answer.
    proba : ndarray of shape (n, C), float32
    exits : ndarray of shape (n,), int64
    errors : list of n str or None
        Why a text has no answer.
    """

    codes: IntArray
    proba: npt.NDArray[np.float32]
    exits: IntArray
    errors: list[str | None]

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Which texts have no answer."""
        return self.codes < 0


def answers(clf: Classifier, columns: Sequence[Sequence[Any]]) -> Answers:
    """Answer texts; what is none, or cannot be answered, has a reason in its place.

    Parameters
    ----------
    clf : EarlyExitClassifier or RAEEClassifier
        Fitted.
    columns : sequence of sequences of n objects
        The texts of each field of the template.

    Raises
    ------
    Exception
        What predict raises where it answers no text at all.
    """
    samples = list(zip(*columns, strict=True))
    n, n_classes = len(samples), len(clf.classes_)
    found = Answers(
        codes=np.full(n, -1, np.int64),
        proba=np.zeros((n, n_classes), np.float32),
        exits=np.full(n, -1, np.int64),
        errors=[_no_text(sample) for sample in samples],
    )
    rows = [row for row, error in enumerate(found.errors) if error is None]
    _answer(clf, samples, rows, found)
    return found


def _no_text(sample: tuple[Any, ...]) -> str | None:
    for text in sample:
        if text is None:
            return "no text"
        if not isinstance(text, str):
            return f"not a string: {type(text).__name__}"
    return None


def _answer(
    clf: Classifier, samples: list[tuple[Any, ...]], rows: list[int], found: Answers
) -> None:
    """Answer some of the texts; by halves where they have none together."""
    if not rows:
        return
    try:
        proba, exits = _predicted(clf, [samples[row] for row in rows])
    except Exception as error:
        if len(rows) > 1:
            half = len(rows) // 2
            _answer(clf, samples, rows[:half], found)
            _answer(clf, samples, rows[half:], found)
            return
        _raise_if_all_fail(clf, len(samples[0]), error)
        words = " ".join(f"{type(error).__name__}: {error}".split())
        found.errors[rows[0]] = words[:_MOST_WORDS]
        return
    found.codes[rows] = proba.argmax(axis=1)
    found.proba[rows], found.exits[rows] = proba, exits


def _raise_if_all_fail(clf: Classifier, n_fields: int, error: Exception) -> None:
    """Raise what a text raised if it is no fault of the text: the engine may retry."""
    try:
        _predicted(clf, [(_KNOWN_GOOD,) * n_fields])
    except Exception:
        raise error from None


def _predicted(clf: Classifier, samples: list[tuple[Any, ...]]) -> Any:
    texts = Texts(list(zip(*samples, strict=True)))
    return clf.predict_proba(texts, return_exit_layers=True)
