"""What both early-exit classifiers share.

A class says what is its own: how texts are read (`_open`), what fit learns from a sweep
(`_learn`), and where texts stop (`_policy`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device, resolve_devices
from skraee.engine.batching import BatchTokens
from skraee.engine.clock import Clock, Timings
from skraee.engine.compiled import Compile
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.run import Run
from skraee.estimator.checks import check_integer
from skraee.estimator.classes import check_class_weight, later_classes
from skraee.estimator.contract import TextClassifierMixin
from skraee.estimator.fitted import Fitted, FittedByConfidence, FittedByNeighbors
from skraee.estimator.learning import Lesson
from skraee.estimator.predictions import predictions
from skraee.estimator.progress import (
    CallbackSupportMixin,
    fit_progress,
    progress,
    with_callbacks,
)
from skraee.estimator.sweeping import SweepingEstimator
from skraee.sweep.layer_sweep import LayerSweep
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper
from skraee.sweep.word_tokens import WordTokens
from skraee.text.inputs import Texts, check_texts, warn_of_empty
from skraee.text.labels import check_labels, warn_of_one_class
from skraee.text.long_texts import LongTexts
from skraee.text.stream import text_chunks
from skraee.text.template import Template

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


class EarlyExitBase(
    TextClassifierMixin, SweepingEstimator, CallbackSupportMixin, BaseEstimator, ABC
):
    """Base class of `EarlyExitClassifier` and `RAEEClassifier`; no constructor.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The classes, sorted.
    n_layers_ : int
        Number of layers m of the backbone; exits are 0..m.
    n_samples_fit_ : int
        Texts seen by fit.
    layer_scores_ : ndarray of shape (m + 1,)
        Accuracy of each depth on the texts of fit.
    cost_ : ndarray of shape (m + 1,)
        Counted share of a full pass at each depth.
    """

    backbone: str | Backbone
    template: str | Template
    class_weight: Any
    budget: float | None
    min_exit: int
    max_length: int | None
    long_texts: LongTexts
    batch_tokens: BatchTokens
    compile: Compile
    device: Device
    dtype: str
    memory: Any
    verbose: int

    classes_: npt.NDArray[Any]
    n_layers_: int
    n_samples_fit_: int
    layer_scores_: npt.NDArray[np.float64]
    cost_: npt.NDArray[np.float64]
    _fitted: Fitted

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Add labelled texts; only they pass the backbone.

        The outcome is that of `fit` on all texts. A closed-form readout is solved again
        at every depth, with the states of the earlier texts from `memory`. For
        `RAEEClassifier` a scikit-learn transformer as `encoder` keeps what it learned
        from the first texts.

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
            If `classes` is missing on the first call, a class is unknown, or what the
            earlier texts left is not known any more: their states or, for
            `RAEEClassifier` with ``database="correct"``, those that were answered
            wrongly. The estimator is then as it was.
        """
        self._check_before_fit()
        before: FittedByConfidence | FittedByNeighbors | None
        before = getattr(self, "_fitted", None)
        if before is not None:
            self._refuse_forgetful_database()
            before.check_setting(self._setting())
        samples = check_texts(X, self._template().fields)
        labels = check_labels(y, len(samples))
        classes = later_classes(labels, classes, getattr(self, "classes_", None))
        known = None if before is None else before.codes
        check_class_weight(self.class_weight, labels, classes, known)
        self._check_words(classes)
        warn_of_empty(samples)
        if before is None:
            warn_of_one_class(classes)
            sweeper = self._with_encoder(self._open(), samples)
        else:
            sweeper = self._reopen(before.sweep_settings)
        words = self._tokens(sweeper, classes, warn=before is None)
        with fit_progress(self, X, y, len(samples)) as on_progress:
            sweep = sweeper.sweep(samples, words.all_ids, on_progress)
            codes = np.searchsorted(classes, labels)
            lesson = Lesson(sweeper, sweep, codes, classes, words, samples, before)
            return self._learn(lesson)

    def layer_proba(self, X: Any) -> FloatArray:
        """Read every depth of every text; `predict_proba` is one row of it.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        proba : ndarray of shape (n, m + 1, C)
        """
        self._check_fitted()
        samples = self._texts(X)
        if not samples:
            return np.zeros((0, self.n_layers_ + 1, len(self.classes_)))
        sweeper = self._reopen(self._fitted.sweep_settings)
        with progress("sweep", len(samples), self.verbose) as on_progress:
            swept = sweeper.sweep(samples, self._fitted.token_ids, on_progress)
        return self._fitted.layer_proba(swept)

    def sweep(self, X: Any) -> LayerSweep:
        """Run texts through the backbone as fit does, without labels.

        For other engines: sweep parts of the data on many machines, join them with
        :meth:`skraee.LayerSweep.concatenate` and give the whole to :meth:`fit_sweep`.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        LayerSweep

        Raises
        ------
        ValueError
            For `RAEEClassifier`, if the label words or the encoder are known only with
            the labels or with all texts at hand.
        """
        self._check_parameters()
        samples = check_texts(X, self._template().fields)
        self._check_words(None)
        warn_of_empty(samples)
        sweeper = self._open()
        words = self._tokens(sweeper)
        with progress("sweep", len(samples), self.verbose) as on_progress:
            return sweeper.sweep(samples, words.all_ids, on_progress)

    def fit_sweep(self, sweep: LayerSweep, y: Any) -> Self:
        """Fit on a sweep that was made before; the backbone does not run.

        Parameters
        ----------
        sweep : LayerSweep
            From :meth:`sweep` of an estimator with the same backbone and template and,
            for `RAEEClassifier`, label words and encoder.
        y : array-like of shape (n,)
            The classes, in the order of the sweep's texts.

        Returns
        -------
        self
        """
        self._check_before_fit()
        if not isinstance(sweep, LayerSweep):
            raise TypeError(
                f"fit_sweep takes a LayerSweep, as sweep returns it, got "
                f"{type(sweep).__name__}; give texts to fit."
            )
        labels = check_labels(y, len(sweep))
        classes = np.unique(labels)
        self._check_classes(labels, classes)
        warn_of_one_class(classes)
        sweeper = self._open()
        sweeper.check_sweep(sweep)
        words = self._tokens(sweeper, classes)
        sweeper = sweeper.with_encoder(sweeper.encoder)
        codes = np.searchsorted(classes, labels)
        return self._learn(Lesson(sweeper, sweep, codes, classes, words))

    def predict_iter(
        self, texts: Any, chunk_size: int = 1024
    ) -> Iterator[npt.NDArray[Any]]:
        """Classify a stream of texts, chunk by chunk.

        Parameters
        ----------
        texts : iterable of str, of tuples or of mappings, or what `predict` takes
            May be a generator, and longer than memory. For a template of several
            fields its items are tuples in the order of the fields, or mappings that
            have them, as `csv.DictReader` gives.
        chunk_size : int, default=1024
            Texts to take at a time. Raise it where texts differ much in length: like
            lengths run together.

        Yields
        ------
        labels : ndarray of shape (chunk_size,)
            The last one may be shorter.

        Raises
        ------
        TypeError, ValueError
            At once if `texts` is one string, a dict or a set; on the way, with its
            position, for an item that is no text.

        Examples
        --------
        >>> from skraee import EarlyExitClassifier, toy
        >>> X, y = toy.reviews(40)
        >>> clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
        >>> [len(labels) for labels in clf.predict_iter(iter(X[:5]), chunk_size=2)]
        [2, 2, 1]
        """
        check_integer("chunk_size", chunk_size, least=1)
        self._check_fitted()
        fields = self._fitted.sweep_settings.template.fields
        chunks = text_chunks(texts, fields, chunk_size)
        return (self.predict(chunk) for chunk in chunks)

    def timings(self, X: Any) -> Timings:
        """Predict once and say where the time went; nothing of it is kept.

        Every distinct text is run, and for `RAEEClassifier` its neighbours are
        searched, whatever `memory` or an earlier call knows of it: the time is that of
        texts never seen before.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        Timings
            Seconds and shares of tokenising, key, search (with the exit policy),
            layers and head, and the texts that were undecided or repeated.
        """
        self._check_fitted()
        device = resolve_devices(self.device)[0]
        clock = Clock(torch.cuda.synchronize if device.type == "cuda" else None)
        samples = self._texts(X)
        fitted = self._fitted.unshared()
        settings = fitted.sweep_settings
        sweeper = self._reopen(settings, clock)
        undecided = [
            run.undecided for run in self._predictions(fitted, sweeper, samples)
        ]
        seconds = clock.stop()
        nobody = np.flatnonzero(np.concatenate([[], *undecided]))
        n_repeated = sweeper.engine.n_repeated
        return Timings(seconds, len(samples), tuple(nobody.tolist()), n_repeated)

    # What a class says of itself.

    @abstractmethod
    def _open(self) -> Sweeper:
        """Load the backbone as the parameters say."""

    @abstractmethod
    def _learn(self, lesson: Lesson) -> Self:
        """Learn from a sweep and labels; nothing changes before the end."""

    @abstractmethod
    def _policy(self, fitted: Any) -> ExitPolicy:
        """Return where texts stop."""

    def _check_words(self, classes: npt.NDArray[Any] | None) -> None:
        """Refuse words, or an encoder, that do not do for these classes or none."""

    def _tokens(
        self,
        sweeper: Sweeper,
        classes: npt.NDArray[Any] | None = None,
        *,
        warn: bool = True,
    ) -> WordTokens:
        """Return the label words' tokens: all that are named, and the classes'."""
        return WordTokens()

    def _with_encoder(self, sweeper: Sweeper, samples: Texts) -> Sweeper:
        """Return the sweeper with its encoder fitted to the training texts."""
        return sweeper.with_encoder(sweeper.encoder)

    def _refuse_forgetful_database(self) -> None:
        """Refuse to add to a database that lacks what the outcome hangs on."""

    # What both do alike.

    def _open_with(self, settings: SweepSettings) -> Sweeper:
        sweeper = self._reopen(settings)
        check_integer("min_exit", self.min_exit, least=0, most=sweeper.n_layers)
        return sweeper

    def _check_classes(
        self, labels: npt.NDArray[Any], classes: npt.NDArray[Any]
    ) -> None:
        check_class_weight(self.class_weight, labels, classes)
        self._check_words(classes)

    def _learned(
        self,
        lesson: Lesson,
        fitted: Fitted,
        proba: npt.NDArray[np.float32],
        costs: npt.NDArray[np.float64],
        **chosen: Any,
    ) -> Self:
        """Take over what fit found, and what it says of its own texts."""
        n_before = 0 if lesson.before is None else self.n_samples_fit_
        scores_before = None if lesson.before is None else self.layer_scores_
        found = {
            "classes_": lesson.classes,
            "n_layers_": lesson.sweeper.n_layers,
            "n_samples_fit_": n_before + len(lesson.sweep),
            "layer_scores_": lesson.layer_scores(proba, scores_before, n_before),
            "cost_": costs,
        }
        self._keep(fitted, **(found | chosen))
        return self

    def _runs(self, X: Any) -> tuple[int, Iterator[Run]]:
        self._check_fitted()
        samples = self._texts(X)
        fitted = self._fitted
        sweeper = self._reopen(fitted.sweep_settings)
        return len(samples), self._predictions(fitted, sweeper, samples)

    def _predictions(
        self, fitted: Fitted, sweeper: Sweeper, samples: Texts
    ) -> Iterator[Run]:
        with progress("predict", len(samples), self.verbose) as on_progress:
            policy = self._policy(fitted)
            yield from predictions(fitted, policy, sweeper, samples, on_progress)
