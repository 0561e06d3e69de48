"""Labels, texts, templates and label words that are drawn from all that there is."""

from __future__ import annotations

import enum
import random
import traceback
import warnings
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sklearn

import skraee
from benchmarks.trust.trial import Count, Trial
from skraee import EarlyExitClassifier, RAEEClassifier, toy

RIGHT = "right results"
REFUSED = "refusals with an error of ours"
WRONG = "wrong results"
NEEDLESS = "refusals of what is right"
TAKEN = "fits on labels that are none"
FOREIGN = "other errors"

_KINDS: tuple[Any, ...] = ("masked", "causal", "seq2seq")
_N_TEXTS = 10
_PACKAGES = tuple(str(Path(p.__file__ or "").parent) for p in (skraee, sklearn))
_MEGABYTE = 1 << 20
_GOOD_WORDS = ["terrible", "great"]


class Drawn(NamedTuple):
    """What is given to one fit."""

    texts: list[Any]
    labels: Any
    expected: list[Any] | None  # label by label; None where they are none
    template: str
    label_words: Any


def fit_odd_inputs(tries: int, seed: int) -> dict[str, Count]:
    """Fit both classifiers by turns on what is drawn, and look at their answers."""
    counts: dict[str, Count] = dict.fromkeys(
        (RIGHT, REFUSED, NEEDLESS, WRONG, TAKEN, FOREIGN), 0
    )
    for i in range(tries):
        rng = random.Random(f"{seed} {i}")
        kind = _KINDS[i % len(_KINDS)]
        cls = (EarlyExitClassifier, RAEEClassifier)[i // len(_KINDS) % 2]
        counts[outcome(cls, kind, drawn(rng, kind))] += 1
    return counts


def outcome(cls: Any, kind: Any, given: Drawn) -> str:
    """Fit and answer; say what came of it."""
    params: dict[str, Any] = {"memory": None, "max_length": 64}
    if cls is RAEEClassifier:
        params |= {"label_words": given.label_words, "k": 3}
    else:
        params |= {"threshold": 0.7}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clf = cls(toy.backbone(kind), given.template, **params)
            clf.fit(given.texts, given.labels)
            if given.expected is None:
                return TAKEN
            return RIGHT if is_right(clf, given) else WRONG
    except Exception as error:
        if not _is_ours(error):
            return FOREIGN
        return NEEDLESS if is_plain(cls, kind, given) else REFUSED


def is_plain(cls: Any, kind: Any, given: Drawn) -> bool:
    """Whether nothing of what is given may be refused."""
    words = given.label_words
    if isinstance(words, dict):
        words = list(words.values())
    return (
        given.expected is not None
        and given.template == toy.TEMPLATES[kind]
        and all(isinstance(text, str) for text in given.texts)
        and (cls is EarlyExitClassifier or words == _GOOD_WORDS)
        and not (isinstance(given.label_words, dict) and "x" in given.label_words)
    )


def is_right(clf: Any, given: Drawn) -> bool:
    """Whether a fitted classifier knows the labels, and answers each text as alone."""
    assert given.expected is not None
    classes = clf.classes_.tolist()
    if len(classes) != len(set(given.expected)) or {*classes} != {*given.expected}:
        return False
    proba, found = clf.predict_proba(given.texts), clf.predict(given.texts)
    one = len(given.texts) // 2
    alone = clf.predict_proba(given.texts[one : one + 1])
    return bool(
        proba.shape == (len(given.texts), len(classes))
        and np.allclose(proba.sum(axis=1), 1, atol=1e-5)
        and np.allclose(alone[0], proba[one], atol=1e-4)
        and [classes[i] for i in proba.argmax(axis=1)] == found.tolist()
        and clf.score(given.texts, given.labels)
        == np.mean(
            [f == e for f, e in zip(found.tolist(), given.expected, strict=True)]
        )
    )


def _is_ours(error: Exception) -> bool:
    """Whether an error is a refusal of ours, or of scikit-learn's for labels."""
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    return isinstance(error, ValueError | TypeError) and raised_in.startswith(_PACKAGES)


def drawn(rng: random.Random, kind: Any) -> Drawn:
    """Draw what one fit gets; most of it is such that a fit can be right."""
    numbers = [i % 2 for i in range(_N_TEXTS)]
    rng.shuffle(numbers)
    numbers = _two_of_both(numbers)
    is_label = rng.random() < 0.8
    make = rng.choice(LABELS if is_label else NO_LABELS)
    labels = make(rng, numbers)
    expected = _as_list(labels) if is_label else None
    return Drawn(
        texts=_texts(rng),
        labels=labels,
        expected=expected,
        template=_template(rng, kind),
        label_words=_label_words(rng, expected),
    )


def _two_of_both(numbers: list[int]) -> list[int]:
    return [*numbers[:-4], 0, 1, 0, 1]


def _as_list(labels: Any) -> list[Any]:
    listed = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    return [one.value if isinstance(one, enum.Enum) else one for one in listed]


# Labels

Pick = Callable[[random.Random, list[int]], Any]


def _of(draw: Callable[[random.Random], Sequence[Any]], *forms: Any) -> Pick:
    """Pick each label from two that are drawn, in one of some containers."""

    def pick(rng: random.Random, numbers: list[int]) -> Any:
        two = draw(rng)
        return rng.choice(forms or (list,))([two[i] for i in numbers])

    return pick


class _Shade(enum.StrEnum):
    DARK = "dark"
    LIGHT = "light"


class _Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def _objects(labels: list[Any]) -> Any:
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def _masked(labels: list[Any]) -> Any:
    return np.ma.array(labels, mask=[i == 3 for i in range(len(labels))])


def _words(rng: random.Random) -> list[str]:
    one = "a" + anything(rng, 5)
    return [one, one + rng.choice(["\0", " ", "b", "\u0301", "\ud800", "A"])]


LABELS: tuple[Pick, ...] = (
    _of(_words, list, tuple, _objects, pd.Series),
    _of(lambda rng: ["a", "a\0"], list, _objects, pd.Series),
    _of(lambda rng: ["1", "01"], list, np.array, pd.Categorical),
    _of(lambda rng: [rng.randrange(-9, 0), 2], list, np.array, pd.Series),
    _of(lambda rng: [2**70, 2**70 + 1]),
    _of(lambda rng: [2**53, 2**53 + 1], list, np.array),
    _of(lambda rng: [False, True], list, np.array),
    _of(lambda rng: [0.0, 2.0], list, np.array),
    _of(lambda rng: [Decimal("0.1"), Decimal("0.10000000000000000001")]),
    _of(lambda rng: [Fraction(1, 3), Fraction(1, 2)]),
    _of(lambda rng: [date(2020, 1, 1), date(2020, 1, 2)]),
    _of(lambda rng: [timedelta(1), timedelta(2)]),
    _of(lambda rng: list(_Shade)),
    _of(lambda rng: ["x", "y"], np.ma.array),
)
NO_LABELS: tuple[Pick, ...] = (
    _of(lambda rng: [frozenset("ab"), frozenset("bc")], list, _objects),
    _of(lambda rng: ["x", "y"], _masked),
    _of(lambda rng: [3, 4], _masked),
    _of(lambda rng: ["x", rng.choice([None, float("nan"), pd.NA, pd.NaT])]),
    _of(lambda rng: ["x", 1]),
    _of(lambda rng: [b"x", b"y"], list, np.array),
    _of(lambda rng: [1j, 2j], list, np.array),
    _of(lambda rng: [0.5, 1.25], list, np.array),
    _of(lambda rng: [float("inf"), 1.0], list, np.array),
    _of(lambda rng: ["x", rng.choice(["", " ", "\t\n"])]),
    _of(lambda rng: [("x", 1), ("y", 2)], list, _objects),
    _of(lambda rng: [["x"], ["y", "z"]]),
    _of(lambda rng: list(_Color)),
    _of(lambda rng: [object(), object()]),
    _of(lambda rng: ["x", "y"], lambda labels: labels[1:], "".join, iter, set),
    _of(lambda rng: ["x", "y"], lambda labels: [labels, labels], dict.fromkeys),
)


# Texts, templates and words


def anything(rng: random.Random, most: int) -> str:
    """Draw a string: of all of Unicode, lone surrogates among it, or of odd parts."""
    n = rng.randrange(most + 1)
    if rng.random() < 0.5:
        return "".join(chr(rng.randrange(0x110000)) for _ in range(n))
    return "".join(rng.choice(_PARTS) for _ in range(n))


_PARTS = (
    *("good", "bad", " ", "\0", "\n", "\r\n", "\t", "\u2028", "\ufeff", "\u200d"),
    *("\ud800", "\udfff", "\U0001f600", "e\u0301", "\u202e", "\uffff", "##", "'", '"'),
    *(
        "[MASK]",
        "[CLS]",
        "</s>",
        "<s>",
        "[PAD]",
        "{text}",
        "{",
        "}",
        "%s",
        "\\",
        "\x1b",
    ),
)


def _texts(rng: random.Random) -> list[Any]:
    texts: list[Any] = [anything(rng, 40) for _ in range(_N_TEXTS)]
    if rng.random() < 0.02:
        texts[0] = (anything(rng, 40) + " good") * (_MEGABYTE // 40)
    if rng.random() < 0.1:
        texts[rng.randrange(_N_TEXTS)] = rng.choice(
            [None, b"x", 7, float("nan"), ["x"]]
        )
    return texts


def _template(rng: random.Random, kind: Any) -> str:
    if rng.random() < 0.7:
        return toy.TEMPLATES[kind]
    parts = ["{text}", "{mask}", "{{", "}}", " it was ", anything(rng, 3)]
    rng.shuffle(parts)
    return "".join(parts[: rng.randrange(1, len(parts) + 1)])


def _label_words(rng: random.Random, expected: list[Any] | None) -> Any:
    words = [*_GOOD_WORDS]
    if rng.random() < 0.3:
        words[rng.randrange(2)] = anything(rng, 2)
    if expected is None or rng.random() < 0.1:
        return rng.choice([words, None, dict(zip("xy", words, strict=True)), 7])
    if rng.random() < 0.5:
        return words
    return dict(zip(sorted(set(expected)), words, strict=True))


TRIALS = (
    Trial(
        "odd-inputs",
        "Labels, texts (all of Unicode, lone surrogates, a megabyte), templates and "
        "label words are drawn; three kinds of toy, both classifiers",
        fit_odd_inputs,
        3000,
        none_of=(NEEDLESS, WRONG, TAKEN, FOREIGN),
    ),
)
