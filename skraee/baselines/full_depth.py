"""The backbone itself: every text runs all layers."""

from __future__ import annotations

import numpy as np

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device
from skraee.baselines.base import (
    BaselineClassifier,
    FittedBaseline,
    Learned,
    TrainingTexts,
)
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.head import label_head
from skraee.engine.run import Run
from skraee.engine.scorer import LabelScorer
from skraee.sweep.sweeper import Sweeper
from skraee.text.label_words import LabelWords
from skraee.text.prompt import Prompt
from skraee.text.template import Template


class FullDepthClassifier(BaselineClassifier):
    """Classify text with all layers of a frozen language model, without learning.

    What every early exit is measured against: the label words' softmax behind the
    last layer. `fit` looks at the classes only; no text passes the backbone there.

    Parameters
    ----------
    backbone : str, Path or Backbone
        Hub name, local folder, ``.gguf`` file, or a :class:`skraee.Backbone`. A larger
        one is more accurate and slower.
    template : str or Template
        The prompt, with ``{text}`` and, for masked models, ``{mask}``. Change it first
        when accuracy is poor.
    label_words : dict, list of str, or None, default=None
        Class -> the word that the model says for it, or the words in the order of
        sorted `classes_`. None takes the class names, when all are strings.
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

    References
    ----------
    The prompts and the first and last column of the tables are those of Huang et al.,
    "RAEE: A Robust Retrieval-Augmented Early Exit Framework for Efficient Inference",
    ICLR 2026, arXiv 2405.15198.

    Examples
    --------
    >>> from skraee import toy
    >>> from skraee.baselines import FullDepthClassifier
    >>> X, y = toy.reviews(40)
    >>> clf = FullDepthClassifier(toy.backbone(), "{text} it was {mask}.",
    ...                           label_words=toy.LABEL_WORDS).fit(X, y)
    >>> clf.exit_layers(["a lovely film"])
    array([4])
    """

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        *,
        label_words: LabelWords = None,
        max_length: int | None = None,
        batch_tokens: BatchTokens = "auto",
        device: Device = "auto",
        dtype: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.template = template
        self.label_words = label_words
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, train: TrainingTexts) -> Learned:
        return Learned()

    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Run:
        scorer = LabelScorer(label_head(sweeper.backbone, fitted.token_ids))
        return sweeper.engine.run(
            prompts, ExitPolicy(), scorer, on_progress=on_progress
        )
