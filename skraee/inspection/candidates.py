"""Costs and scores of what was tried: by fit, or by a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

# Where a search has a candidate's cost, the best first.
_COSTS = ("mean_cost", "mean_test_cost")


def of_report(estimator: Any) -> dict[str, Any]:
    """Return the curve of `exit_report_` as a display takes it; empty without one.

    Parameters
    ----------
    estimator : object
        Fitted.
    """
    report = getattr(estimator, "exit_report_", None)
    if report is None:
        return {"cost": (), "score": ()}
    budget = estimator.budget
    order = np.argsort(report["mean_cost"], kind="stable")
    known = {"cost": report["mean_cost"][order], "score": report["accuracy"][order]}
    if "loss_bound" in report:
        reference = report["accuracy"] + report["loss"]  # the same for all
        known["lower"] = (reference - report["loss_bound"])[order]
    if budget is None and getattr(estimator, "threshold", None) is not None:
        return known  # what fit chose does not decide
    known["chosen"] = int(np.flatnonzero(report["chosen"][order])[0])
    if budget is not None:
        return known | {"budget": budget}
    return known | {"least_score": float(reference[0]) - estimator.max_loss}


def of_search(estimator: Any) -> dict[str, Any]:
    """Return what a classifier that searches has tried; empty if it is none.

    Parameters
    ----------
    estimator : object
        Fitted.
    """
    results = getattr(estimator, "cv_results_", None)
    if results is None or "mean_cost" not in results:  # which older files lack
        return {}
    scoring = estimator.scoring
    named = scoring if isinstance(scoring, str) else "score"
    return candidates(results, None, "mean_test_score", estimator.best_params_) | {
        "score_name": "accuracy" if scoring is None else named.replace("_", " ")
    }


def candidates(
    cv_results: Mapping[str, Any],
    cost: str | None,
    score: str,
    best_params: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the candidates of a search as a display takes them.

    Parameters
    ----------
    cv_results : dict
    cost : str or None
        The key that has the costs; None finds it.
    score : str
        The key that has the scores.
    best_params : dict or None
        The choice; None is the first of rank 1.

    Raises
    ------
    ValueError
        If a key is not there, or none has the costs.
    """
    cost = _cost_key(cv_results) if cost is None else cost
    for key in (cost, score):
        if key not in cv_results:
            raise ValueError(
                f"cv_results has no {key!r}; name one of its keys, "
                f"{', '.join(map(repr, cv_results))}."
            )
    error = cv_results.get(score.replace("mean_", "std_", 1))
    rank = cv_results.get(score.replace("mean_", "rank_", 1))
    return {
        "cost": np.asarray(cv_results[cost], dtype=float),
        "score": np.asarray(cv_results[score], dtype=float),
        "error": error,
        "chosen": _place(cv_results["params"], rank, best_params),
        "is_curve": False,
        "score_name": _name_of(score),
    }


def _cost_key(cv_results: Mapping[str, Any]) -> str:
    """Return the key that has the candidates' costs."""
    known = [key for key in _COSTS if key in cv_results]
    budgets = [
        key
        for key in cv_results
        if key.startswith("param_") and key.split("_")[-1] == "budget"
    ]
    if known:
        return known[0]
    if len(budgets) == 1:
        return budgets[0]
    tried = [key for key in cv_results if key.startswith("param_")]
    raise ValueError(
        "cv_results does not say what its candidates cost, only "
        f"{', '.join(tried) or 'their scores'}; search with scoring={{'accuracy': "
        "'accuracy', 'cost': skraee.inspection.mean_cost}, or over budget, or name "
        "the key that has the costs as cost=."
    )


def _place(
    params: list[Mapping[str, Any]], rank: Any, best: Mapping[str, Any] | None
) -> int | None:
    """Return where the choice is among the candidates."""
    if best is None:
        return None if rank is None else int(np.argmin(rank))
    for place, candidate in enumerate(params):
        if candidate == best:
            return place
    raise ValueError(
        f"best_params={best!r} is none of the candidates in cv_results; give the "
        "best_params_ of the same search."
    )


def _name_of(score: str) -> str:
    """Return a key of scores as an axis shows it."""
    name = score.removeprefix("mean_test_").replace("_", " ")
    return "mean test score" if name == "score" else name
