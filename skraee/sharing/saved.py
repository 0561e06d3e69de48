"""A ``.skraee`` file, whatever classifier it holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skraee.classifier import RAEEClassifier
    from skraee.early_exit import EarlyExitClassifier

    Classifier = EarlyExitClassifier | RAEEClassifier


def read_saved(
    path: str | os.PathLike[str],
    backbone: Any = None,
    key: bytes | str | None = None,
) -> Classifier:
    """Read a fitted classifier of any class; no code in the file is run.

    Parameters
    ----------
    path : str or Path
    backbone : str, Path or Backbone, optional
        Where the backbone is now, if it has moved.
    key : bytes or str, optional
        With which the file must be signed.

    Returns
    -------
    EarlyExitClassifier or RAEEClassifier

    Raises
    ------
    FileFormatError
        If it is no such file, damaged, or not signed with the key.
    """
    from skraee.persistence.model_file import load

    found: Classifier = load(kinds(), path, backbone, key=key)
    return found


def kinds() -> list[Any]:
    """Return the classes that such a file may hold."""
    from skraee.classifier import RAEEClassifier
    from skraee.classifier_cv import RAEEClassifierCV
    from skraee.early_exit import EarlyExitClassifier

    return [EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV]


def check_savable(clf: Any) -> None:
    """Refuse what no ``.skraee`` file can hold, and what is not fitted.

    Raises
    ------
    TypeError
        If it is no classifier that has `save`.
    NotFittedError
        If it is not fitted.
    """
    from sklearn.utils.validation import check_is_fitted

    if type(clf) not in kinds():
        names = ", ".join(kind.__name__ for kind in kinds())
        raise TypeError(
            f"only {names} can be shared as a file without code, got "
            f"{type(clf).__name__}; of a Pipeline or search give the classifier in it."
        )
    check_is_fitted(clf)
