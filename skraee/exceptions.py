"""Warnings and errors that a user may want to catch by name."""

import sys
import warnings

__all__ = [
    "BackboneChangedError",
    "BackboneDriftWarning",
    "BackboneMismatchError",
    "BackboneMissingError",
    "FileFormatError",
    "InputWarning",
    "SignatureError",
    "StoreWarning",
    "TruncationWarning",
    "UndecidedWarning",
    "VersionSkewWarning",
]


class BackboneChangedError(ValueError):
    """The backbone is not the one that the estimator was fitted with."""


class BackboneMismatchError(ValueError):
    """A model answers otherwise when its layers are run one by one."""


class BackboneMissingError(OSError):
    """The backbone or encoder of a saved estimator is not where it was."""


class FileFormatError(ValueError):
    """A file is not what an estimator's `save` writes, damaged, or of a newer form."""


class SignatureError(FileFormatError):
    """A file was not signed with the key that `load` was given, or changed since."""


class StoreWarning(UserWarning):
    """The folder of `memory` is damaged or cannot be used; the call did without it."""


class InputWarning(UserWarning):
    """Texts, labels or label words given to fit can be used, but may be a mistake."""


class UndecidedWarning(UserWarning):
    """No neighbour of some texts was answered rightly; they ran the whole model."""


class TruncationWarning(UserWarning):
    """Some texts were longer than the limit and lost their end."""


class BackboneDriftWarning(UserWarning):
    """The same weights answer otherwise than when the estimator was saved."""


class VersionSkewWarning(UserWarning):
    """An estimator was pickled with other versions of skraee or transformers."""


# Who calls our methods for a user: searches, pipelines, callbacks.
_BETWEEN = ("skraee", "sklearn", "joblib")


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn, and point to the user's own call, however deep below it this is.

    Parameters
    ----------
    message : str
    category : type of Warning
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_between(frame.f_globals):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_between(names: dict[str, object]) -> bool:
    return str(names.get("__name__")).partition(".")[0] in _BETWEEN
