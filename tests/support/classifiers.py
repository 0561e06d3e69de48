"""The classifiers that tests fit: on toy backbones, and with nothing remembered.

A test says what differs for it; `functools.partial` says it for all tests of a file.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from skraee import EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV, toy


def make_classifier(cls: Any, kind: Any = "masked", **params: Any) -> Any:
    """Make a classifier of any class with a toy backbone, its template and words."""
    made = {
        "backbone": toy.backbone(kind),
        "template": toy.TEMPLATES[kind],
        "label_words": toy.LABEL_WORDS,
        **params,
    }
    if "label_words" not in signature(cls).parameters:  # it reads none
        del made["label_words"]
    return cls(**made)


def raee(kind: Any = "masked", **params: Any) -> RAEEClassifier:
    """Make a classifier whose exits neighbours choose."""
    # Few neighbours suit few texts; without a memory predict really runs.
    return make_classifier(RAEEClassifier, kind, **{"k": 5, "memory": None, **params})


def raee_cv(kind: Any = "masked", **params: Any) -> RAEEClassifierCV:
    """Make a classifier that chooses how neighbours choose its exits."""
    return make_classifier(RAEEClassifierCV, kind, **{"memory": None, **params})


def early_exit(kind: Any = "masked", **params: Any) -> EarlyExitClassifier:
    """Make a classifier that stops when it is confident."""
    return make_classifier(EarlyExitClassifier, kind, **{"memory": None, **params})
