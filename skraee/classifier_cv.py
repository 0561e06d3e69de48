"""RAEE that chooses k and tau itself, by leave-one-out on the one sweep of fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from skraee.backbone.batching import BatchTokens
from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device
from skraee.classifier import RAEEClassifier
from skraee.retrieval.database import Database
from skraee.retrieval.leave_one_out import exits_for_each_k, other_neighbors
from skraee.scoring import Scoring, score_answers
from skraee.text.label_words import LabelWords
from skraee.text.template import Template

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class RAEEClassifierCV(RAEEClassifier):
    """`RAEEClassifier` that chooses k and tau by leave-one-out.

    Each training text is answered as if it were not stored: its neighbours are those
    among all others (exact copies are others), its exit follows from them by equations
    4 to 6, and its answer stands in its own sweep. So every k and tau is judged by the
    one pass that `fit` makes anyway, as `RidgeCV` does it; a larger grid costs next to
    nothing. Where scores are equal the smaller mean exit wins, then the smaller k,
    then the larger tau.

    Parameters
    ----------
    backbone, template : object
        As in :class:`RAEEClassifier`.
    ks : sequence of int, default=(4, 8, 12, 16, 24)
        Numbers of neighbours to try. Add larger ones where the best is the largest,
        smaller ones where classes have few texts. A k larger than the number of other
        texts means all of them.
    taus : sequence of float, default=(0.0, 0.5, 0.7, 0.9, 0.95)
        Least probabilities to try, in [0, 1]. Leave high ones out where exits come too
        early, low ones where they come too late.
    budgets : None, default=None
        Shares of the backbone's cost to try. Not built yet.
    scoring : str, callable or None, default=None
        What to choose by: the name of a scikit-learn scorer, or a callable
        ``scorer(estimator, X, y)``; None is the accuracy. Choose
        "balanced_accuracy" or "matthews_corrcoef" where classes are of unequal size,
        "neg_log_loss" or "roc_auc" where you use the probabilities. The scorer is
        given an estimator with `predict`, `predict_proba` and `classes_`, and
        probabilities in the place of the texts.
    label_words, encoder, readout, class_weight, exit_by, below_tau : object
        As in :class:`RAEEClassifier`. The exits left out are exact for keys that do
        not depend on other texts. A scikit-learn transformer is fitted, and the states
        of an int are standardised, once with all texts.
    min_exit, database, metric, index, max_length, batch_tokens, device : object
        As in :class:`RAEEClassifier`. With ``database="correct"`` only stored texts
        are neighbours, but all texts are judged.
    dtype, memory, n_jobs, random_state, verbose : object
        As in :class:`RAEEClassifier`.

    Attributes
    ----------
    k_ : int
        The chosen number of neighbours, which every later method uses.
    tau_ : float
        The chosen tau.
    best_score_ : float
        The leave-one-out score of both.
    best_params_ : dict
        Both, as ``{"k": ..., "tau": ...}``, for `RAEEClassifier.set_params`.
    cv_results_ : dict of ndarray
        One entry for each pair, with the keys of `GridSearchCV` where they have a
        meaning here: `params`, `param_k`, `param_tau`, `mean_test_score` (the
        leave-one-out score) and `rank_test_score`; and `mean_exit_layer`.
    classes_, n_layers_, n_samples_fit_, layer_scores_
        As in :class:`RAEEClassifier`.

    See Also
    --------
    RAEEClassifier : With k and tau as you set them; scikit-learn's `GridSearchCV`
        searches over its other parameters.

    Examples
    --------
    >>> from skraee import RAEEClassifierCV, toy
    >>> X, y = toy.reviews(60)
    >>> clf = RAEEClassifierCV(toy.backbone(), "{text} it was {mask}.",
    ...                        label_words=toy.LABEL_WORDS)
    >>> clf.fit(X, y).best_params_
    {'k': 12, 'tau': 0.5}
    >>> clf.predict(["a lovely film", "the waiter was cold and slow"])
    array(['positive', 'negative'], dtype='<U8')
    """

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        ks: Sequence[int] = (4, 8, 12, 16, 24),
        taus: Sequence[float] = (0.0, 0.5, 0.7, 0.9, 0.95),
        *,
        budgets: None = None,
        scoring: Scoring = None,
        label_words: LabelWords = None,
        encoder: Any = None,
        readout: Literal["lm_head", "ridge"] = "lm_head",
        class_weight: Literal["balanced"] | None = None,
        exit_by: Literal["retrieval", "confidence"] = "retrieval",
        below_tau: Literal["top3", "skip"] = "top3",
        min_exit: int = 0,
        database: Literal["all", "correct"] = "all",
        metric: Literal["sqeuclidean", "euclidean", "cosine"] = "sqeuclidean",
        index: Literal["hnsw", "exact"] = "hnsw",
        max_length: int | None = None,
        batch_tokens: BatchTokens = "auto",
        device: Device = "auto",
        dtype: str = "auto",
        memory: Any = "process",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.template = template
        self.ks = ks
        self.taus = taus
        self.budgets = budgets
        self.scoring = scoring
        self.label_words = label_words
        self.encoder = encoder
        self.readout = readout
        self.class_weight = class_weight
        self.exit_by = exit_by
        self.below_tau = below_tau
        self.min_exit = min_exit
        self.database = database
        self.metric = metric
        self.index = index
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Add labelled texts to the database and choose k and tau anew.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            New texts.
        y : array-like of shape (n,)
            Their classes.
        classes : array-like of shape (C,), optional
            All classes that will ever come; required on the first call.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in :meth:`RAEEClassifier.partial_fit`, and on a second call with
            ``database="correct"``, which has forgotten the texts it answered wrongly.
        """
        if self.database == "correct" and self.__sklearn_is_fitted__():
            raise ValueError(
                "database='correct' keeps no sweeps of the texts that the full depth "
                "answers wrongly, so k and tau cannot be chosen anew; call fit on all "
                "texts."
            )
        return super().partial_fit(X, y, classes)

    def _k_and_tau(self) -> tuple[int, float]:
        return self.k_, self.tau_

    def _choose(
        self,
        database: Database,
        keys: Float32Array,
        proba: Float32Array,
        codes: npt.NDArray[np.integer],
        classes: npt.NDArray[Any],
    ) -> tuple[int, dict[str, Any]]:
        """Choose k and tau by the answers that the texts get without themselves."""
        params: list[dict[str, Any]] = [
            {"k": int(k), "tau": float(tau)} for k in self.ks for tau in self.taus
        ]
        exits = self._exits_left_out(database, keys, params)
        texts = np.arange(len(codes))
        scores = [
            score_answers(self.scoring, proba[texts, found], classes[codes], classes)
            for found in exits
        ]
        results = _cv_results(params, scores, [found.mean() for found in exits])
        best = self._best(results)
        k: int = params[best]["k"]
        return k, {
            "k_": k,
            "tau_": params[best]["tau"],
            "best_score_": scores[best],
            "best_params_": params[best].copy(),
            "cv_results_": results,
        }

    def _exits_left_out(
        self, database: Database, keys: Float32Array, params: list[dict[str, Any]]
    ) -> list[IntArray]:
        """Return the exits (n,) of all texts for each k and tau."""
        ks = [candidate["k"] for candidate in params]
        distances, rows = other_neighbors(database, keys, max(ks))
        exits = {}
        for tau in {candidate["tau"] for candidate in params}:
            votes = database.votes(
                tau=tau, below_tau=self.below_tau, min_exit=self.min_exit
            )
            exits[tau] = exits_for_each_k(distances, rows, votes, ks)
        return [exits[candidate["tau"]][candidate["k"]] for candidate in params]

    def _best(self, results: dict[str, Any]) -> int:
        """Return the place of the best score, the cheapest where several share it."""
        if np.isnan(results["mean_test_score"]).all():
            raise ValueError(
                f"scoring={self.scoring!r} is nan for every k and tau; choose one that "
                "is defined for these labels."
            )
        order = np.lexsort(
            (
                -results["param_tau"].data,
                results["param_k"].data,
                results["mean_exit_layer"],
                results["rank_test_score"],
            )
        )
        return int(order[0])


def _cv_results(
    params: list[dict[str, Any]], scores: list[float], mean_exits: list[float]
) -> dict[str, Any]:
    """Lay out what was tried as `GridSearchCV` does; a score of NaN ranks last."""
    known = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return {
        "params": params,
        "param_k": np.ma.array([p["k"] for p in params]),
        "param_tau": np.ma.array([p["tau"] for p in params]),
        "mean_test_score": np.array(scores),
        "rank_test_score": 1 + (known > known[:, None]).sum(axis=1, dtype=np.int32),
        "mean_exit_layer": np.array(mean_exits),
    }
