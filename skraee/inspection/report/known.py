"""What a fitted classifier knows of itself: what it is, and what accuracy costs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from skraee.backbone.handle import as_backbone
from skraee.inspection.candidates import of_report, of_search
from skraee.inspection.cost_accuracy import CostAccuracyDisplay
from skraee.inspection.costs import EarlyExit, exit_costs
from skraee.inspection.evaluation import Evaluation
from skraee.text.template import as_template
from skraee.versions import installed


def curve_of(
    estimator: EarlyExit, evaluation: Evaluation
) -> CostAccuracyDisplay | None:
    """Return what accuracy costs, with the texts at hand as a point; nothing is drawn.

    Parameters
    ----------
    estimator : classifier
        Fitted; a baseline knows nothing of it.
    evaluation : Evaluation
        Of the texts at hand.
    """
    layer_scores = getattr(estimator, "layer_scores_", None)
    if layer_scores is None:
        return None
    known = of_search(estimator) or of_report(estimator)
    if known.get("score_name", "accuracy") != "accuracy":
        return CostAccuracyDisplay(**known)  # another score has no place on its axis
    point = evaluation.mean_cost, evaluation.accuracy
    return CostAccuracyDisplay(
        **known,
        layer_cost=exit_costs(estimator),
        layer_score=layer_scores,
        peers={"these texts": point},
    )


def facts_of(estimator: Any) -> dict[str, str]:
    """Return what a classifier is, in words; nothing of the machine that it is on.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    """
    facts = {
        "class": type(estimator).__name__,
        "backbone": _name_of(estimator.backbone),
        "layers": str(estimator.n_layers_),
        "template": as_template(estimator.template).text,
        "classes": str(len(estimator.classes_)),
    }
    n_texts = getattr(estimator, "n_samples_fit_", None)
    if n_texts is not None:
        facts["fitted on"] = f"{n_texts:,} texts"
    if exits := _exits(estimator):
        facts["exits"] = exits
    return {**facts, "skraee": installed(["skraee"])["skraee"] or "unknown"}


def _name_of(backbone: Any) -> str:
    """Return a backbone's name, of a folder on this machine no more than its own."""
    name = as_backbone(backbone).name or "a model without a name"
    if os.path.isabs(name) or os.path.exists(name):
        return Path(name).name
    return name


def _exits(estimator: Any) -> str:
    """Say what decides where texts stop, and not what was set and has no effect."""
    budget = _first(estimator, "budget_", "budget")
    if hasattr(estimator, "threshold_"):
        told = _of_confidence(estimator, budget)
    elif budget is not None:
        told = {"k": _first(estimator, "k_", "k"), "budget": budget}
    else:
        named = {"k": ("k_", "k"), "tau": ("tau_", "tau")}
        told = {name: _first(estimator, *places) for name, places in named.items()}
    if getattr(estimator, "min_exit", 0):
        told["min_exit"] = estimator.min_exit
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in told.items()
        if value is not None
    )


def _of_confidence(estimator: Any, budget: float | None) -> dict[str, Any]:
    if budget is None and estimator.threshold is not None:
        return {"threshold": estimator.threshold}
    threshold = estimator.threshold_
    told = {"threshold": "none" if threshold > 1 else threshold}
    told["deepest exit"] = estimator.max_exit_
    if budget is None:
        return {**told, "max_loss": estimator.max_loss}
    return {**told, "budget": budget}


def _first(estimator: Any, *places: str) -> Any:
    """Return what the first attribute holds that is there and not None."""
    found = (getattr(estimator, place, None) for place in places)
    return next((value for value in found if value is not None), None)
