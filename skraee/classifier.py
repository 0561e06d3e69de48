"""Retrieval-augmented early exit as a scikit-learn classifier.

The method in five steps (Huang et al., ICLR 2026; arXiv 2405.15198):

sweep   ``fit`` runs every labelled text through the frozen model once and reads the
        label words' probabilities at every depth (Algorithm 3.1).
store   These sweeps, and a key for each text, make the database.
choose  For a new text the k nearest stored texts vote for the depths at which they
        were answered rightly (equations 4 to 6).
exit    The model runs to the winning depth and no further.
read    The label words are read there, through the model's own head.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skraee.backbone.handle import Backbone, as_backbone
from skraee.backbone.precision import Device, resolve_device
from skraee.engine.batching import BatchTokens
from skraee.engine.clock import Clock, Timings
from skraee.engine.cost import depth_costs
from skraee.engine.exit_policy import ExitPolicy
from skraee.estimator.contract import Answer, Arrays, TextClassifierMixin, gathered
from skraee.estimator.fitted import Fitted, Prediction, warn_of_undecided
from skraee.estimator.learning import FitSettings, Lesson
from skraee.estimator.parameters import check_integer, check_parameters, warn_of_unused
from skraee.estimator.progress import (
    CallbackSupportMixin,
    fit_progress,
    progress,
    with_callbacks,
)
from skraee.exits.policies import (
    ByConfidence,
    ByGain,
    ByNeighbors,
    ByVotes,
    Evidence,
    gains_left_out,
    price_within,
    threshold_within,
)
from skraee.exits.voting import exit_distribution
from skraee.inspection.explanation import Explanation
from skraee.persistence import model_file as persistence
from skraee.readout.calibration import sample_weights
from skraee.retrieval.encoder import as_encoder
from skraee.retrieval.keys import (
    check_encoder,
    fit_encoder,
    joined,
    learns_from_texts,
)
from skraee.sweep.layer_sweep import LayerSweep
from skraee.sweep.sweeper import Sweeper, SweepSettings, WordTokens, is_depth
from skraee.text.inputs import Texts, check_texts, warn_of_empty
from skraee.text.label_words import LabelWords, all_label_words
from skraee.text.labels import check_classes, check_labels, warn_of_one_class
from skraee.text.stream import text_chunks
from skraee.text.template import Template

FloatArray = npt.NDArray[np.floating]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def by_retrieval(estimator: RAEEClassifier) -> bool:
    """Whether neighbours decide about exits; for methods that are about them."""
    if estimator.exit_by == "retrieval":
        return True
    raise AttributeError(
        f"with exit_by={estimator.exit_by!r} no neighbours are looked for; set "
        "exit_by='retrieval'."
    )


class RAEEClassifier(TextClassifierMixin, CallbackSupportMixin, BaseEstimator):
    """Classify text with a frozen language model that stops early.

    ``fit`` looks at every labelled text once and remembers at which layers the model
    already knew the answer; ``predict`` finds similar texts and stops the model at the
    layer that served them. There is no gradient step anywhere.

    Parameters
    ----------
    backbone : str, Path or Backbone
        Hub name (``org/name`` or ``org/name@revision``), local folder, ``.gguf`` file,
        or a :class:`Backbone`. A larger one is more accurate and slower.
    template : str or Template
        The prompt, with ``{text}`` and, for masked models, ``{mask}``; other field
        names take the columns of a DataFrame of that name. Change it first when
        accuracy at full depth is poor; :mod:`skraee.templates` has the paper's.
    k : int, default=12
        Neighbours that vote. Raise it when exits are erratic, lower it when classes
        have few texts. More than there are texts means all of them.
    tau : float, default=0.9
        Least probability of the right class with which a neighbour's layer votes, in
        [0, 1]. Lower it for later, often better exits; it costs time.
    label_words : dict, list of str, or None, default=None
        Class -> the word that the model says for it (it may name more classes than y
        has), or the words in the order of sorted `classes_`. None takes the class
        names, when all are strings.
    encoder : None, int, str, Encoder, transformer or callable, default=None
        What makes the keys for retrieval. None: the mean of the text's own depth-0
        states, which costs nothing. An int j: the backbone's own state at depth j;
        every text then runs at least j layers. A name or an :class:`Encoder`: a
        sentence encoder, the best choice where its time is small against the
        backbone's. A scikit-learn transformer is fitted on the training texts. A
        callable maps a list of texts to an array (n, d).
    readout : {"lm_head", "ridge"}, default="lm_head"
        How states become class scores. "lm_head" reads the label words through the
        model's own head, as the paper does. "ridge" solves small linear maps for
        every depth, in closed form: far more accurate from about a hundred texts on,
        needs no label words, and works with backbones that have no head.
    class_weight : None, "balanced" or dict, default=None
        Weights of the texts wherever something is solved or chosen by leave-one-out:
        the ridge readout, temperatures, what a `budget` allows, k and tau of
        `RAEEClassifierCV`. "balanced" where the classes of y are of unequal size and
        all matter alike; ``{class: weight}`` where some matter more, as in
        scikit-learn: a class that is left out weighs 1. Neighbours' votes, costs,
        `layer_scores_` and `score` are never weighted.
    exit_by : {"retrieval", "confidence"}, default="retrieval"
        What chooses the exit. "confidence" stops at the first depth that is sure of
        its answer: its top probability reaches `tau`. It needs no keys and no index
        and is the better choice with ``readout="ridge"``.
    budget : None or float, default=None
        Mean share of the backbone's cost that a prediction may use, in (0, 1]. `fit`
        then chooses what decides about exits by leave-one-out, so that the mean cost
        is within it by one standard error, and `tau` is not used. Set it where you
        know what time you have.
    below_tau : {"top3", "skip"}, default="top3"
        What a neighbour votes with when no layer reaches tau: its three best layers,
        or nothing. "skip" follows the paper's text, "top3" its program.
    min_exit : int, default=0
        Smallest depth at which a text may stop. 1 or more often gains accuracy.
    database : {"all", "correct"}, default="all"
        "correct" stores only texts that the full model answers rightly (the paper's
        RAEE without corrective information). For comparison; "all" is better.
    metric : {"sqeuclidean", "euclidean", "cosine"}, default="sqeuclidean"
        Distance between keys. "cosine" suits some sentence encoders.
    index : {"hnsw", "exact"}, default="hnsw"
        Approximate search by hnswlib, or exact search, which is as fast up to some
        ten thousand texts.
    max_length : int or None, default=None
        Longest prompt in tokens; longer texts are cut at their end. None: as many as
        the backbone has positions. Lower it to bound the time for long texts.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch. Halved when memory runs out.
    device : str or torch.device, default="auto"
        "auto" is the first GPU, else the CPU.
    dtype : {"auto", "bfloat16", "float16", "float32"}, default="auto"
        Numbers that the backbone computes in. "auto" is bfloat16 where the device has
        instructions for it, else float32. Resolved by fit, used by every predict.
    memory : "process", None, str, Path or joblib.Memory, default="process"
        Where sweeps and keys of texts are kept, so that no text passes the backbone
        twice: in this process (1 GiB, least recently used), nowhere, or in a folder
        for later processes and for several at once. `fit` writes there, `predict`
        looks only. Give a folder for searches with `n_jobs` and to stop and go on; a
        :class:`skraee.sweep.store.FolderStore` sets its size (4 GiB otherwise), and
        :func:`skraee.clear_sweeps` empties it. One that cannot be used costs a
        warning and no answer.
    n_jobs : int or None, default=None
        Threads of the index, not of the backbone. None means 1.
    random_state : int, RandomState instance or None, default=None
        Seeds the index. None is 0: nothing here gains by chance.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The classes, sorted.
    n_layers_ : int
        Number of layers m of the backbone; exits are 0..m.
    n_samples_fit_ : int
        Texts seen by fit.
    layer_scores_ : ndarray of shape (m + 1,)
        Accuracy of each depth on the texts of fit, without any retrieval or weights.
        They are no training scores: nothing was trained, or for "ridge" each text was
        left out.
    cost_ : ndarray of shape (m + 1,)
        Counted share of a full pass at each depth.
    lambda_ : float
        With a `budget` and ``exit_by="retrieval"``: the probability of the right class
        that a full pass must gain.
    threshold_ : float
        With a `budget` and ``exit_by="confidence"``: the top probability that stops.

    References
    ----------
    Huang et al., "RAEE: A Robust Retrieval-Augmented Early Exit Framework for
    Efficient Inference", ICLR 2026, arXiv 2405.15198.

    Examples
    --------
    >>> from skraee import RAEEClassifier, toy
    >>> X, y = toy.reviews(60)
    >>> clf = RAEEClassifier(toy.backbone(), "{text} it was {mask}.",
    ...                      label_words=toy.LABEL_WORDS)
    >>> clf.fit(X, y).predict(["a lovely film", "the waiter was cold and slow"])
    array(['positive', 'negative'], dtype='<U8')
    """

    classes_: npt.NDArray[Any]
    n_layers_: int
    n_samples_fit_: int
    layer_scores_: npt.NDArray[np.float64]
    cost_: npt.NDArray[np.float64]
    lambda_: float
    threshold_: float

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        k: int = 12,
        tau: float = 0.9,
        *,
        label_words: LabelWords = None,
        encoder: Any = None,
        readout: Literal["lm_head", "ridge"] = "lm_head",
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        exit_by: Literal["retrieval", "confidence"] = "retrieval",
        budget: float | None = None,
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
        self.k = k
        self.tau = tau
        self.label_words = label_words
        self.encoder = encoder
        self.readout = readout
        self.class_weight = class_weight
        self.exit_by = exit_by
        self.budget = budget
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

    @with_callbacks
    def fit(self, X: Any, y: Any) -> Self:
        """Sweep the labelled texts once and store what the model knew where.

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
        UserWarning
            If `tau` or `below_tau` was changed and a `budget` decides in its place.
        InputWarning
            If texts are empty, there is one class only, or label words are read by
            the first of several tokens; once each.
        """
        check_parameters(self)
        warn_of_unused(self)
        samples = check_texts(X, self._template().fields)
        labels = check_labels(y, len(samples))
        classes = np.unique(labels)
        self._check_weights(labels, classes)
        self._check_words(classes)
        warn_of_empty(samples)
        warn_of_one_class(classes)
        sweeper = self._open()
        words = self._tokens(sweeper, classes)
        sweeper = self._with_encoder(sweeper, samples)
        with fit_progress(self, X, y, len(samples)) as on_progress:
            sweep = sweeper.sweep(samples, words.all_ids, on_progress)
            return self._store(sweeper, sweep, labels, classes, words, samples)

    @with_callbacks
    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Add labelled texts to the database; only they pass the backbone.

        The outcome is that of `fit` on all texts, but that a scikit-learn transformer
        as `encoder` keeps what it learned from the first of them. With
        ``readout="ridge"`` every depth is solved again, with the states of the earlier
        texts from `memory`.

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
            If `classes` is missing on the first call, a class is unknown, or the
            states that ridge needs are in the memory no more; or on a second call
            with ``database="correct"`` and ridge or a `budget`, which need the texts
            that it has forgotten. The estimator is then as it was.
        """
        check_parameters(self)
        before: Fitted | None = getattr(self, "_fitted", None)
        if before is not None:
            self._refuse_forgetful_database()
        samples = check_texts(X, self._template().fields)
        labels = check_labels(y, len(samples))
        classes = self._classes_for(labels, classes)
        self._check_weights(labels, classes, before)
        self._check_words(classes)
        warn_of_empty(samples)
        if before is None:
            warn_of_one_class(classes)
            sweeper = self._with_encoder(self._open(), samples)
        else:
            before.check_setting(self._setting())
            sweeper = self._reopen(before)
        words = self._tokens(sweeper, classes, warn=before is None)
        with fit_progress(self, X, y, len(samples)) as on_progress:
            sweep = sweeper.sweep(samples, words.all_ids, on_progress)
            return self._store(sweeper, sweep, labels, classes, words, samples, before)

    def exit_layers(self, X: Any) -> IntArray:
        """Return the depth at which each text stops.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        exit_layers : ndarray of shape (n,), int
            0..m. Where neighbours decide, nothing runs but what retrieval needs.
        """
        if self.exit_by == "confidence":
            return self._answer(X, lambda _, exits: (exits,))[0]
        nothing = np.zeros(0, dtype=np.int64)

        def read(keys: Float32Array) -> Arrays:
            return (self._by_neighbors(self._fitted).choice(keys).exits,)

        return self._by_keys(X, read, nothing)[0]

    @available_if(by_retrieval)  # type: ignore[untyped-decorator]
    def exit_distribution(self, X: Any) -> FloatArray:
        """Return how the neighbours' votes spread over the depths.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        distribution : ndarray of shape (n, m + 1)
            Equation 4, normalised; 1 at m where no neighbour votes. With a `budget`
            the expected probability of the right class takes the place of votes.
        """

        def read(keys: Float32Array) -> Arrays:
            return (
                exit_distribution(self._by_neighbors(self._fitted).choice(keys).scores),
            )

        return self._by_keys(X, read, np.zeros((0, self.n_layers_ + 1)))[0]

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
        fitted, samples = self._check(X)
        if not samples:
            return np.zeros((0, self.n_layers_ + 1, len(self.classes_)))
        sweeper = self._reopen(fitted)
        with progress("sweep", len(samples), self.verbose) as on_progress:
            swept = sweeper.sweep(samples, fitted.token_ids, on_progress)
        return fitted.layer_proba(swept)

    @available_if(by_retrieval)  # type: ignore[untyped-decorator]
    def kneighbors(
        self, X: Any, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """Find the stored texts nearest to each text.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.
        n_neighbors : int, optional
            How many; `k` by default.
        return_distance : bool, default=True
            Whether to return the distances too.

        Returns
        -------
        distances : ndarray of shape (n, n_neighbors)
            In the `metric`. Only if `return_distance`.
        positions : ndarray of shape (n, n_neighbors), int
            Positions among the texts given to fit.
        """
        check_is_fitted(self)
        database = self._fitted.database
        k = self._k_and_tau()[0] if n_neighbors is None else n_neighbors
        check_integer("n_neighbors", k, least=1)
        width = min(k, len(database))
        nothing = np.zeros((0, width)), np.zeros((0, width), dtype=np.int64)

        def read(keys: Float32Array) -> Arrays:
            return database.kneighbors(self._fitted.standardized(keys), k)

        found = self._by_keys(X, read, *nothing)
        return found if return_distance else found[1]

    def sweep(self, X: Any) -> LayerSweep:
        """Run texts through the backbone as fit does, without labels.

        For other engines: sweep chunks of the data on many machines, join them with
        :meth:`LayerSweep.concatenate` and give the whole to :meth:`fit_sweep`.

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
            If the label words or the encoder are known only with the labels or with
            all texts at hand.
        """
        check_parameters(self)
        samples = check_texts(X, self._template().fields)
        self._check_words()
        if learns_from_texts(as_encoder(self.encoder)):
            raise ValueError(
                f"encoder={self.encoder!r} is fitted on all training texts, so it has "
                "no keys for a part of them; fit it first and wrap it in "
                "sklearn.frozen.FrozenEstimator."
            )
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
            From :meth:`sweep` of an estimator with the same backbone, template,
            label words and encoder.
        y : array-like of shape (n,)
            The classes, in the order of the sweep's texts.

        Returns
        -------
        self
        """
        check_parameters(self)
        if not isinstance(sweep, LayerSweep):
            raise TypeError(
                f"fit_sweep takes a LayerSweep, as sweep returns it, got "
                f"{type(sweep).__name__}; give texts to fit."
            )
        labels = check_labels(y, len(sweep))
        classes = np.unique(labels)
        self._check_weights(labels, classes)
        self._check_words(classes)
        warn_of_one_class(classes)
        sweeper = self._open()
        sweeper.check_sweep(sweep)
        words = self._tokens(sweeper, classes)
        sweeper = sweeper.with_encoder(sweeper.encoder)
        return self._store(sweeper, sweep, labels, classes, words)

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
        >>> from skraee import RAEEClassifier, toy
        >>> X, y = toy.reviews(40)
        >>> clf = RAEEClassifier(toy.backbone(), toy.TEMPLATES["masked"],
        ...                      label_words=toy.LABEL_WORDS).fit(X, y)
        >>> [len(labels) for labels in clf.predict_iter(iter(X[:5]), chunk_size=2)]
        [2, 2, 1]
        """
        check_integer("chunk_size", chunk_size, least=1)
        fields = self._check_fit().sweep_settings.template.fields
        chunks = text_chunks(texts, fields, chunk_size)
        return (self.predict(chunk) for chunk in chunks)

    def timings(self, X: Any) -> Timings:
        """Predict once and say where the time went; nothing of it is kept.

        Every distinct text is run and its neighbours are searched, whatever `memory`
        or an earlier call knows of it: the time is that of texts never seen before.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        Timings
            Seconds and shares of tokenising, key, search (with the exit rule),
            layers and head, and the texts that were undecided or repeated.
        """
        check_is_fitted(self)
        device = resolve_device(self.device)
        clock = Clock(torch.cuda.synchronize if device.type == "cuda" else None)
        fitted, samples = self._check(X)
        sweeper = fitted.sweep_settings.open(
            self.device, self.batch_tokens, clock=clock
        )
        alone = fitted.unshared()
        run = Prediction(alone, self._policy(alone), sweeper)
        for _ in self._run(run, samples):
            pass
        seconds = clock.stop()
        n_repeated = run.sweeper.engine.n_repeated
        return Timings(seconds, len(samples), tuple(run.undecided), n_repeated)

    @available_if(by_retrieval)  # type: ignore[untyped-decorator]
    def explain(self, text: Any, texts: Any = None) -> Explanation:
        """Say why a text stopped where it did: its neighbours and their votes.

        Parameters
        ----------
        text : str, or a DataFrame of one row
            One text.
        texts : sequence of str, or DataFrame, optional
            The texts that were given to fit, all of them and in their order, to show
            the neighbours by their words; the estimator does not keep them.

        Returns
        -------
        Explanation
            Prints as a short report.

        Raises
        ------
        ValueError
            If `text` is not one text, or `texts` are not as many as fit was given.
        """
        X = [text] if isinstance(text, str) else text
        fitted, samples = self._check(X)
        if len(samples) != 1:
            raise ValueError(f"explain takes one text at a time, got {len(samples)}.")
        shown = None if texts is None else self._texts_of_fit(texts)
        (keys,) = self._by_keys(X, lambda keys: (keys,))
        policy = self._by_neighbors(fitted)
        choice = policy.choice(keys)
        return Explanation.of(
            joined(samples)[0],
            proba=self._answer(X, lambda proba, _: (proba,))[0][0],
            choice=choice,
            database=fitted.database,
            votes=policy.votes()[choice.rows[0]],
            classes=self.classes_,
            texts=shown,
            key_depth=policy.decide_at or 0,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file that holds no code.

        The backbone is not in it, but its name and hashes of its weights, tokenizer
        and configuration. What fit learned is: keys, sweeps and labels of its texts.

        Parameters
        ----------
        path : str or Path
            A file that is there is replaced as a whole, or not at all.

        Raises
        ------
        TypeError
            If a parameter or a class is an object that only code could make again;
            use joblib.dump for these.
        PicklingError
            If the backbone or encoder was made of objects that no name leads to.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> from skraee import RAEEClassifier, toy
        >>> X, y = toy.reviews(60)
        >>> clf = RAEEClassifier(toy.backbone(), "{text} it was {mask}.",
        ...                      label_words=toy.LABEL_WORDS)
        >>> with TemporaryDirectory() as folder:
        ...     clf.fit(X, y).save(f"{folder}/reviews.skraee")
        ...     again = RAEEClassifier.load(f"{folder}/reviews.skraee")
        >>> again.predict(["a lovely film"])
        array(['positive'], dtype='<U8')
        """
        persistence.save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        backbone: Any = None,
        encoder: Any = None,
    ) -> Self:
        """Read an estimator that `save` wrote; it predicts as it did, bit for bit.

        No code in the file is run. The backbone is loaded when it is first used; then
        its weights and tokenizer must be those of the fit, and a few probe sentences
        are run to see that it answers as it did.

        Parameters
        ----------
        path : str or Path
            The file.
        backbone : str, Path or Backbone, optional
            Where the backbone is now, if it has moved.
        encoder : str, Path or Encoder, optional
            Where the sentence encoder is now, if it has moved.

        Returns
        -------
        RAEEClassifier

        Raises
        ------
        FileFormatError
            If the file is damaged, of a newer format, or none of ours.
        TypeError, ValueError
            If `encoder` is no sentence encoder, or the file was fitted without one.

        Notes
        -----
        The first use raises `BackboneMissingError` where the backbone or encoder cannot
        be loaded and `BackboneChangedError` where it is another one; it warns with
        `BackboneDriftWarning` where it answers otherwise than it did. An HNSW graph is
        built anew, so after `partial_fit` the few neighbours that it misses may be
        others; with ``index="exact"`` there are none.
        """
        return persistence.load(cls, path, backbone, encoder)

    def _open(self) -> Sweeper:
        """Load the backbone as the parameters say."""
        settings = SweepSettings(
            as_backbone(self.backbone),
            self._template(),
            self.max_length,
            self.dtype,
            as_encoder(self.encoder),
            by_states=self.readout == "ridge",
            by_keys=self.exit_by == "retrieval",
        )
        sweeper = settings.open(self.device, self.batch_tokens, self.memory)
        check_encoder(settings.encoder, sweeper.n_layers)
        check_integer("min_exit", self.min_exit, least=0, most=sweeper.n_layers)
        return sweeper

    def _reopen(self, fitted: Fitted) -> Sweeper:
        """Load the backbone as fit had it."""
        return fitted.sweep_settings.open(self.device, self.batch_tokens, self.memory)

    def _check_words(self, classes: npt.NDArray[Any] | None = None) -> None:
        """Refuse label words that no backbone could make right."""
        if self.readout == "lm_head" or self.label_words is not None:
            all_label_words(self.label_words, classes)

    def _tokens(
        self,
        sweeper: Sweeper,
        classes: npt.NDArray[Any] | None = None,
        *,
        warn: bool = True,
    ) -> WordTokens:
        """Return the label words' tokens: all that are named, and the classes'."""
        by_states = self.readout == "ridge"
        if by_states and (self.label_words is None or not sweeper.backbone.has_head):
            return WordTokens()
        tokens = sweeper.label_tokens(self.label_words, classes)
        if warn and not by_states:
            sweeper.warn_of_long_words(self.label_words, classes)
        return tokens

    def _texts_of_fit(self, texts: Any) -> list[str]:
        """Return the texts of fit, which the user gives again, fields joined."""
        samples = check_texts(texts, self._fitted.sweep_settings.template.fields)
        if len(samples) != self.n_samples_fit_:
            raise ValueError(
                f"texts must be the {self.n_samples_fit_} texts that were given to "
                f"fit, in their order, got {len(samples)}."
            )
        return joined(samples)

    def _with_encoder(self, sweeper: Sweeper, samples: Texts) -> Sweeper:
        """Return the sweeper with its encoder fitted to the training texts."""
        if self.exit_by == "confidence":
            return sweeper.with_encoder(sweeper.encoder)
        return sweeper.with_encoder(fit_encoder(sweeper.encoder, joined(samples)))

    def _refuse_forgetful_database(self) -> None:
        needs_all = self.readout == "ridge" or self._has_budget()
        if needs_all and self.database == "correct" and self.exit_by == "retrieval":
            raise ValueError(
                "database='correct' keeps nothing of the texts that the full depth "
                "answers wrongly, and readout='ridge' or a budget needs all of them; "
                "call fit on all texts."
            )

    def _check_weights(
        self, labels: Any, classes: npt.NDArray[Any], before: Fitted | None = None
    ) -> None:
        """Refuse a class_weight that does not suit y, before anything is loaded."""
        codes = np.searchsorted(classes, labels)
        if before is not None:
            codes = np.concatenate([before.database.labels, codes])
        sample_weights(codes, classes, self.class_weight)

    def _classes_for(self, labels: Any, classes: Any) -> npt.NDArray[Any]:
        """Return the classes of partial_fit; refuse labels that are none of them."""
        known: npt.NDArray[Any] | None = getattr(self, "classes_", None)
        if classes is not None:
            found = check_classes(classes)
        elif known is not None:
            found = known
        else:
            raise ValueError(
                "the first call of partial_fit must name all classes; pass "
                "classes=np.unique(y_all)."
            )
        if known is not None and not np.array_equal(found, known):
            raise ValueError(
                f"classes are {known.tolist()} since the first call, got "
                f"{found.tolist()}; leave classes out or call fit on all texts."
            )
        unknown = set(labels.tolist()).difference(found.tolist())
        if unknown:
            raise ValueError(
                f"y holds classes that partial_fit was not told of: "
                f"{sorted(unknown)} (known: {found.tolist()}); call fit on all texts."
            )
        return found

    def _store(
        self,
        sweeper: Sweeper,
        sweep: LayerSweep,
        labels: npt.NDArray[Any],
        classes: npt.NDArray[Any],
        words: WordTokens,
        samples: Texts | None = None,
        before: Fitted | None = None,
    ) -> Self:
        """Turn a sweep and labels into the database; nothing changes before the end."""
        codes = np.searchsorted(classes, labels)
        lesson = Lesson(sweeper, sweep, codes, classes, words.ids, samples, before)
        fitted, learned = lesson.learn(self._fit_settings(before))
        right = learned.proba.argmax(axis=2) == learned.codes[:, None]
        scores = right.mean(axis=0)
        n_samples = len(sweep)
        if before is not None:
            n_samples += self.n_samples_fit_
            if len(right) < n_samples:  # database="correct" has forgotten some
                scores = right[-len(sweep) :].mean(axis=0) - self.layer_scores_
                scores = self.layer_scores_ + scores * len(sweep) / n_samples
        k, chosen = self._choose(learned)
        if sweeper.settings.by_keys:
            fitted.database.build_index(k)
        self._fitted = fitted
        self.classes_ = classes
        self.n_layers_ = sweeper.n_layers
        self.n_samples_fit_ = n_samples
        self.layer_scores_ = scores
        self.cost_ = depth_costs(sweeper.backbone)
        for name in ("lambda_", "threshold_", "k_", "tau_", "budget_"):
            self.__dict__.pop(name, None)  # of an earlier fit
        self.__dict__.update(chosen)
        return self

    def _fit_settings(self, before: Fitted | None) -> FitSettings:
        """Return what decides what fit learns."""
        return FitSettings(
            class_weight=self.class_weight,
            seed=0 if self.random_state is None else self.random_state,
            shared=self.memory is not None,
            database=self.database,
            metric=self.metric,
            index=self.index,
            n_jobs=self.n_jobs,
            fixed=self._setting(),
            n_seen=0 if before is None else self.n_samples_fit_,
        )

    def _choose(self, known: Evidence) -> tuple[int, dict[str, Any]]:
        """Return k and what fit chose, as attributes; the CV class chooses more."""
        if self.budget is None:
            return self.k, {}
        if self.exit_by == "confidence":
            threshold = threshold_within(self.budget, known, self.min_exit)
            return self.k, {"threshold_": threshold}
        gains = gains_left_out(known, [self.k])[self.k]
        price = price_within(self.budget, known, gains, self.min_exit)
        return self.k, {"lambda_": price}

    def _k_and_tau(self) -> tuple[int, float]:
        """Return what predict uses; `RAEEClassifierCV` has its own."""
        return self.k, self.tau

    def _has_budget(self) -> bool:
        """Whether fit has chosen what decides about exits."""
        return self.budget is not None

    def _setting(self) -> dict[str, Any]:
        """Return the parameters that predict cannot change any more."""
        return {
            "readout": self.readout,
            "exit_by": self.exit_by,
            "budget": self.budget,
        }

    def _check(self, X: Any) -> tuple[Fitted, Texts]:
        """Return what fit left and the texts; refuse what does not fit it."""
        fitted = self._check_fit()
        fields = fitted.sweep_settings.template.fields
        return fitted, check_texts(X, fields, allow_empty=True)

    def _check_fit(self) -> Fitted:
        """Return what fit left; refuse parameters that do not fit it."""
        check_is_fitted(self)
        check_parameters(self)
        self._fitted.check_setting(self._setting())
        return self._fitted

    def _policy(self, fitted: Fitted) -> ExitPolicy:
        """Return where texts stop."""
        if self.exit_by == "confidence":
            threshold = self.threshold_ if self._has_budget() else self._k_and_tau()[1]
            return ByConfidence(threshold, self.min_exit)
        return self._by_neighbors(fitted)

    def _by_neighbors(self, fitted: Fitted) -> ByNeighbors:
        """Return what neighbours decide by."""
        k, tau = self._k_and_tau()
        encoder = fitted.sweep_settings.encoder
        shared: dict[str, Any] = {
            "database": fitted.database,
            "standardizer": fitted.standardizer,
            "k": k,
            "min_exit": self.min_exit,
            "decide_at": int(encoder) if is_depth(encoder) else None,
        }
        if not self._has_budget():
            return ByVotes(**shared, tau=tau, below_tau=self.below_tau)
        costs = np.maximum(self.cost_, self.cost_[shared["decide_at"] or 0])
        return ByGain(**shared, price=self.lambda_, costs=costs)

    def _by_keys(
        self,
        X: Any,
        read: Callable[[Float32Array], Arrays],
        *nothing: npt.NDArray[Any],
    ) -> Arrays:
        """Return what is read off the keys of X; `nothing` for no text."""
        fitted, samples = self._check(X)
        sweeper = self._reopen(fitted)
        found = (
            read(sweeper.keys(chunk)[chunk.inverse])
            for chunk in sweeper.chunks(samples)
        )
        return gathered(len(samples), found, nothing)

    def _answers(self, X: Any) -> tuple[int, Iterator[Answer]]:
        """Choose, exit, read, chunk by chunk."""
        fitted, samples = self._check(X)
        run = Prediction(fitted, self._policy(fitted), self._reopen(fitted))

        def answers() -> Iterator[Answer]:
            yield from self._run(run, samples)
            warn_of_undecided(run.undecided)

        return len(samples), answers()

    def _run(self, run: Prediction, samples: Texts) -> Iterator[Answer]:
        with progress("predict", len(samples), self.verbose) as on_progress:
            for chunk in run.sweeper.chunks(samples):
                yield run.answer(chunk, on_progress)
