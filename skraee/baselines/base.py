"""What the baselines share: inputs, prompts, engine and scikit-learn's contract.

A baseline says in two methods what it is: :meth:`BaselineClassifier._learn` turns the
training texts into what predict needs, :meth:`BaselineClassifier._run` answers prompts
with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from skraee.backbone.handle import Backbone, as_backbone
from skraee.backbone.precision import Device
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.cost import depth_costs
from skraee.engine.run import Run
from skraee.estimator.contract import TextClassifierMixin
from skraee.estimator.fitted import FittedTexts
from skraee.estimator.progress import progress
from skraee.sweep.chunks import Chunk
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper, open_sweeper
from skraee.text.inputs import Texts
from skraee.text.label_words import LabelWords, all_label_words
from skraee.text.prompt import Prompt
from skraee.text.template import Template
from skraee.versions import DOCS

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrainingTexts:
    """The training texts as a baseline learns from them.

    Attributes
    ----------
    sweeper : Sweeper
        The backbone in memory, its prompts and its engine.
    samples : Texts
        The n texts, field by field; some may be equal.
    codes : ndarray of shape (n,), int
        Their classes' numbers.
    n_classes : int
        Number of classes C.
    token_ids : tuple of C int
        The label words' tokens; empty where the baseline reads none.
    on_progress : callable or None
        To be told how many more texts are done.
    """

    sweeper: Sweeper
    samples: Texts
    codes: IntArray
    n_classes: int
    token_ids: tuple[int, ...]
    on_progress: OnProgress | None


@dataclass(frozen=True, eq=False)
class Learned:
    """What a baseline learned from the training texts.

    Attributes
    ----------
    value : object
        What `_run` needs; it is pickled.
    attributes : dict
        Public attributes to set, by name.
    """

    value: Any = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedBaseline(FittedTexts):
    """What a baseline keeps.

    Attributes
    ----------
    n_classes : int
        Number of classes C.
    learned : object
        The value of what `_learn` returned.
    """

    n_classes: int
    learned: Any


class BaselineClassifier(TextClassifierMixin, BaseEstimator, ABC):
    """Base class of the baselines; it has no constructor of its own.

    Parameters
    ----------
    backbone, template, max_length, batch_tokens, device, dtype, random_state, verbose
        Every baseline has these parameters; those that read label words have
        `label_words`, and those that keep what fit reads have `memory`. They mean
        what they mean in :class:`skraee.RAEEClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The classes, sorted.
    n_layers_ : int
        Number of layers m of the backbone.
    cost_ : ndarray of shape (m + 1,)
        Counted share of a full pass at each depth.
    """

    _doc_link_template = (
        DOCS and f"{DOCS}/api-baselines.html#skraee.baselines.{{estimator_name}}"
    )

    #: Names of the parameters that only fit follows.
    _fixed: ClassVar[tuple[str, ...]] = ()
    #: Whether classes are read from the label words' logits.
    _reads_label_words: ClassVar[bool] = True
    #: What to do where a checkpoint has no head.
    _without_head: ClassVar[str] = "DeeBERTClassifier, which needs none"

    backbone: str | Backbone
    template: str | Template
    label_words: LabelWords
    max_length: int | None
    batch_tokens: BatchTokens
    device: Device
    dtype: str
    memory: Any
    random_state: int | np.random.RandomState | None
    verbose: int

    classes_: npt.NDArray[Any]
    n_layers_: int
    cost_: npt.NDArray[np.float64]
    _fitted: FittedBaseline

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from labelled texts what predict needs.

        Parameters
        ----------
        X : sequence of n str, or DataFrame with a column for each field
            The texts.
        y : array-like of shape (n,)
            Their classes.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If texts, labels, template, label words or parameters do not fit; the
            estimator is then as it was.

        Warns
        -----
        InputWarning
            If texts are empty, there is one class only, or label words are read by
            the first of several tokens; once each.
        """
        self._check_parameters()
        samples, codes, classes = self._labelled(X, y)
        sweeper = self._open()
        token_ids = self._tokens(sweeper, classes)
        with progress("fit", len(samples), self.verbose) as on_progress:
            train = TrainingTexts(
                sweeper, samples, codes, len(classes), token_ids, on_progress
            )
            learned = self._learn(train)
        fitted = FittedBaseline(
            sweep_settings=sweeper.settings,
            setting=self._setting(),
            token_ids=token_ids,
            n_classes=len(classes),
            learned=learned.value,
        )
        self._keep(
            fitted,
            classes_=classes,
            n_layers_=sweeper.n_layers,
            cost_=depth_costs(sweeper.backbone),
            **learned.attributes,
        )
        return self

    # What a class says of itself.

    @abstractmethod
    def _learn(self, train: TrainingTexts) -> Learned:
        """Learn from the training texts; nothing of the estimator may change."""

    @abstractmethod
    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Run:
        """Answer prompts, each with as many layers as it needs."""

    # What all do alike.

    def _sweep_settings(self) -> SweepSettings:
        """Return how texts are read."""
        return SweepSettings(
            as_backbone(self.backbone),
            self._template(),
            self.max_length,
            self.dtype,
            by_keys=False,
        )

    def _open(self) -> Sweeper:
        """Load the backbone as the parameters say; "auto" is resolved then."""
        memory = getattr(self, "memory", None)
        settings = self._sweep_settings()
        sweeper = open_sweeper(settings, self.device, self.batch_tokens, memory)
        return sweeper.with_encoder(None)

    def _check_classes(
        self, labels: npt.NDArray[Any], classes: npt.NDArray[Any]
    ) -> None:
        if self._reads_label_words:
            all_label_words(self.label_words, classes)

    def _tokens(self, sweeper: Sweeper, classes: npt.NDArray[Any]) -> tuple[int, ...]:
        """Return the tokens of the classes' label words, where they are read."""
        if not self._reads_label_words:
            return ()
        if not sweeper.backbone.has_head:
            raise ValueError(
                f"{type(self).__name__} reads label words, and this "
                f"{sweeper.backbone.model.config.model_type} checkpoint has no "
                "language-model head; choose a backbone with one, or "
                f"{self._without_head}."
            )
        tokens = sweeper.label_tokens(self.label_words, classes)
        sweeper.warn_of_long_words(self.label_words, classes)
        return tokens.ids

    def _setting(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._fixed}

    def _seed(self) -> int | np.random.RandomState:
        """Return what seeds what is drawn: `random_state`, where None is 0."""
        return 0 if self.random_state is None else self.random_state

    def _runs(self, X: Any) -> tuple[int, Iterator[Run]]:
        """Run the prompts of X, chunk by chunk."""
        self._check_fitted()
        samples = self._texts(X)
        settings = self._fitted.sweep_settings
        sweeper = open_sweeper(settings, self.device, self.batch_tokens)

        def runs() -> Iterator[Run]:
            with progress("predict", len(samples), self.verbose) as on_progress:
                for chunk in sweeper.chunks(samples):
                    yield self._run_chunk(sweeper, chunk, on_progress)

        return len(samples), runs()

    def _run_chunk(
        self, sweeper: Sweeper, chunk: Chunk, on_progress: OnProgress | None
    ) -> Run:
        prompts = sweeper.prompts_of(chunk, np.arange(len(chunk.samples)))
        run = self._run(sweeper, self._fitted, prompts, on_progress)
        if on_progress is not None:
            on_progress(len(chunk.inverse) - len(prompts))
        return run.take(chunk.inverse)
