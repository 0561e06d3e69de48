"""Warnings and errors that a user may want to catch by name."""

__all__ = ["BackboneChangedError", "TruncationWarning", "UndecidedWarning"]


class BackboneChangedError(ValueError):
    """The backbone is not the one that the estimator was fitted with."""


class UndecidedWarning(UserWarning):
    """No neighbour of some texts was answered rightly; they ran the whole model."""


class TruncationWarning(UserWarning):
    """Some texts were longer than the limit and lost their end."""
