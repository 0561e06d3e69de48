"""What a fitted estimator shows: plots (extra ``plot``) and explanations.

The plots follow scikit-learn's displays: the constructor holds arrays, `plot` draws
them and returns the display, and ``from_estimator``, ``from_predictions`` or
``from_cv_results`` computes them first. scikit-learn's own displays, as
`CalibrationDisplay` and `ConfusionMatrixDisplay`, take our estimators too.
"""

from skraee.inspection.cost_accuracy import CostAccuracyDisplay
from skraee.inspection.costs import mean_cost
from skraee.inspection.evaluation import Evaluation
from skraee.inspection.exit_explanation import ExitExplanationDisplay
from skraee.inspection.exit_layers import ExitLayerDisplay
from skraee.inspection.layer_scores import LayerScoreDisplay
from skraee.inspection.report.report import Report

__all__ = [
    "CostAccuracyDisplay",
    "Evaluation",
    "ExitExplanationDisplay",
    "ExitLayerDisplay",
    "LayerScoreDisplay",
    "Report",
    "mean_cost",
]
