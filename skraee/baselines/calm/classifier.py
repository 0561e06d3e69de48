"""CALM: a text stops where a confidence reaches a threshold, which may be calibrated.

The calibration is Learn-then-Test with a fixed sequence of thresholds:
:mod:`skraee.exits.risk`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device
from skraee.baselines.base import (
    BaselineClassifier,
    FittedBaseline,
    Learned,
    TrainingTexts,
)
from skraee.baselines.calm.confidence import MEASURES, ByMeasure, candidates_for, never
from skraee.baselines.calm.exit_classifier import (
    ClassifierScorer,
    ExitClassifier,
    train_exit_classifier,
)
from skraee.baselines.measures import MeasuredScorer, at_every_depth
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.run import Run
from skraee.engine.scorer import Scorer
from skraee.estimator.checks import check_choice, check_integer, check_real
from skraee.exceptions import warn_user
from skraee.exits.risk import early_losses, fewest_texts, safe_threshold
from skraee.sweep.sweeper import Sweeper
from skraee.text.label_words import LabelWords
from skraee.text.prompt import Prompt
from skraee.text.template import Template

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class CALMClassifier(BaselineClassifier):
    """Classify text; each stops at the first depth that is confident (CALM).

    Three measures of confidence are the paper's: the lead of the largest probability
    over the second in the softmax over the vocabulary, the likeness of a state and the
    one before it, and a linear classifier on the state. The same lead among the label
    words alone, and the entropy that the RAEE paper names, stand beside them. The
    threshold is a number, or `fit` calibrates it so that early answers differ from
    full-depth ones in no more than a share `delta` of texts, with probability
    ``1 - epsilon`` over the calibration texts.

    `fit` with a number reads nothing, unless the measure is trained. With
    ``threshold="calibrated"`` it reads every depth of every text once, and all texts
    given to it are calibration texts; where the measure is trained, half of them are,
    for the promise holds for texts that the training has not seen. They must be drawn
    as the texts to come are.

    Choices that the paper leaves open or that a classifier makes: one token is the
    answer, so the threshold does not decay over decoding steps; the answer is the
    likeliest label word, not the likeliest token; a sequence-to-sequence model always
    runs its encoder, and only its decoder's layers are left out, other models exit at
    all layers.

    The trained measure is one linear classifier for all depths. From every depth before
    the last it learns whether the answer there is that at full depth, and at each depth
    both labels weigh alike, as in the published program. Adapted here: a logistic
    regression (scikit-learn's, with C=1, on 20,000 pairs of text and depth at the most)
    stands for the paper's gradient steps; and it reads standardised states behind the
    final norm, which have one size at all depths, as raw states of many models do not.

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
    measure : {"vocab", "state", "classifier", "labels", "entropy"}, default="vocab"
        The confidence. "vocab": the largest less the second largest probability of the
        whole vocabulary, at the cost of the whole output matrix at every depth; the
        default, as it is what the paper calls its softmax measure. "state": the cosine
        of a depth's state and the one before, 0 where there is none; it costs next to
        nothing. "classifier": the trained probability that the answer is the final one;
        as cheap. "labels": as "vocab", but among the label words alone; cheap, and
        surer of itself. "entropy": that of the label words with the natural logarithm,
        where less is more confident.
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
        defaults 600 texts are the fewest that can show anything, 1,200 where half of
        them train the measure.
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
        Draws which texts train the measure "classifier" and which calibrate, and what
        of very many is trained on; None is 0. Change it to see how much is chance.
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
    exit_classifier_ : ExitClassifier
        With ``measure="classifier"``: its `coef` (H,) and `intercept`.

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
    exit_classifier_: ExitClassifier

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        *,
        label_words: LabelWords = None,
        measure: Literal["vocab", "state", "classifier", "labels", "entropy"] = "vocab",
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
                0.05,
            )
        check_integer("min_exit", self.min_exit, least=0)
        if not self._is_calibrated():
            rule = "be a number, or 'calibrated'"
            if isinstance(self.threshold, str):
                raise ValueError(
                    f"threshold must {rule}, got {self.threshold!r}; try 0.9."
                )
            check_real("threshold", self.threshold, rule, lambda it: not isnan(it), 0.9)

    def _setting(self) -> dict[str, Any]:
        if self._is_calibrated():
            names = ("threshold", "measure", "min_exit")
            return {name: getattr(self, name) for name in names}
        measure = self.measure if self._is_trained() else "one without training"
        return {"threshold": "a number", "measure": measure}

    def _learn(self, train: TrainingTexts) -> Learned:
        first = self._first(train.sweeper)
        if not (self._is_calibrated() or self._is_trained()):
            return Learned(_Learned())
        scores = at_every_depth(train, self._measured(train.sweeper, train.token_ids))
        scores = scores[:, first:]
        answers = scores[:, :, : train.n_classes].argmax(axis=2)
        measured = scores[:, :, train.n_classes :]
        attributes: dict[str, Any] = {}
        texts, classifier, threshold = np.arange(len(scores)), None, None
        if self._is_trained():
            classifier, texts = self._train(measured, answers)
            measured = classifier.confidence(measured)[:, :, None]
            attributes["exit_classifier_"] = classifier
        if self._is_calibrated():
            threshold = self._calibrate(
                measured[texts, :, 0],
                answers[texts],
                train.codes[texts],
                candidates_for(self.measure, train.n_classes),
            )
            attributes["threshold_"] = threshold
        return Learned(_Learned(threshold, classifier), attributes)

    def _train(
        self, states: Float32Array, answers: IntArray
    ) -> tuple[ExitClassifier, IntArray]:
        """Train the measure; return it with the texts that are left for calibration."""
        random = check_random_state(self._seed())
        texts = random.permutation(len(states))
        n_training = len(texts) - len(texts) // 2 if self._is_calibrated() else None
        training, rest = texts[:n_training], texts[n_training:]
        agrees = answers[training, :-1] == answers[training, -1:]
        classifier = train_exit_classifier(states[training, :-1], agrees, random)
        return classifier, rest if len(rest) else texts

    def _calibrate(
        self,
        measured: Float32Array,
        answers: IntArray,
        codes: IntArray,
        candidates: Float64Array,
    ) -> float:
        """Return the threshold of the earliest exits that are shown to be safe."""
        threshold = safe_threshold(
            measured,
            early_losses(answers, codes if self.risk == "accuracy" else None),
            candidates,
            delta=self.delta,
            epsilon=self.epsilon,
            small_is_confident=self.measure == "entropy",
        )
        if threshold is None:
            threshold = never(self.measure)
            warn_user(self._no_threshold_message(len(measured)), UserWarning)
        return threshold

    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Run:
        learned: _Learned = fitted.learned
        given = None if isinstance(self.threshold, str) else self.threshold
        threshold = learned.threshold if given is None else given
        assert threshold is not None
        policy = ByMeasure(
            float(threshold),
            self._first(sweeper),
            small_is_confident=self.measure == "entropy",
            column=fitted.n_classes,
        )
        measured = self._measured(sweeper, fitted.token_ids)
        scorer: Scorer = measured
        if learned.classifier is not None:
            scorer = ClassifierScorer(measured, learned.classifier, fitted.n_classes)
        run = sweeper.engine.run(prompts, policy, scorer, on_progress=on_progress)
        return replace(run, scores=run.scores[:, : fitted.n_classes])

    def _is_calibrated(self) -> bool:
        return isinstance(self.threshold, str) and self.threshold == "calibrated"

    def _is_trained(self) -> bool:
        return self.measure == "classifier"

    def _first(self, sweeper: Sweeper) -> int:
        """Return the smallest depth at which texts may stop."""
        check_integer("min_exit", self.min_exit, least=0, most=sweeper.n_layers)
        n_encoder = sweeper.engine.n_encoder_layers
        return max(self.min_exit, n_encoder + 1) if n_encoder else self.min_exit

    def _measured(self, sweeper: Sweeper, token_ids: tuple[int, ...]) -> MeasuredScorer:
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


@dataclass(frozen=True, eq=False)
class _Learned:
    threshold: float | None = None
    classifier: ExitClassifier | None = None
