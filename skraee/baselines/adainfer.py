"""AdaInfer: a support vector machine says on the way whether a text is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from sklearn.dummy import DummyClassifier
from sklearn.svm import SVC
from sklearn.utils import check_random_state
from torch import Tensor

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device
from skraee.baselines.base import (
    BaselineClassifier,
    FittedBaseline,
    Learned,
    TrainingTexts,
)
from skraee.baselines.measures import MeasuredScorer, at_every_depth
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.run import Run
from skraee.estimator.checks import check_choice, check_integer
from skraee.sweep.sweeper import Sweeper
from skraee.text.label_words import LabelWords
from skraee.text.prompt import Prompt
from skraee.text.template import Template


class AdaInferClassifier(BaselineClassifier):
    """Classify text; a support vector machine stops each text on its way (AdaInfer).

    At every depth the read position's state goes through the model's head. Two
    features, the largest probability and its lead over the second, go into a support
    vector machine that was trained to know depths whose answer is right. The text
    stops at the first depth that it accepts, else it runs all layers.

    `fit` reads every depth of every training text once and trains the machine on all
    pairs of text and depth, from `min_exit` on. The probabilities are the label words'
    softmax at the exit.

    As in the paper a text gives one pair for each depth, a positive one where the
    answer there is the right one, and one machine serves all depths. Choices that the
    paper leaves open or that a classifier makes: the answer is the likeliest label
    word, not the likeliest token; scikit-learn's default kernel and constants, on the
    features as they are; where all pairs have one label, that is the answer for all.

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
    features : {"vocab", "labels"}, default="vocab"
        What the softmax runs over. "vocab" is the paper's and costs the whole output
        matrix at every depth; "labels" is cheap and often as good.
    target : {"gold", "final"}, default="gold"
        What a depth must agree with to be right: the label, as in the paper, or the
        answer at full depth. "gold" lets a text stop where a shallow answer beats the
        final one. "final" stops earlier where the full depth is often wrong, and keeps
        its answers; choose it where those of the whole model are wanted.
    min_exit : int, default=1
        Smallest depth at which a text may stop. 0 gives the RAEE paper's tables, in
        which texts leave before the first layer.
    max_pairs : int, default=20000
        Pairs of text and depth to train on; more are drawn from. The time of training
        grows with their square.
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
        Draws the pairs. None is 0.
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
    svc_ : SVC or DummyClassifier
        Says of features (gap, top) whether to stop: 1 or 0.

    References
    ----------
    Fan et al., "Not All Layers of LLMs Are Necessary During Inference", 2024, arXiv
    2403.02181.

    Examples
    --------
    >>> from skraee import toy
    >>> from skraee.baselines import AdaInferClassifier
    >>> X, y = toy.reviews(60)
    >>> clf = AdaInferClassifier(toy.backbone(), "{text} it was {mask}.",
    ...                          label_words=toy.LABEL_WORDS).fit(X, y)
    >>> clf.predict(["a lovely film", "the waiter was cold and slow"])
    array(['positive', 'negative'], dtype='<U8')
    """

    _fixed: ClassVar[tuple[str, ...]] = ("features", "min_exit")

    svc_: SVC | DummyClassifier

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        *,
        label_words: LabelWords = None,
        features: Literal["vocab", "labels"] = "vocab",
        target: Literal["gold", "final"] = "gold",
        min_exit: int = 1,
        max_pairs: int = 20_000,
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
        self.features = features
        self.target = target
        self.min_exit = min_exit
        self.max_pairs = max_pairs
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("features", self.features, ("vocab", "labels"))
        check_choice("target", self.target, ("gold", "final"))
        check_integer("min_exit", self.min_exit, least=0)
        check_integer("max_pairs", self.max_pairs, least=1)

    def _learn(self, train: TrainingTexts) -> Learned:
        check_integer("min_exit", self.min_exit, least=0, most=train.sweeper.n_layers)
        scores = at_every_depth(train, self._scorer(train.sweeper, train.token_ids))
        scores = scores[:, self.min_exit :]
        answers = scores[:, :, : train.n_classes].argmax(axis=2)
        right = answers[:, -1] if self.target == "final" else train.codes
        is_right = (answers == right[:, None]).ravel().astype(np.int64)
        features = scores[:, :, train.n_classes :].reshape(-1, 2)
        if len(features) > self.max_pairs:
            rng = check_random_state(self._seed())
            rows = rng.choice(len(features), self.max_pairs, replace=False)
            features, is_right = features[rows], is_right[rows]
        svc = _trained(features, is_right)
        return Learned(svc, {"svc_": svc})

    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Run:
        policy = ByFeatures(fitted.learned, self.min_exit, fitted.n_classes)
        scorer = self._scorer(sweeper, fitted.token_ids)
        run = sweeper.engine.run(prompts, policy, scorer, on_progress=on_progress)
        return replace(run, scores=run.scores[:, : fitted.n_classes])

    def _scorer(self, sweeper: Sweeper, token_ids: tuple[int, ...]) -> MeasuredScorer:
        return MeasuredScorer(sweeper.backbone, token_ids, self.features, self.min_exit)


@dataclass(frozen=True)
class ByFeatures(ExitPolicy):
    """The first depth from `min_exit` on whose features a classifier accepts.

    Attributes
    ----------
    svc : SVC or DummyClassifier
    min_exit : int
    n_classes : int
        Columns before the features.
    """

    svc: SVC | DummyClassifier
    min_exit: int
    n_classes: int
    reads_scores = True

    def accepts(self, depth: int, scores: Tensor) -> Tensor | None:
        """Say which rows the classifier accepts."""
        if depth < self.min_exit:
            return None
        features = scores[:, self.n_classes :].cpu().numpy()
        is_finite = np.isfinite(features).all(axis=1)
        is_right = self.svc.predict(np.where(is_finite[:, None], features, 0.0)) == 1
        return torch.from_numpy(is_right & is_finite).to(scores.device)


def _trained(
    features: npt.NDArray[np.float32], is_right: npt.NDArray[np.int64]
) -> SVC | DummyClassifier:
    if len(np.unique(is_right)) == 1:
        return DummyClassifier(strategy="most_frequent").fit(features, is_right)
    # Its answer depends on no seed, but without one it draws from numpy's generator.
    return SVC(random_state=0).fit(features, is_right)
