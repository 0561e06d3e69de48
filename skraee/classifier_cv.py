"""RAEE that chooses k, tau or a budget itself, by leave-one-out on fit's one sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device
from skraee.classifier import RAEEClassifier
from skraee.engine.batching import BatchTokens
from skraee.engine.compiled import Compile
from skraee.estimator.metric import ScoringParameter, score_answers
from skraee.exits.budget import within_budget
from skraee.exits.curve import price_curve
from skraee.exits.evidence import NeighborEvidence
from skraee.exits.gains import best_for_price, gains_left_out
from skraee.exits.leave_one_out import exits_for_each_k, other_neighbors
from skraee.exits.paired import Paired
from skraee.exits.policies import votes_of
from skraee.readout.ties import best_of, ranks
from skraee.retrieval.outer_search import SearchIndex
from skraee.retrieval.vectors import KeyDtype
from skraee.text.label_words import LabelWords
from skraee.text.long_texts import LongTexts
from skraee.text.template import Template

IntArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


class RAEEClassifierCV(RAEEClassifier):
    """`RAEEClassifier` that chooses k and tau, or a budget, by leave-one-out.

    Each training text is answered as if it were not stored: its neighbours are those
    among all others (exact copies are others), its exit follows from them by equations
    4 to 6, and its answer stands in its own sweep. So every k and tau is judged by the
    one pass that `fit` makes anyway, as `RidgeCV` does it; a larger grid costs next to
    nothing. The best score of a few texts is so by luck: of all candidates that a
    paired test cannot tell from the best, with 95 % confidence, the deepest mean exit
    wins, then the smaller k, then the larger tau. With a `scoring` of your own the best
    score wins, and the deepest of equals.

    With `budgets` these are tried instead of `taus`: each with the price of depth that
    `RAEEClassifier` would choose for it.

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
    budgets : sequence of float or None, default=None
        Mean shares of the backbone's cost to try instead of `taus`, in (0, 1]. Give
        one to bind the cost, several to see in `cv_results_` what each leads to.
    scoring : str, callable or None, default=None
        What to choose by: the name of a scikit-learn scorer, or a callable
        ``scorer(estimator, X, y)``; None is the accuracy, in which texts count by
        `class_weight`. Choose "balanced_accuracy" or "matthews_corrcoef" where classes
        are of unequal size, "neg_log_loss" or "roc_auc" where you use the
        probabilities. A scorer that you name counts texts as it does anywhere. It is
        given an estimator with `predict`, `predict_proba` and `classes_`, and
        probabilities in the place of the texts.
    label_words, encoder, readout, calibrate, class_weight, below_tau : object
        As in :class:`RAEEClassifier`. The exits left out are exact for keys that do
        not depend on other texts. A scikit-learn transformer is fitted, and the states
        of an int are standardised, once with all texts; so are the temperatures of
        `calibrate`.
    min_exit, database, metric, index, key_dtype, max_length, long_texts : object
        As in :class:`RAEEClassifier`. With ``database="correct"`` only stored texts
        are neighbours, but all texts are judged.
    batch_tokens, compile, device, dtype, memory, n_jobs, random_state, verbose : object
        As in :class:`RAEEClassifier`.

    Attributes
    ----------
    k_ : int
        The chosen number of neighbours, which every later method uses.
    tau_ : float
        The chosen tau; not with `budgets`.
    budget_ : float
        The chosen budget; only with `budgets`.
    best_score_ : float
        The leave-one-out score of what was chosen.
    best_params_ : dict
        What was chosen, as ``{"k": ..., "tau": ...}``, for
        `RAEEClassifier.set_params`.
    cv_results_ : dict of ndarray
        One entry for each candidate, with the keys of `GridSearchCV` where they have a
        meaning here: `params`, `param_k`, `param_tau` or `param_budget`,
        `mean_test_score` (the leave-one-out score) and `rank_test_score`; and
        `mean_exit_layer` and `mean_cost`, the mean share of a full pass.
    classes_, n_layers_, n_samples_fit_, layer_scores_, cost_, temperatures_, lambda_
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
    {'k': 4, 'tau': 0.95}
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
        budgets: Sequence[float] | None = None,
        scoring: ScoringParameter = None,
        label_words: LabelWords = None,
        encoder: Any = None,
        readout: Literal["lm_head", "ridge"] = "lm_head",
        calibrate: bool = False,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        below_tau: Literal["top3", "skip"] = "top3",
        min_exit: int = 0,
        database: Literal["all", "correct"] = "all",
        metric: Literal["sqeuclidean", "euclidean", "cosine"] = "sqeuclidean",
        index: Literal["hnsw", "exact"] | SearchIndex = "hnsw",
        key_dtype: KeyDtype = "float32",
        max_length: int | None = None,
        long_texts: LongTexts = "cut",
        batch_tokens: BatchTokens = "auto",
        compile: Compile = "auto",
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
        self.calibrate = calibrate
        self.class_weight = class_weight
        self.below_tau = below_tau
        self.min_exit = min_exit
        self.database = database
        self.metric = metric
        self.index = index
        self.key_dtype = key_dtype
        self.max_length = max_length
        self.long_texts = long_texts
        self.batch_tokens = batch_tokens
        self.compile = compile
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
        return getattr(self, "k_", 1), getattr(self, "tau_", 1.0)

    def _has_budget(self) -> bool:
        return self.budgets is not None

    def _exit_choice(self) -> Iterator[str]:
        yield from super()._exit_choice()
        chosen = self.cv_results_["params"].index(self.best_params_)
        cost = self.cv_results_["mean_cost"][chosen]
        yield (
            f"The texts of fit, each left out, ran {cost:.0%} of the model on average, "
            f"and scored {self.best_score_:.3f}."
        )

    def _setting(self) -> dict[str, Any]:
        return {
            "readout": self.readout,
            "calibrate": self.calibrate,
            "budgets": None if self.budgets is None else list(self.budgets),
        }

    def _choose(self, known: NeighborEvidence) -> tuple[int, dict[str, Any]]:
        """Choose by the answers that the texts get without themselves."""
        tried = self._by_votes(known) if self.budgets is None else self._by_gain(known)
        texts = np.arange(len(known.codes))
        scores = [
            score_answers(
                self.scoring,
                known.proba[texts, candidate.exits],
                known.classes[known.codes],
                known.classes,
                known.weights,
            )
            for candidate in tried
        ]
        results = _cv_results(tried, scores, known.costs)
        best = self._best(results, self._may_be_best(known, tried, scores))
        chosen = tried[best].params
        return chosen["k"], {
            **{f"{name}_": value for name, value in chosen.items()},
            **tried[best].found,
            "best_score_": scores[best],
            "best_params_": chosen.copy(),
            "cv_results_": results,
        }

    def _by_votes(self, known: NeighborEvidence) -> list[Candidate]:
        """Try every k with every tau."""
        ks = [int(k) for k in self.ks]
        distances, rows = other_neighbors(known.database, known.keys, max(ks))
        exits = {}
        for tau in set(self.taus):
            votes = votes_of(known.database, tau, self.below_tau, self.min_exit)
            exits[tau] = exits_for_each_k(distances, rows, votes, ks)
        return [
            Candidate({"k": k, "tau": float(tau)}, exits[tau][k])
            for k in ks
            for tau in self.taus
        ]

    def _by_gain(self, known: NeighborEvidence) -> list[Candidate]:
        """Try every k with every budget."""
        tried = []
        for k, gains in gains_left_out(known, [int(k) for k in self.ks]).items():
            curve = price_curve(known, gains, self.min_exit)
            for budget in () if self.budgets is None else self.budgets:
                price = float(curve.values[within_budget(budget, curve)])
                exits = best_for_price(gains, known.costs, price, self.min_exit)
                params = {"k": k, "budget": float(budget)}
                tried.append(Candidate(params, exits, {"lambda_": price}))
        return tried

    def _may_be_best(
        self, known: NeighborEvidence, tried: list[Candidate], scores: list[float]
    ) -> IntArray:
        """Return the places of the best score and of what may be as good."""
        if np.isnan(scores).all():
            raise ValueError(
                f"scoring={self.scoring!r} is nan for every candidate; choose one that "
                "is defined for these labels."
            )
        comparable = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        if self.scoring is not None:
            return np.flatnonzero(ranks(comparable) == 1)
        texts, right = np.arange(len(known.codes)), known.right
        answers = np.stack([right[texts, candidate.exits] for candidate in tried])
        best = answers[int(comparable.argmax())]
        worse = Paired.of(answers, best, known.weights).is_surely_worse()
        return np.flatnonzero(~worse)

    @staticmethod
    def _best(results: dict[str, Any], places: IntArray) -> int:
        """Return the deepest of some candidates."""
        merits = [results["mean_exit_layer"]]
        for name, sign in (("k", -1), ("tau", 1), ("budget", -1)):
            if f"param_{name}" in results:
                merits.append(sign * results[f"param_{name}"].data)
        return int(places[best_of(*(merit[places] for merit in merits))])


@dataclass(frozen=True, eq=False)
class Candidate:
    """One choice that was tried.

    Attributes
    ----------
    params : dict
        What was set.
    exits : ndarray of shape (n,)
        Where the texts of fit would stop without themselves.
    found : dict
        What follows from it, as attributes.
    """

    params: dict[str, Any]
    exits: IntArray
    found: dict[str, Any] = field(default_factory=dict)


def _cv_results(
    tried: list[Candidate], scores: list[float], costs: Float64Array
) -> dict[str, Any]:
    """Lay out what was tried as `GridSearchCV` does; a score of NaN ranks last."""
    known = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    params = [candidate.params for candidate in tried]
    return {
        "params": params,
        **{
            f"param_{name}": np.ma.array([p[name] for p in params])
            for name in params[0]
        },
        "mean_test_score": np.array(scores),
        "rank_test_score": ranks(known),
        "mean_exit_layer": np.array([c.exits.mean() for c in tried]),
        "mean_cost": np.array([costs[c.exits].mean() for c in tried]),
    }
