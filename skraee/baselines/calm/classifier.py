"""CALM: a text stops where a confidence reaches a threshold, which may be calibrated.

The calibration is Learn-then-Test with a fixed sequence of thresholds:
:func:`learn_then_test`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device
from skraee.baselines.base import (
    BaselineClassifier,
    FittedBaseline,
    Float32Array,
    IntArray,
    Scored,
    TrainingTexts,
)
from skraee.baselines.measures import Measure, MeasuredScorer, at_every_depth
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.exit_policy import ExitPolicy
from skraee.estimator.checks import check_choice, check_integer, check_real
from skraee.sweep.sweeper import Sweeper
from skraee.text.label_words import LabelWords
from skraee.text.prompt import Prompt
from skraee.text.template import Template

Float64Array = npt.NDArray[np.float64]

# CALM's confidence -> what is measured.
_MEASURES: dict[str, Measure] = {
    "softmax": "labels",
    "vocab": "vocab",
    "state": "state",
    "entropy": "entropy",
}
# The threshold that no confidence reaches.
_NEVER = {"softmax": np.inf, "vocab": np.inf, "state": np.inf, "entropy": 0.0}
_N_CANDIDATES = 101


class CALMClassifier(BaselineClassifier):
    """Classify text; each stops at the first depth that is confident (CALM).

    Three measures of confidence are the paper's: the lead of the largest probability
    over the second, the likeness of a state and the one before it; the third, a
    trained classifier, is left out, and the entropy that the RAEE paper names is put
    in. The threshold is a number, or `fit` calibrates it so that early answers differ
    from full-depth ones in no more than a share `delta` of texts, with probability
    ``1 - epsilon`` over the calibration texts.

    `fit` with a number reads nothing. With ``threshold="calibrated"`` it reads every
    depth of every text once: nothing else is learned, so all texts given to it are
    calibration texts. They must be drawn as the texts to come are.

    Choices that the paper leaves open or that a classifier makes: one token is the
    answer, so the threshold does not decay over decoding steps; a sequence-to-sequence
    model always runs its encoder, and only its decoder's layers are left out, other
    models exit at all layers; the softmax runs over the label words by default.

    Parameters
    ----------
    backbone : str, Path or Backbone
        Hub name, local folder, ``.gguf`` file, or a :class:`skraee.Backbone`. A larger
        one is more accurate and slower.
    template : str or Template
        The prompt, with ``{text}`` and, for masked models, ``{mask}``. Change it first
        when accuracy at full depth is poor.
    label_words : dict, list of str, or None, default=None
        Class -> the word that the model says for it, or the words in the order of
        sorted `classes_`. None takes the class names, when all are strings.
    measure : {"softmax", "vocab", "state", "entropy"}, default="softmax"
        The confidence. "softmax": the largest less the second largest probability of
        the label words; "vocab": of the whole vocabulary, CALM's own, at the cost of
        the whole output matrix at every depth; "state": the cosine of a depth's state
        and the one before, 0 where there is none; "entropy": that of the label words
        with the natural logarithm, where less is more confident.
    threshold : float or "calibrated", default=0.9
        A text stops where the confidence is at least this; for "entropy", where it is
        below this. Raise it (for "entropy" lower it) for later exits. "calibrated"
        where the early answers must be those of the whole model.
    risk : {"consistency", "accuracy"}, default="consistency"
        What calibration bounds: the share of texts whose early answer is another than
        that at full depth, or the share that full depth answers rightly and the early
        exit wrongly, which bounds the loss of accuracy.
    delta : float, default=0.05
        Bound of the risk, in (0, 1). Raise it for earlier exits.
    epsilon : float, default=0.05
        Probability, in (0, 1), with which calibration may miss the bound. With the
        defaults 600 texts are the fewest that can show anything.
    min_exit : int, default=1
        Smallest depth at which a text may stop; a decoder's first layer where that is
        deeper. 0 lets texts leave before the first layer.
    max_length : int or None, default=None
        Longest prompt in tokens. Lower it to bound the time for long texts.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch. Change it where memory is short.
    device : str or torch.device, default="auto"
        Change it where the first GPU is not the one to use.
    dtype : {"auto", "bfloat16", "float16", "float32"}, default="auto"
        Numbers that the backbone computes in. "float32" where rounding matters more
        than time.
    memory : "process", None, str, Path or joblib.Memory, default="process"
        Where fit keeps what it read of texts. Give a folder for later processes.
        `predict` never looks there.
    random_state : int, RandomState instance or None, default=None
        Taken so that baselines can be exchanged; nothing here is drawn.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The classes, sorted.
    n_layers_ : int
        Number of layers m of the backbone.
    cost_ : ndarray of shape (m + 1,)
        Counted share of a full pass at each depth.
    threshold_ : float
        With ``threshold="calibrated"``: the one that was found. Infinite (for
        "entropy" 0) where none passed the test; all texts then run all layers.

    References
    ----------
    Schuster et al., "Confident Adaptive Language Modeling", NeurIPS 2022, arXiv
    2207.07061. Angelopoulos et al., "Learn then Test", 2021, arXiv 2110.01052.

    Examples
    --------
    >>> from skraee import toy
    >>> from skraee.baselines import CALMClassifier
    >>> X, y = toy.reviews(60)
    >>> clf = CALMClassifier(toy.backbone(), "{text} it was {mask}.",
    ...                      label_words=toy.LABEL_WORDS, threshold=0.3).fit(X, y)
    >>> clf.predict(["a lovely film", "the waiter was cold and slow"])
    array(['positive', 'negative'], dtype='<U8')
    """

    threshold_: float

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        *,
        label_words: LabelWords = None,
        measure: Literal["softmax", "vocab", "state", "entropy"] = "softmax",
        threshold: float | Literal["calibrated"] = 0.9,
        risk: Literal["consistency", "accuracy"] = "consistency",
        delta: float = 0.05,
        epsilon: float = 0.05,
        min_exit: int = 1,
        max_length: int | None = None,
        batch_tokens: BatchTokens = "auto",
        device: Device = "auto",
        dtype: str = "auto",
        memory: Any = "process",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.template = template
        self.label_words = label_words
        self.measure = measure
        self.threshold = threshold
        self.risk = risk
        self.delta = delta
        self.epsilon = epsilon
        self.min_exit = min_exit
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("measure", self.measure, tuple(_MEASURES))
        check_choice("risk", self.risk, ("consistency", "accuracy"))
        for name in ("delta", "epsilon"):
            check_real(
                name,
                getattr(self, name),
                "lie between 0 and 1 and be neither of them",
                lambda share: 0 < share < 1,
            )
        check_integer("min_exit", self.min_exit, least=0)
        if not self._is_calibrated():
            rule = "be a number, or 'calibrated'"
            if isinstance(self.threshold, str):
                raise ValueError(f"threshold must {rule}, got {self.threshold!r}.")
            check_real("threshold", self.threshold, rule, lambda it: not isnan(it))

    def _is_calibrated(self) -> bool:
        return isinstance(self.threshold, str) and self.threshold == "calibrated"

    def _setting(self) -> dict[str, Any]:
        if not self._is_calibrated():
            return {"threshold": "a number"}
        return {
            "threshold": "calibrated",
            "measure": self.measure,
            "min_exit": self.min_exit,
        }

    def _learn(self, task: TrainingTexts) -> tuple[Any, dict[str, Any]]:
        first = self._first(task.sweeper)
        if not self._is_calibrated():
            return None, {}
        scores = at_every_depth(task, self._scorer(task.sweeper, task.token_ids))
        scores = scores[:, first:]
        answers = scores[:, :, : task.n_classes].argmax(axis=2)
        losses = losses_of(answers, None if self.risk == "consistency" else task.codes)
        threshold = calibrated(
            scores[:, :, task.n_classes],
            losses,
            candidates_for(self.measure, task.n_classes),
            delta=self.delta,
            epsilon=self.epsilon,
            small_is_confident=self.measure == "entropy",
        )
        if threshold is None:
            _warn_of_no_threshold(len(losses), self.delta, self.epsilon)
            threshold = _NEVER[self.measure]
        return threshold, {"threshold_": threshold}

    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Scored:
        threshold = fitted.learned if self._is_calibrated() else self.threshold
        policy = ByMeasure(
            float(threshold),
            self._first(sweeper),
            small_is_confident=self.measure == "entropy",
            column=fitted.n_classes,
        )
        scorer = self._scorer(sweeper, fitted.token_ids)
        run = sweeper.engine.run(prompts, policy, scorer, on_progress=on_progress)
        return run.scores[:, : fitted.n_classes], run.exits

    def _first(self, sweeper: Sweeper) -> int:
        """Return the smallest depth at which texts may stop."""
        check_integer("min_exit", self.min_exit, least=0, most=sweeper.n_layers)
        n_encoder = sweeper.engine.n_encoder_layers
        return max(self.min_exit, n_encoder + 1) if n_encoder else self.min_exit

    def _scorer(self, sweeper: Sweeper, token_ids: tuple[int, ...]) -> MeasuredScorer:
        measure = _MEASURES[self.measure]
        return MeasuredScorer(
            sweeper.backbone, token_ids, measure, self._first(sweeper)
        )


@dataclass(frozen=True)
class ByMeasure(ExitPolicy):
    """The first depth from `first` on whose measure passes a threshold.

    Attributes
    ----------
    threshold : float
    first : int
    small_is_confident : bool
        Whether the measure must be below the threshold; else at least as large.
    column : int
        Where among the scores the measure stands.
    """

    threshold: float
    first: int
    small_is_confident: bool
    column: int
    reads_scores = True

    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say which rows are confident."""
        if depth < self.first:
            return None
        measured = scores[:, self.column]
        if self.small_is_confident:
            return measured < self.threshold
        return measured >= self.threshold


