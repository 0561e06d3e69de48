"""The baselines that tests fit, on toy backbones and toy reviews."""

from __future__ import annotations

from typing import Any

import numpy as np

from skraee import baselines, toy
from skraee.baselines import CALMClassifier, DeeBERTClassifier, SLEBClassifier

X, Y = toy.reviews(40)
X_NEW, Y_NEW = toy.reviews(20, seed=1)
METHODS = ["predict", "predict_proba", "predict_log_proba", "exit_layers"]
OURS = [getattr(baselines, name) for name in baselines.__all__]
KINDS = list(toy.TEMPLATES)


def toy_classifier(cls: Any, kind: Any = "masked", **params: Any) -> Any:
    defaults: dict[str, Any] = {}
    if cls is DeeBERTClassifier:
        defaults = {"learning_rate": 3e-3, "n_epochs": 8, "threshold": 0.5}
    else:
        defaults = {"template": toy.TEMPLATES[kind], "label_words": toy.LABEL_WORDS}
    if cls is CALMClassifier:
        defaults |= {"threshold": 0.2}
    if cls is SLEBClassifier:
        defaults |= {"n_remove": 1, "removal_order": [1]}
    return cls(**{"backbone": toy.backbone(kind), **defaults, **params})


def same_answers(found: Any, expected: Any, atol: float = 1e-6) -> None:
    for name in METHODS:
        one, other = getattr(found, name)(X_NEW), getattr(expected, name)(X_NEW)
        if other.dtype.kind == "f":
            np.testing.assert_allclose(one, other, atol=atol)
        else:
            np.testing.assert_array_equal(one, other)
