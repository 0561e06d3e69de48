"""Warnings and errors that a user may want to catch by name."""

__all__ = [
    "BackboneChangedError",
    "BackboneDriftWarning",
    "BackboneMissingError",
    "FileFormatError",
    "StoreWarning",
    "TruncationWarning",
    "UndecidedWarning",
    "VersionSkewWarning",
]


class BackboneChangedError(ValueError):
    """The backbone is not the one that the estimator was fitted with."""


class BackboneMissingError(OSError):
    """The backbone or encoder of a saved estimator is not where it was."""


class FileFormatError(ValueError):
    """A file is not what `RAEEClassifier.save` writes, damaged, or of a newer form."""


class StoreWarning(UserWarning):
    """The folder of `memory` is damaged or cannot be used; the call did without it."""


class UndecidedWarning(UserWarning):
    """No neighbour of some texts was answered rightly; they ran the whole model."""


class TruncationWarning(UserWarning):
    """Some texts were longer than the limit and lost their end."""


class BackboneDriftWarning(UserWarning):
    """The same weights answer otherwise than when the estimator was saved."""


class VersionSkewWarning(UserWarning):
    """An estimator was pickled with other versions of skraee or transformers."""