def candidates_for(measure: str, n_classes: int) -> Float64Array:
    """Return the thresholds that calibration tries, the safest first.

    Parameters
    ----------
    measure : {"softmax", "vocab", "state", "entropy"}
    n_classes : int
        Number of classes C.

    Returns
    -------
    candidates : ndarray of shape (101,)
        1.00, 0.99, ... 0.00; for "entropy" 0 to just above log C.
    """
    ends = (1.0, 0.0)
    if measure == "entropy":
        ends = (0.0, max(float(np.log(n_classes)), 0.01) * 1.001)
    candidates: Float64Array = np.linspace(*ends, _N_CANDIDATES)
    return candidates


def losses_of(answers: IntArray, codes: IntArray | None) -> Float64Array:
    """Return what is lost by stopping at each depth, against stopping at the last.

    Parameters
    ----------
    answers : ndarray of shape (n, D)
        Predicted classes at the depths where a text may stop, the last one included.
    codes : ndarray of shape (n,) or None
        The right classes, for the loss of accuracy; None for consistency.

    Returns
    -------
    losses : ndarray of shape (n, D)
        1 or 0. For accuracy 1 where only the last depth is right.
    """
    lost: npt.NDArray[np.bool_] = answers != answers[:, -1:]
    if codes is not None:
        right = answers == codes[:, None]
        lost = right[:, -1:] & ~right
    return lost.astype(np.float64)


