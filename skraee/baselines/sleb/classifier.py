"""SLEB: whole blocks that the language model misses least are left out for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from skraee.backbone.handle import Backbone
from skraee.backbone.loaded import LoadedBackbone
from skraee.backbone.precision import Device
from skraee.baselines.base import (
    BaselineClassifier,
    FittedBaseline,
    IntArray,
    Learned,
    TrainingTexts,
)
from skraee.baselines.sleb.block_removal import removable_blocks, without_blocks
from skraee.baselines.sleb.block_search import find_removal_order
from skraee.baselines.sleb.exercises import exercises_for
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.head import label_head
from skraee.engine.run import Run
from skraee.engine.scorer import LabelScorer
from skraee.estimator.checks import check_integer, check_sequence
from skraee.retrieval.keys import joined
from skraee.sweep.sweeper import Sweeper
from skraee.text.inputs import check_texts
from skraee.text.label_words import LabelWords
from skraee.text.prompt import Prompt
from skraee.text.template import Template

# Share of the blocks that is removed by default, as the RAEE paper compares it.
_SHARE = 0.6


class SLEBClassifier(BaselineClassifier):
    """Leave out the blocks without which the language-model loss stays lowest.

    ``fit`` removes one block after the other: in each round it tries what the loss on
    calibration texts is without each block that is left, and removes the best one. A
    removed block returns its input. ``predict`` runs the blocks that are left, for
    every text, and reads the label words behind them. Labels play no part in it.

    Parameters
    ----------
    backbone : str, Path or Backbone
        Hub name, local folder, ``.gguf`` file, or a :class:`skraee.Backbone`. It stays
        as it is; the classifier runs a view of it.
    template : str or Template
        The prompt, as :class:`skraee.RAEEClassifier` takes it. Change it first when
        accuracy at full depth is poor.
    label_words : dict, list of str, or None, default=None
        Class -> the word that the model says for it, or the words in the order of
        sorted `classes_`. None takes the class names, when all are strings.
    n_remove : int or None, default=None
        Blocks to remove. None: 60 % of them, as far as there are so many that may go.
        Lower it where accuracy suffers: most models lose little by the first 10 to
        20 %.
    removal_order : sequence of int or None, default=None
        Blocks in the order of their removal, as `removal_order_` of an earlier fit; the
        first `n_remove` go, and nothing is searched. Give it wherever the same backbone
        is fitted more than once: the search is long. Blocks count from 0, those of a
        T5's decoder on from its encoder's.
    calibration_texts : sequence of str or None, default=None
        Texts to measure the loss on, all of them. None: a sample of the training texts,
        the fields of each joined by a space. Give others to choose blocks for every
        task at once.
    n_calibration : int, default=128
        Training texts in the sample. Lower it for a faster search, raise it where two
        seeds remove very different blocks.
    max_length : int or None, default=None
        Longest prompt, and longest calibration text, in tokens; longer ones are cut at
        their end. Lower it to bound the time for long texts.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch. Lower it where other programs need memory.
    device : str, torch.device or list of these, default="auto"
        Of several, each takes the layers that the ones before it have no room for:
        for a model larger than one GPU. "auto" is all GPUs, else the CPU.
    dtype : {"auto", "bfloat16", "float16", "float32"}, default="auto"
        Numbers that the backbone computes in. "float32" for comparisons to the digit.
    random_state : int, RandomState instance or None, default=None
        Seeds the sample and what of a calibration text is masked; None is 0. Change it
        to see how much is chance.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    removal_order_ : ndarray of shape (n_removed,), int
        Blocks that are left out, in the order of their removal.
    removal_losses_ : ndarray of shape (n_removed,)
        Mean loss (nats per predicted token) after each removal; empty where the order
        was handed over.
    classes_ : ndarray of shape (C,)
        The classes, sorted.
    n_layers_ : int
        Number of layers m of the whole backbone; `exit_layers` is the number of blocks
        left.
    cost_ : ndarray of shape (m + 1,)
        Counted share of a full pass at each depth.

    Notes
    -----
    Choices made here:

    - The first and the last block are never removed, of a T5 those of encoder and
      decoder each; in the first are its position biases.
    - Of equally good blocks the first one goes.
    - Causal models: loss of each next token. The paper knows no others. Masked models:
      loss of 15 % of the tokens, masked, the same ones in all rounds
      (pseudo-likelihood). T5: its decoder's loss on spans left out, 15 % of the tokens,
      the same ones in all rounds.
    - Calibration texts are plain texts with the special tokens around them, not
      prompts. The mean is over predicted tokens, so longer texts count for more.
    - In a round, what runs before the block that is tried is computed once and carried
      on to the next block.

    References
    ----------
    Song et al., "SLEB: Streamlining LLMs through Redundancy Verification and
    Elimination of Transformer Blocks", ICML 2024, arXiv 2402.09025.

    Examples
    --------
    >>> from skraee import toy
    >>> from skraee.baselines import SLEBClassifier
    >>> X, y = toy.reviews(60)
    >>> clf = SLEBClassifier(toy.backbone(), "{text} it was {mask}.",
    ...                      label_words=toy.LABEL_WORDS, n_remove=1)
    >>> labels, layers = clf.fit(X, y).predict(X[:3], return_exit_layers=True)
    >>> clf.n_layers_, layers
    (4, array([3, 3, 3]))
    """

    removal_order_: IntArray
    removal_losses_: npt.NDArray[np.float64]

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        *,
        label_words: LabelWords = None,
        n_remove: int | None = None,
        removal_order: Sequence[int] | None = None,
        calibration_texts: Any = None,
        n_calibration: int = 128,
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
        self.n_remove = n_remove
        self.removal_order = removal_order
        self.calibration_texts = calibration_texts
        self.n_calibration = n_calibration
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_remove is not None:
            check_integer("n_remove", self.n_remove, least=0)
        if self.removal_order is not None:
            check_sequence("removal_order", self.removal_order)
            for block in self.removal_order:
                check_integer("every block of removal_order", block, least=0)
        if self.calibration_texts is not None:
            check_texts(self.calibration_texts)
        check_integer("n_calibration", self.n_calibration, least=1)

    def _learn(self, train: TrainingTexts) -> Learned:
        backbone = train.sweeper.backbone
        n_remove = self._n_remove(backbone, train.sweeper.n_layers)
        if self.removal_order is None:
            removed, losses = self._search(train, n_remove)
        else:
            removed, losses = self._given(backbone, n_remove), []
        attributes = {
            "removal_order_": np.array(removed, dtype=np.int64),
            "removal_losses_": np.array(losses, dtype=np.float64),
        }
        return Learned(tuple(removed), attributes)

    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Run:
        rest = without_blocks(sweeper.backbone, fitted.learned)
        engine = Engine(rest, self.batch_tokens)
        scorer = LabelScorer(label_head(rest, fitted.token_ids))
        return engine.run(prompts, ExitPolicy(), scorer, on_progress=on_progress)

    def _setting(self) -> dict[str, Any]:
        order = None if self.removal_order is None else tuple(self.removal_order)
        return {"n_remove": self.n_remove, "removal_order": order}

    def _n_remove(self, backbone: LoadedBackbone, n_layers: int) -> int:
        """Return how many blocks go."""
        most = len(removable_blocks(backbone))
        if self.n_remove is None:
            return min(int(_SHARE * n_layers), most)
        if self.n_remove > most:
            raise ValueError(
                f"n_remove must be at most {most} for this backbone of {n_layers} "
                "blocks, of which the first and the last always stay, got "
                f"{self.n_remove}; lower it."
            )
        return self.n_remove

    def _given(self, backbone: LoadedBackbone, n_remove: int) -> list[int]:
        """Return the blocks to remove of an order that was handed over."""
        assert self.removal_order is not None
        order = [int(block) for block in self.removal_order]
        allowed = removable_blocks(backbone)
        wrong = [block for block in order if block not in allowed]
        if wrong or len(set(order)) < len(order):
            raise ValueError(
                f"removal_order must name blocks of {allowed} once each, got {order}; "
                "give the removal_order_ of a fit with this backbone."
            )
        if len(order) < n_remove:
            raise ValueError(
                f"removal_order names {len(order)} blocks and {n_remove} are to be "
                "removed; name more, or set n_remove."
            )
        return order[:n_remove]

    def _search(
        self, train: TrainingTexts, n_remove: int
    ) -> tuple[list[int], list[float]]:
        """Find the blocks to remove."""
        random = check_random_state(self._seed())
        texts = self._sample_texts(train, random)
        backbone = train.sweeper.backbone
        exercises = exercises_for(backbone, texts, random, self.max_length)
        done = np.linspace(0, len(train.samples), n_remove + 1).astype(int)
        shares = iter(np.diff(done).tolist())

        def on_progress(n_rounds: int) -> None:
            if train.on_progress is not None:
                train.on_progress(next(shares))

        return find_removal_order(
            backbone, exercises, n_remove, self.batch_tokens, on_progress
        )

    def _sample_texts(
        self, train: TrainingTexts, random: np.random.RandomState
    ) -> list[str]:
        """Return the calibration texts."""
        if self.calibration_texts is not None:
            return [text for (text,) in check_texts(self.calibration_texts)]
        texts = joined(train.samples)
        chosen = random.permutation(len(texts))[: self.n_calibration]
        return [texts[number] for number in chosen]
