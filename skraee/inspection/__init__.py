"""What a fitted estimator shows: plots (extra ``plot``) and explanations."""

from skraee.inspection.displays import ExitLayerDisplay

__all__ = ["ExitLayerDisplay"]