def calibrated(
    measured: Float32Array,
    losses: Float64Array,
    candidates: Float64Array,
    *,
    delta: float,
    epsilon: float,
    small_is_confident: bool = False,
) -> float | None:
    """Choose the threshold of the earliest exits whose risk is shown to be small.

    Parameters
    ----------
    measured : ndarray of shape (n, D)
        The measure of each calibration text at the depths where it may stop.
    losses : ndarray of shape (n, D)
        In [0, 1].
    candidates : ndarray of shape (L,)
        Thresholds, the safest first.
    delta, epsilon : float
        See :func:`learn_then_test`.
    small_is_confident : bool, default=False
        Whether a measure must be below the threshold to stop.

    Returns
    -------
    float or None
        None where not even the safest passed.
    """
    texts = np.arange(len(measured))
    of_candidates = []
    for candidate in candidates.astype(np.float32):
        stops = measured < candidate if small_is_confident else measured >= candidate
        stops[:, -1] = True
        of_candidates.append(losses[texts, stops.argmax(axis=1)])
    n_passed = learn_then_test(np.stack(of_candidates, axis=1), delta, epsilon)
    return float(candidates[n_passed - 1]) if n_passed else None


def learn_then_test(losses: Float64Array, delta: float, epsilon: float) -> int:
    """Test in their order that candidates' risks are at most delta, up to a failure.

    The p-value of a candidate is Hoeffding's: ``exp(-2 n max(0, delta - mean)**2)``.
    As the order is fixed before the losses are seen and the walk ends at the first
    failure, the probability that any candidate that passed has a risk above delta is
    at most epsilon.

    Parameters
    ----------
    losses : ndarray of shape (n, L)
        Of each calibration text under each candidate, in [0, 1].
    delta : float
        Bound of the risk.
    epsilon : float
        Probability with which the bound may be missed.

    Returns
    -------
    n_passed : int
        How many candidates passed, the first ones.

    References
    ----------
    Angelopoulos et al., "Learn then Test", 2021, arXiv 2110.01052.

    Examples
    --------
    >>> import numpy as np
    >>> losses = np.zeros((1000, 3))
    >>> losses[:100, 2] = 1
    >>> learn_then_test(losses, delta=0.05, epsilon=0.05)
    2
    """
    slack = np.maximum(0.0, delta - losses.mean(axis=0))
    p_values = np.exp(-2.0 * len(losses) * slack**2)
    failed = p_values > epsilon
    return int(failed.argmax()) if failed.any() else len(failed)


def _warn_of_no_threshold(n: int, delta: float, epsilon: float) -> None:
    n_least = int(np.ceil(np.log(1 / epsilon) / (2 * delta**2)))
    warnings.warn(
        f"no threshold could be shown to keep the risk below delta={delta:g} with "
        f"{n} texts, so every text will run all layers; {n_least} texts are the "
        "fewest with which one can: give more texts, or raise delta or epsilon.",
        UserWarning,
        stacklevel=4,
    )
