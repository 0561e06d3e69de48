"""CALM: a text stops where a confidence reaches a threshold, which may be calibrated.

The calibration is Learn-then-Test with a fixed sequence of thresholds:
:mod:`skraee.exits.risk`.
"""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import Any, Literal

import numpy as np

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device
from skraee.baselines.base import (
    BaselineClassifier,
    FittedBaseline,
    Learned,
    TrainingTexts,
)
from skraee.baselines.calm.confidence import MEASURES, NEVER, ByMeasure, candidates_for
from skraee.baselines.measures import MeasuredScorer, at_every_depth
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.run import Run
from skraee.estimator.checks import check_choice, check_integer, check_real
from skraee.exceptions import warn_user
from skraee.exits.risk import early_losses, fewest_texts, safe_threshold
from skraee.sweep.sweeper import Sweeper
from skraee.text.label_words import LabelWords
from skraee.text.prompt import Prompt
from skraee.text.template import Template


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
    device : str, torch.device or list of these, default="auto"
        Of several, each takes the layers that the ones before it have no room for:
        for a model larger than one GPU. "auto" is all GPUs, else the CPU.
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
        "entropy" 0) where none passed the test; all texts then run all layers, and
        `fit` warns of it.

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
        check_choice("measure", self.measure, tuple(MEASURES))
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

    def _setting(self) -> dict[str, Any]:
        if not self._is_calibrated():
            return {"threshold": "a number"}
        return {
            "threshold": "calibrated",
            "measure": self.measure,
            "min_exit": self.min_exit,
        }

    def _learn(self, train: TrainingTexts) -> Learned:
        first = self._first(train.sweeper)
        if not self._is_calibrated():
            return Learned()
        scores = at_every_depth(train, self._scorer(train.sweeper, train.token_ids))
        scores = scores[:, first:]
        answers = scores[:, :, : train.n_classes].argmax(axis=2)
        codes = train.codes if self.risk == "accuracy" else None
        threshold = safe_threshold(
            scores[:, :, train.n_classes],
            early_losses(answers, codes),
            candidates_for(self.measure, train.n_classes),
            delta=self.delta,
            epsilon=self.epsilon,
            small_is_confident=self.measure == "entropy",
        )
        if threshold is None:
            threshold = NEVER[self.measure]
            warn_user(self._no_threshold_message(len(scores)), UserWarning)
        return Learned(threshold, {"threshold_": threshold})

    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Run:
        threshold = fitted.learned if self._is_calibrated() else self.threshold
        policy = ByMeasure(
            float(threshold),
            self._first(sweeper),
            small_is_confident=self.measure == "entropy",
            column=fitted.n_classes,
        )
        scorer = self._scorer(sweeper, fitted.token_ids)
        run = sweeper.engine.run(prompts, policy, scorer, on_progress=on_progress)
        return replace(run, scores=run.scores[:, : fitted.n_classes])

    def _is_calibrated(self) -> bool:
        return isinstance(self.threshold, str) and self.threshold == "calibrated"

    def _first(self, sweeper: Sweeper) -> int:
        """Return the smallest depth at which texts may stop."""
        check_integer("min_exit", self.min_exit, least=0, most=sweeper.n_layers)
        n_encoder = sweeper.engine.n_encoder_layers
        return max(self.min_exit, n_encoder + 1) if n_encoder else self.min_exit

    def _scorer(self, sweeper: Sweeper, token_ids: tuple[int, ...]) -> MeasuredScorer:
        measure = MEASURES[self.measure]
        return MeasuredScorer(
            sweeper.backbone, token_ids, measure, self._first(sweeper)
        )

    def _no_threshold_message(self, n_texts: int) -> str:
        return (
            f"no threshold could be shown to keep the risk below delta={self.delta:g} "
            f"with {n_texts} texts, so every text will run all layers; "
            f"{fewest_texts(self.delta, self.epsilon)} texts are the fewest with which "
            "one can: give more texts, or raise delta or epsilon."
        )
