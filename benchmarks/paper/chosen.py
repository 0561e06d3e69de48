"""Baselines at their own best: what the training texts alone choose for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, matthews_corrcoef
from sklearn.model_selection import GridSearchCV

from skraee.baselines import DeeBERTClassifier

SCORES = {"accuracy": accuracy_score, "matthews_corrcoef": matthews_corrcoef}
RATES = (2e-5, 2e-4, 2e-3)  # DeeBERT's own, and larger ones, as the backbone is frozen
#: Of DeeBERT's sweep, in nats for two classes.
ENTROPIES = (0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
N_FOLDS = 3


class Chosen(BaseEstimator):
    """An estimator that fit chooses, and that answers.

    Attributes
    ----------
    chosen_ : estimator
        Fitted on all texts.
    choice_ : dict
        What was chosen, for the line of results.
    """

    chosen_: Any
    choice_: dict[str, Any]

    @property
    def n_layers_(self) -> int:
        return int(self.chosen_.n_layers_)

    @property
    def cost_(self) -> np.ndarray:
        found: np.ndarray = self.chosen_.cost_
        return found

    def predict(self, X: Any, return_exit_layers: bool = False) -> Any:
        """Answer as the chosen one does."""
        return self.chosen_.predict(X, return_exit_layers)


class DeeBERTByFolds(Chosen):
    """DeeBERT with the learning rate and the threshold that did best in folds.

    A threshold needs no new training: ramps are trained once for each fold and rate.
    Of equals the cheapest wins.

    Parameters
    ----------
    deebert : DeeBERTClassifier
    budget : float, default=1.0
        Largest mean cost, as a share of a full pass, in the texts held out.
    scoring : {"accuracy", "matthews_corrcoef"}, default="accuracy"
    folder : Path or None, default=None
        Where the figures of the folds are kept, which serve every budget.
    """

    def __init__(
        self,
        deebert: DeeBERTClassifier,
        budget: float = 1.0,
        scoring: str = "accuracy",
        folder: Path | None = None,
    ) -> None:
        self.deebert = deebert
        self.budget = budget
        self.scoring = scoring
        self.folder = folder

    def fit(self, X: Any, y: Any) -> Self:
        """Choose by folds, then train on all texts."""
        rate, i = best_within(self.budget, *self._figures(X, y))
        self.choice_ = {
            "learning_rate": RATES[rate],
            "threshold": thresholds_for(len(np.unique(y)))[i],
        }
        self.chosen_ = clone(self.deebert).set_params(**self.choice_).fit(X, y)
        return self

    def _figures(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and costs, a row for each rate, a column for each threshold."""
        if self.folder is None:
            return self._searched(X, y)
        params = self.deebert.get_params(deep=False)
        known = {n: v for n, v in params.items() if n not in ("backbone", "memory")}
        asked = [repr(params["backbone"]), known, self.scoring, RATES, N_FOLDS, X, y]
        path = self.folder / f"{joblib.hash(asked)}.joblib"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            joblib.dump(self._searched(X, y), path)
        found: tuple[np.ndarray, np.ndarray] = joblib.load(path)
        return found

    def _searched(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        search = GridSearchCV(
            self.deebert,
            {"learning_rate": RATES},
            scoring=self._by_thresholds,
            cv=N_FOLDS,
            refit=False,
            error_score="raise",
        )
        results = search.fit(X, y).cv_results_
        columns = range(len(ENTROPIES))
        scores = np.array([results[f"mean_test_score{i}"] for i in columns]).T
        costs = np.array([results[f"mean_test_cost{i}"] for i in columns]).T
        return scores, costs

    def _by_thresholds(
        self, model: DeeBERTClassifier, X: Any, y: Any
    ) -> dict[str, float]:
        """Score ramps under every threshold, by one look at all of them."""
        proba = model.layer_proba(X)
        found = {}
        for i, threshold in enumerate(thresholds_for(len(model.classes_))):
            exits = exits_below(threshold, proba)
            best = proba[np.arange(len(exits)), exits].argmax(axis=1)
            found[f"score{i}"] = SCORES[self.scoring](y, model.classes_[best])
            found[f"cost{i}"] = model.cost_[exits].mean()
        return found


def thresholds_for(n_classes: int) -> list[float]:
    """Return the entropies that are tried, as the same shares of the largest one."""
    return [float(e * np.log(max(n_classes, 2)) / np.log(2)) for e in ENTROPIES]


def exits_below(threshold: float, proba: np.ndarray) -> np.ndarray:
    """Return the first depths (n,) from 1 on whose entropy is below a threshold."""
    logs = np.log(np.maximum(proba, np.finfo(np.float32).tiny))
    stops = -(proba * logs).sum(axis=2) < threshold
    stops[:, 0], stops[:, -1] = False, True
    exits: np.ndarray = stops.argmax(axis=1)
    return exits


def best_within(
    budget: float, scores: np.ndarray, costs: np.ndarray
) -> tuple[int, int]:
    """Return where the best score is that costs no more; if none is, the cheapest."""
    allowed = costs <= max(budget, costs.min())
    best = scores[allowed].max()
    as_good = allowed & (scores >= best - 1e-9)
    found = np.where(as_good, costs, np.inf).argmin()
    row, column = np.unravel_index(found, scores.shape)
    return int(row), int(column)


class BestByLeaveOneOut(Chosen):
    """Of several `RAEEClassifierCV` the one with the best leave-one-out score.

    Parameters
    ----------
    candidates : sequence of RAEEClassifierCV
    """

    #: Parameters by which the candidates may differ, for the line of results.
    differs_in: ClassVar[tuple[str, ...]] = ("below_tau", "min_exit")

    def __init__(self, candidates: Sequence[Any]) -> None:
        self.candidates = candidates

    def fit(self, X: Any, y: Any) -> Self:
        """Fit all of them; with a `memory` they share one sweep."""
        fitted = [clone(one).fit(X, y) for one in self.candidates]
        best = max(fitted, key=lambda one: one.best_score_)  # of equals the first
        settings = {name: getattr(best, name) for name in self.differs_in}
        self.choice_ = {**best.best_params_, **settings}
        self.chosen_ = best
        return self
