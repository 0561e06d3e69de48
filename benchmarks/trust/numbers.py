"""The same answer in any batch, order and company; numbers that are none."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.trust.trial import Count, Trial
from skraee import EarlyExitClassifier, RAEEClassifier, toy

OTHER_CLASS = "texts with another class"
OTHER_EXIT = "texts with another exit layer"
FARTHEST = "largest difference of a probability"
TEXTS = "texts in all"
SETTINGS = "settings"

_KINDS: tuple[Any, ...] = ("masked", "causal", "seq2seq")
_EARLY_EXIT: tuple[dict[str, Any], ...] = (
    {"threshold": 0.7},
    {"budget": 0.5},
    {"max_loss": 0.05},
    {"threshold": 0.7, "class_weight": "balanced", "min_exit": 1},
    {"threshold": 0.7, "long_texts": "mean", "max_length": 12},
    {"threshold": 0.7, "long_texts": "head_tail", "max_length": 12},
    {"threshold": 0.7, "long_texts": "cut", "max_length": 12},
)
_RAEE: tuple[dict[str, Any], ...] = (
    {},
    {"below_tau": "skip"},
    {"calibrate": True},
    {"budget": 0.5},
    {"database": "correct"},
    {"metric": "cosine", "index": "exact"},
    {"metric": "euclidean", "min_exit": 2},
    {"encoder": 1},
    {"long_texts": "mean", "max_length": 12},
    {"readout": "ridge"},
    {"readout": "ridge", "budget": 0.6, "class_weight": "balanced"},
    {"readout": "ridge", "long_texts": "head_tail", "max_length": 12, "encoder": 1},
)
_N_SUBSETS = 200
_N_TEXTS = 48


def compare_subsets(tries: int, seed: int) -> dict[str, Count]:
    """Answer subsets in any order and batch; compare with the answer to all at once."""
    n = [0, 0, 0]
    farthest = 0.0
    settings = [(kind, *one) for kind in _KINDS for one in _settings(kind)]
    n_each = -(-tries // len(settings))
    for number, (kind, cls, params) in enumerate(settings[:tries]):
        rng = random.Random(f"{seed} {number}")
        clf = _fitted(cls, kind, params)
        texts = _texts(rng)
        whole = _answered(clf, texts)
        for _ in range(n_each):
            rows = rng.sample(range(len(texts)), rng.randrange(1, len(texts)))
            clf.set_params(batch_tokens=rng.choice(["auto", 1, 40, 200, 5000]))
            part = [texts[row] for row in rows]
            found = _answered(clf, part)
            classes, exits, apart = _gaps(found, whole, rows)
            n = [n[0] + len(rows), n[1] + classes, n[2] + exits]
            farthest = max(farthest, apart)
    return {
        SETTINGS: min(tries, len(settings)),
        TEXTS: n[0],
        OTHER_CLASS: n[1],
        OTHER_EXIT: n[2],
        FARTHEST: farthest,
    }


def _settings(kind: str) -> list[tuple[Any, dict[str, Any]]]:
    return [
        *((EarlyExitClassifier, params) for params in _EARLY_EXIT),
        *((RAEEClassifier, params) for params in _RAEE),
    ]


def _answered(clf: Any, texts: list[str]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clf.predict_proba(texts, return_exit_layers=True)


def _gaps(found: Any, whole: Any, rows: list[int]) -> tuple[int, int, float]:
    proba, expected = found[0], whole[0][rows]
    return (
        int((proba.argmax(axis=1) != expected.argmax(axis=1)).sum()),
        int((found[1] != whole[1][rows]).sum()),
        float(np.abs(proba - expected).max()),
    )


def _texts(rng: random.Random) -> list[str]:
    """Draw texts of one to four reviews, some of them twice."""
    reviews, _ = toy.reviews(4 * _N_TEXTS, seed=rng.randrange(1000))
    texts = [
        " and ".join(rng.sample(reviews, rng.choice([1, 1, 2, 4])))
        for _ in range(_N_TEXTS)
    ]
    return [*texts, *texts[:4]]


def _fitted(cls: Any, kind: Any, params: dict[str, Any]) -> Any:
    params = {"memory": None, **params}
    if cls is RAEEClassifier:
        params = {"label_words": toy.LABEL_WORDS, "k": 5, "tau": 0.7, **params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = cls(toy.backbone(kind), toy.TEMPLATES[kind], **params)
        return clf.fit(*toy.reviews(60))


# Numbers that are none, too many classes, too few texts

RIGHT = "right results"
REFUSED = "refusals with an error of ours"
CHOSEN = "depths that were chosen by numbers that are none"
WRONG = "wrong results"
FOREIGN = "other errors"

_CLASSIFIERS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (EarlyExitClassifier, {"threshold": 0.7}),
    (EarlyExitClassifier, {"budget": 0.5}),
    (RAEEClassifier, {"readout": "ridge"}),
    (RAEEClassifier, {}),
)


def fit_odd_numbers(tries: int, seed: int) -> dict[str, Count]:
    """Fit on numbers that are none, and on odd sets of texts, by turns."""
    counts: dict[str, Count] = dict.fromkeys(
        (RIGHT, REFUSED, CHOSEN, WRONG, FOREIGN), 0
    )
    for i in range(tries):
        rng = np.random.default_rng([seed, i])
        cls, params = _CLASSIFIERS[i % len(_CLASSIFIERS)]
        what = _CASES[i // len(_CLASSIFIERS) % len(_CASES)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counts[_outcome(lambda: what(cls, params, rng))] += 1  # noqa: B023
    return counts


def _outcome(run: Callable[[], str]) -> str:
    try:
        return run()
    except ValueError as error:
        return REFUSED if "finite" in str(error) else FOREIGN
    except Exception:
        return FOREIGN


def _new(cls: Any, params: dict[str, Any], **more: Any) -> Any:
    params = {"memory": None, **params, **more}
    if cls is RAEEClassifier and "label_words" not in params:
        params = {"label_words": toy.LABEL_WORDS, "k": 5, **params}
    return cls(toy.backbone(), toy.TEMPLATES["masked"], **params)


def _not_finite(cls: Any, params: dict[str, Any], rng: np.random.Generator) -> str:
    """Make numbers of one depth NaN or infinite, of one text or of all."""
    X, y = toy.reviews(60)
    clf = _new(cls, params)
    sweep = clf.sweep(X)
    depth = int(rng.integers(1, sweep.logits.shape[1]))
    rows = slice(None) if rng.random() < 0.5 else int(rng.integers(len(X)))
    value = rng.choice([np.nan, np.inf, -np.inf])
    logits = sweep.logits.copy()
    logits[rows, depth] = value
    states = None if sweep.states is None else sweep.states.copy()
    if states is not None:
        states[rows, depth] = value
    clf.fit_sweep(replace(sweep, logits=logits, states=states), y)
    at = clf.exit_layers(X)
    if isinstance(rows, slice) and (at == depth).any():
        return CHOSEN
    return RIGHT if _is_sound(clf, X) else WRONG


def _is_sound(clf: Any, X: Any) -> bool:
    proba = clf.predict_proba(X)
    return bool(
        np.isfinite(proba).all() and np.allclose(proba.sum(axis=1), 1, atol=1e-5)
    )


def _many_classes(cls: Any, params: dict[str, Any], rng: np.random.Generator) -> str:
    """Give 500 classes two texts each; for label words there are not enough words."""
    if cls is RAEEClassifier:
        params = {"readout": "ridge", "label_words": None}
    n = 500
    X = [
        f"{text} {'ab'[i % 2] * (1 + i // 50)}"
        for i, text in enumerate(_shuffled(rng, n))
    ]
    y = np.arange(n).repeat(2)
    clf = _new(cls, params).fit([text for text in X for _ in "ab"], y)
    some = rng.choice(2 * n, 20)
    proba = clf.predict_proba([X[i // 2] for i in some])
    right = proba.shape == (20, n) and np.isfinite(proba).all()
    return RIGHT if right and np.allclose(proba.sum(axis=1), 1, atol=1e-4) else WRONG


def _shuffled(rng: np.random.Generator, n: int) -> list[str]:
    texts, _ = toy.reviews(n, seed=int(rng.integers(1000)))
    return texts


def _few_texts(cls: Any, params: dict[str, Any], rng: np.random.Generator) -> str:
    """Fit on two to six texts, far fewer than features."""
    n = int(rng.integers(2, 7))
    X, y = toy.reviews(n, seed=int(rng.integers(1000)))
    clf = _new(cls, params, **({"k": n} if cls is RAEEClassifier else {})).fit(X, y)
    return RIGHT if _is_sound(clf, toy.reviews(20)[0]) else WRONG


def _constant(cls: Any, params: dict[str, Any], rng: np.random.Generator) -> str:
    """Fit on one text over and over: there is nothing to learn but the shares."""
    X = ["the film was good"] * 30
    y = np.array(["negative", "positive"])[(rng.random(30) < 0.3).astype(int)]
    y[:2] = ["negative", "positive"]
    clf = _new(cls, params).fit(X, y)
    proba = clf.predict_proba([*X, "a bad book"])
    same = np.allclose(proba[:30], proba[0], atol=1e-5)
    return RIGHT if same and np.isfinite(proba).all() else WRONG


def _conflicting(cls: Any, params: dict[str, Any], rng: np.random.Generator) -> str:
    """Give each text both labels."""
    X, _ = toy.reviews(20, seed=int(rng.integers(1000)))
    X, y = [*X, *X], np.array(["negative", "positive"]).repeat(20)
    clf = _new(cls, params).fit(X, y)
    if not _is_sound(clf, X):
        return WRONG
    # Nothing speaks for either class, so a readout that was solved may be sure of none.
    solved = cls is EarlyExitClassifier or params.get("readout") == "ridge"
    return WRONG if solved and clf.predict_proba(X).max() > 0.75 else RIGHT


_CASES = (_not_finite, _few_texts, _constant, _conflicting, _not_finite, _many_classes)

TRIALS = (
    Trial(
        "subsets",
        "Texts are answered in drawn subsets, orders and batch sizes and compared with "
        "the answer to all at once, under every setting",
        compare_subsets,
        len(_KINDS) * (len(_EARLY_EXIT) + len(_RAEE)) * _N_SUBSETS,
        none_of=(OTHER_CLASS, OTHER_EXIT),
    ),
    Trial(
        "odd-numbers",
        "Classifiers are fitted on states that are NaN or infinite at a depth, on 500 "
        "classes of two texts, fewer texts than features, one text over and over, and "
        "texts with both labels",
        fit_odd_numbers,
        96,
        none_of=(CHOSEN, WRONG, FOREIGN),
    ),
)
