"""Checks of what the constructor was given; run by fit and predict, never before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from skraee.classifier import RAEEClassifier

_CHOICES: dict[str, tuple[Any, ...]] = {
    "readout": ("lm_head", "ridge"),
    "class_weight": (None, "balanced"),
    "exit_by": ("retrieval", "confidence"),
    "below_tau": ("top3", "skip"),
    "database": ("all", "correct"),
    "metric": ("sqeuclidean", "euclidean", "cosine"),
    "index": ("hnsw", "exact"),
}


def check_parameters(estimator: RAEEClassifier) -> None:
    """Refuse values that no data could make right.

    Parameters
    ----------
    estimator : RAEEClassifier

    Raises
    ------
    ValueError, TypeError
        For the first parameter that is out of its range.
    NotImplementedError
        For choices that are named but not built yet.
    """
    check_whole("k", estimator.k, least=1)
    _check_share("tau", estimator.tau)
    check_whole("min_exit", estimator.min_exit, least=0)
    if estimator.max_length is not None:
        check_whole("max_length", estimator.max_length, least=1)
    for name, allowed in _CHOICES.items():
        if getattr(estimator, name) not in allowed:
            options = ", ".join(map(repr, allowed))
            raise ValueError(
                f"{name} must be one of {options}, got {getattr(estimator, name)!r}."
            )
    _check_built(estimator)


def check_whole(name: str, value: Any, *, least: int, most: int | None = None) -> None:
    """Refuse what is no whole number of a range.

    Parameters
    ----------
    name : str
        Of the parameter.
    value : object
        What was given.
    least, most : int
        Ends of the range.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is out of the range.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(
            f"{name} must be a whole number, got {value!r} of type "
            f"{type(value).__name__}."
        )
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
    if most is not None and value > most:
        raise ValueError(
            f"{name} must be at most {most}, the number of layers of this backbone, "
            f"got {value}."
        )


def _check_share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise TypeError(
            f"{name} must be a number, got {value!r} of type {type(value).__name__}."
        )
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {value}.")


def _check_built(estimator: RAEEClassifier) -> None:
    wanted = {
        "readout='ridge'": estimator.readout == "ridge",
        "exit_by='confidence'": estimator.exit_by == "confidence",
        f"budget={estimator.budget!r}": estimator.budget is not None,
    }
    for setting, is_wanted in wanted.items():
        if is_wanted:
            raise NotImplementedError(
                f"{setting} is not built yet; leave readout, exit_by and budget at "
                "their defaults."
            )
