"""The classifiers that tests fit: on toy backbones, and with nothing remembered.

A test says what differs for it; `functools.partial` says it for all tests of a file.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from skraee import EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV, toy

#: What makes exits of the toy texts spread over the depths.
STOPS = {RAEEClassifier: {"tau": 0.7}, EarlyExitClassifier: {"threshold": 0.7}}
BOTH = list(STOPS)

# What chooses the threshold of EarlyExitClassifier.
_CHOOSING = {"budget", "threshold", "max_loss"}

#: Parameters of `closed_form`: every way to read, and to choose exits.
WAYS: list[dict[str, Any]] = [
    {"readout": "lm_head"},
    {"readout": "ridge"},
    {"cls": EarlyExitClassifier},
]


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
    if cls is EarlyExitClassifier and not _CHOOSING & made.keys():
        made["threshold"] = 0.9  # the texts of most tests are too few to choose by
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


def closed_form(cls: Any = RAEEClassifier, kind: Any = "masked", **params: Any) -> Any:
    """Make a classifier that reads in closed form, whose exits spread over depths."""
    made: dict[str, Any] = {"memory": None}
    if cls is not EarlyExitClassifier:
        made |= {"readout": "ridge", "index": "exact"}
    if cls is RAEEClassifier:
        made |= {"k": 7}
    if cls in STOPS and not params.get("budget"):  # which would choose in its place
        made |= STOPS[cls]
    return make_classifier(cls, kind, **{**made, **params})
