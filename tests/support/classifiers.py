"""The classifiers that tests fit, on toy backbones and with nothing remembered."""

from __future__ import annotations

from typing import Any

from skraee import EarlyExitClassifier, RAEEClassifier, toy


def raee(kind: Any = "masked", cls: Any = RAEEClassifier, **params: Any) -> Any:
    """Return a classifier whose exits neighbours choose."""
    defaults = {
        "backbone": toy.backbone(kind),
        "template": toy.TEMPLATES[kind],
        "label_words": toy.LABEL_WORDS,
        "memory": None,  # so that predict really runs
    }
    return cls(**{**defaults, **params})


def early_exit(kind: Any = "masked", **params: Any) -> EarlyExitClassifier:
    """Return a classifier that stops when it is confident."""
    defaults: dict[str, Any] = {
        "backbone": toy.backbone(kind),
        "template": toy.TEMPLATES[kind],
        "memory": None,
    }
    return EarlyExitClassifier(**{**defaults, **params})
