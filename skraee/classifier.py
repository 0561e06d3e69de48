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
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from skraee.backbone.handle import Backbone, as_backbone
from skraee.backbone.precision import Device
from skraee.engine.batching import BatchTokens
from skraee.engine.compiled import Compile
from skraee.engine.cost import depth_costs
from skraee.estimator.base import EarlyExitBase
from skraee.estimator.by_neighbors import NeighborExitsMixin, with_key
from skraee.estimator.display import left_out
from skraee.estimator.fitted import FittedByNeighbors
from skraee.estimator.learning import (
    Lesson,
    Reading,
    calibrate_words,
    read_words,
    solve_readout,
)
from skraee.estimator.progress import fit_progress, with_callbacks
from skraee.exits.budget import within_budget
from skraee.exits.curve import price_curve
from skraee.exits.evidence import NeighborEvidence
from skraee.exits.gains import gains_left_out
from skraee.exits.policies import ByGain, ByNeighbors, ByVotes
from skraee.inspection.explanation import Explanation, only_text, texts_of_fit
from skraee.persistence.model_file import load
from skraee.persistence.saving import SavingMixin
from skraee.retrieval.encoder import as_encoder
from skraee.retrieval.keys import (
    check_encoder,
    fit_encoder,
    is_depth,
    joined,
    learns_from_texts,
)
from skraee.retrieval.outer_search import SearchIndex
from skraee.retrieval.vectors import KeyArray, KeyDtype
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper
from skraee.sweep.word_tokens import WordTokens
from skraee.text.inputs import Texts
from skraee.text.label_words import LabelWords, all_label_words
from skraee.text.long_texts import LongTexts
from skraee.text.template import Template

FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class RAEEClassifier(SavingMixin, NeighborExitsMixin, EarlyExitBase):
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
    calibrate : bool, default=False
        Whether the label words' logits of each depth are divided by a temperature of
        its own, so that probabilities can be believed. `fit` finds it for the least
        log-loss on the labelled texts themselves, not on others: one number per depth
        leaves little to overfit, and it is held near 1 where texts are few. The order
        of the classes stays at every depth; votes, `tau` and `budget` go by the new
        probabilities, so exits change. Set it where you use the probabilities, and
        choose `tau` anew. The paper divides by nothing; "ridge" is calibrated without.
    class_weight : None, "balanced" or dict, default=None
        Weights of the texts wherever something is solved or chosen by leave-one-out:
        the ridge readout, temperatures, what a `budget` allows, k and tau of
        `RAEEClassifierCV`. "balanced" where the classes of y are of unequal size and
        all matter alike; ``{class: weight}`` where some matter more, as in
        scikit-learn: a class that is left out weighs 1. Neighbours' votes, costs,
        `layer_scores_` and `score` are never weighted.
    budget : None or float, default=None
        Mean share of the backbone's cost that a prediction may use, in (0, 1]. `fit`
        then chooses what a deeper exit must gain: the best accuracy by leave-one-out
        whose mean cost is within it by one standard error, and the deepest of those
        that may be as good; `tau` is not used. Set it where you know what time you
        have.
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
    index : {"hnsw", "exact"} or SearchIndex, default="hnsw"
        Approximate search by hnswlib, or exact search, which is as fast up to some
        ten thousand texts. For more texts than memory holds an object that searches
        elsewhere: :class:`skraee.retrieval.lance_index.LanceIndex`, or any with the
        methods of :class:`skraee.retrieval.outer_search.SearchIndex`.
    key_dtype : {"float32", "float16"}, default="float32"
        Numbers in which keys are stored; distances are computed in float64 from what is
        stored. "float16" halves the keys in memory and in the file, not the graph of
        "hnsw", which stays float32: set it with ``index="exact"`` or `mmap_mode` of
        `load` where 10^6 texts or more are stored. It keeps three digits, hardly a
        neighbour changes, and refuses keys beyond 65504.
    max_length : int or None, default=None
        Longest prompt in tokens. None: as many as the backbone has positions, or as a
        sentence encoder was trained to read. Lower it to bound the time for long texts,
        raise it to read all of them.
    long_texts : {"cut", "head_tail", "mean"}, default="cut"
        What is done with a text beyond `max_length`. "cut": its end is left out, as in
        the paper. "head_tail": its middle is, so that a quarter of what is kept is its
        beginning, the rest its end; choose it where texts end with what matters.
        "mean": it is read in windows, 16 at the most, each with the template around it,
        which stop together; their states (for "lm_head" their label words' logits) and
        keys are averaged. Choose it where what matters may stand anywhere; each window
        costs what a text costs. Encoders that are not the backbone get the whole text.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch. Halved when memory runs out.
    compile : "auto" or bool, default="auto"
        Whether torch compiles the backbone's layers, which takes half a minute, and a
        few seconds in later processes. "auto": where very much work in 16 bits is ahead
        on a CPU, some 50,000 short texts. True for a process that predicts for long,
        and on a GPU; False for the same bits whatever the number of texts.
    device : str, torch.device or list of these, default="auto"
        Of several, each takes the layers that the ones before it have no room for:
        for a model larger than one GPU. "auto" is all GPUs, else the CPU.
    dtype : {"auto", "bfloat16", "float16", "float32"}, default="auto"
        Numbers that the backbone computes in. "auto" is bfloat16 where the device has
        instructions for it, else float32. Resolved by fit, used by every predict.
    memory : "process", None, str, Path or joblib.Memory, default="process"
        Where sweeps and keys of texts are kept, so that no text passes the backbone
        twice: in this process (1 GiB, least recently used), nowhere, or in a folder
        for later processes and for several at once. `fit` writes there, `predict`
        looks only. Give a folder for searches with `n_jobs` and to stop and go on; a
        :class:`skraee.sweep.folder_store.FolderStore` sets its size (4 GiB
        otherwise), and :func:`skraee.clear_sweeps` empties it. One that cannot be used
        costs a warning and no answer.
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
    temperatures_ : ndarray of shape (m + 1,)
        With `calibrate`: what the logits of each depth are divided by; above 1 where
        the model is too sure of itself.
    lambda_ : float
        With a `budget`: the probability of the right class that a full pass must gain.
    exit_report_ : dict of ndarray
        With a `budget`: what each price of depth leads to on the texts of fit, each
        left out: `lambda`, `mean_cost`, `accuracy`, and `chosen`, true for one.
        ``pandas.DataFrame(clf.exit_report_)`` shows it, and
        :class:`skraee.inspection.CostAccuracyDisplay` draws it.

    See Also
    --------
    EarlyExitClassifier : Reads every depth through a closed-form readout and stops as
        soon as that is confident; usually more accurate where texts are labelled.
    RAEEClassifierCV : Chooses k and tau itself.

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

    lambda_: float
    exit_report_: dict[str, npt.NDArray[Any]]
    temperatures_: Float64Array
    _fitted: FittedByNeighbors

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
        calibrate: bool = False,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        budget: float | None = None,
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
        self.k = k
        self.tau = tau
        self.label_words = label_words
        self.encoder = encoder
        self.readout = readout
        self.calibrate = calibrate
        self.class_weight = class_weight
        self.budget = budget
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
            If `tau` or `below_tau` was changed and a `budget` decides in its place, or
            `calibrate` was and the readout is "ridge".
        InputWarning
            If texts are empty, there is one class only, or label words are read by
            the first of several tokens; once each.
        """
        self._check_before_fit()
        samples, codes, classes = self._labelled(X, y)
        sweeper = self._open()
        words = self._tokens(sweeper, classes)
        sweeper = self._with_encoder(sweeper, samples)
        with fit_progress(self, X, y, len(samples)) as on_progress:
            sweep = sweeper.sweep(samples, words.all_ids, on_progress)
            lesson = Lesson(sweeper, sweep, codes, classes, words, samples)
            return self._learn(lesson)

    def _learn(self, lesson: Lesson) -> Self:
        """Read the sweep, store it with its keys and labels, choose within a budget."""
        weights = lesson.weights(self.class_weight)
        reading = self._read(lesson, weights)
        fitted = self._store(lesson, reading)
        costs = depth_costs(lesson.sweeper.backbone)
        known = NeighborEvidence(
            proba=reading.proba,
            codes=lesson.codes,
            classes=lesson.classes,
            weights=weights,
            costs=with_key(costs, lesson.sweeper.key_depth),
            database=fitted.database,
            keys=_all_keys(lesson, fitted),
        )
        k, chosen = self._choose(known)
        fitted.database.build_index(k)
        if reading.calibration is not None:
            chosen["temperatures_"] = reading.calibration.temperatures
        return self._learned(lesson, fitted, reading.proba, costs, **chosen)

    def _read(self, lesson: Lesson, weights: Float64Array) -> Reading:
        """Return how texts are read, and the probabilities of all of them."""
        if self.readout == "ridge":
            shared = self.memory is not None
            return solve_readout(lesson, weights, self._seed(), shared=shared)
        if not self.calibrate:
            return read_words(lesson)
        return calibrate_words(lesson, weights, keep_logits=self.database == "all")

    def _store(self, lesson: Lesson, reading: Reading) -> FittedByNeighbors:
        """Return the database of all texts, and how they are read."""
        database, standardizer = self._database(
            lesson.sweeper.settings,
            lesson.sweep.keys,
            reading.proba[-len(lesson.sweep) :],
            lesson.new_codes,
            keep=self.database,
        )
        fitted = FittedByNeighbors(
            sweep_settings=lesson.sweeper.settings,
            setting=self._setting(),
            token_ids=lesson.words.ids,
            ridge=reading.ridge,
            records=reading.records,
            calibration=reading.calibration,
            database=database,
            standardizer=standardizer,
        )
        if lesson.before is None:
            return fitted
        joined: FittedByNeighbors = lesson.before.joined(
            fitted, self.n_samples_fit_, reading.proba
        )
        return joined

    def _choose(self, known: NeighborEvidence) -> tuple[int, dict[str, Any]]:
        """Return k and what fit chose, as attributes; the CV class chooses more."""
        if self.budget is None:
            return self.k, {}
        gains = gains_left_out(known, [self.k])[self.k]
        curve = price_curve(known, gains, self.min_exit)
        chosen = within_budget(self.budget, curve)
        return self.k, {
            "lambda_": float(curve.values[chosen]),
            "exit_report_": curve.report("lambda", chosen),
        }

    def _policy(self, fitted: FittedByNeighbors) -> ByNeighbors:
        """Return where texts stop: what neighbours decide by."""
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
        costs = with_key(self.cost_, shared["decide_at"])
        return ByGain(**shared, price=self.lambda_, costs=costs)

    def _exit_choice(self) -> Iterator[str]:
        k, tau = self._k_and_tau()
        if self._has_budget():
            yield f"k={k} neighbours choose the layer, within a budget."
            yield from left_out(vars(self).get("exit_report_", {}))
        else:
            yield f"k={k} neighbours choose the layer, with tau={tau}."

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
            Prints as a short report; a notebook and rich show it as a table. It says so
            where the text is farther from all that is stored than 99 % of the texts
            of fit are from their nearest other.

        Raises
        ------
        ValueError
            If `text` is not one text, or `texts` are not as many as fit was given.
        """
        X = [text] if isinstance(text, str) else text
        self._check_fitted()
        words = only_text(self._texts(X))
        shown = None
        if texts is not None:
            fields = self._fitted.sweep_settings.template.fields
            shown = joined(texts_of_fit(texts, fields, self.n_samples_fit_))
        policy = self._policy(self._fitted)
        (found,) = self._by_keys(X, lambda keys: (keys,))
        choice = policy.choice(found)
        return Explanation.of(
            words,
            proba=self._answer(X, lambda proba, _: (proba,))[0][0],
            choice=choice,
            database=self._fitted.database,
            votes=policy.votes()[choice.rows[0]],
            classes=self.classes_,
            texts=shown,
            key_depth=policy.decide_at or 0,
        )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        backbone: Any = None,
        encoder: Any = None,
        *,
        key: bytes | str | None = None,
        mmap_mode: Literal["r"] | None = None,
        index: Literal["hnsw", "exact"] | SearchIndex | None = None,
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
        key : bytes or str, optional
            The one that was given to `save`: a file that was not signed with it, or was
            changed since, is refused. Set it where others could change the file.
        mmap_mode : {None, "r"}, default=None
            "r" leaves keys and sweeps of the database in the file, as joblib and numpy
            call it, and reads what a search looks at. Set it where the database is
            large against memory, or several processes serve one file: they share what
            the system keeps of it. The file is read through once, for its hashes, and
            must stay as it is; `save` over it puts another in its place.
        index : {"hnsw", "exact"}, SearchIndex or None, default=None
            How neighbours are searched from now on; None: as they were. A file holds no
            code, so that an object must be given again, or another search chosen.

        Returns
        -------
        RAEEClassifier

        Raises
        ------
        FileFormatError
            If the file is damaged, of a newer format, or none of ours; its subclass
            `SignatureError` if it was not signed with the key.
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
        return load([cls], path, backbone, encoder, key, mmap_mode, index)

    def _open(self) -> Sweeper:
        sweeper = self._open_with(
            SweepSettings(
                as_backbone(self.backbone),
                self._template(),
                self.max_length,
                self.dtype,
                as_encoder(self.encoder),
                by_states=self.readout == "ridge",
                long_texts=self.long_texts,
            )
        )
        check_encoder(sweeper.encoder, sweeper.n_layers)
        return sweeper

    def _check_words(self, classes: npt.NDArray[Any] | None) -> None:
        if self.readout == "lm_head" or self.label_words is not None:
            all_label_words(self.label_words, classes)
        if classes is None and learns_from_texts(as_encoder(self.encoder)):
            raise ValueError(
                f"encoder={self.encoder!r} is fitted on all training texts, so it has "
                "no keys for a part of them; fit it first and wrap it in "
                "sklearn.frozen.FrozenEstimator."
            )

    def _tokens(
        self,
        sweeper: Sweeper,
        classes: npt.NDArray[Any] | None = None,
        *,
        warn: bool = True,
    ) -> WordTokens:
        by_states = self.readout == "ridge"
        if by_states and (self.label_words is None or not sweeper.backbone.has_head):
            return WordTokens()
        tokens = sweeper.label_tokens(self.label_words, classes)
        if warn and not by_states:
            sweeper.warn_of_long_words(self.label_words, classes)
        return tokens

    def _with_encoder(self, sweeper: Sweeper, samples: Texts) -> Sweeper:
        return sweeper.with_encoder(fit_encoder(sweeper.encoder, joined(samples)))

    def _refuse_forgetful_database(self) -> None:
        needs_all = self.readout == "ridge" or self.calibrate or self._has_budget()
        if needs_all and self.database == "correct":
            raise ValueError(
                "database='correct' keeps nothing of the texts that the full depth "
                "answers wrongly, and readout='ridge', calibrate=True or a budget "
                "needs all of them; call fit on all texts."
            )

    def _has_budget(self) -> bool:
        """Whether fit has chosen what decides about exits."""
        return self.budget is not None

    def _setting(self) -> dict[str, Any]:
        return {
            "readout": self.readout,
            "calibrate": self.calibrate,
            "budget": self.budget,
        }


def _all_keys(lesson: Lesson, fitted: FittedByNeighbors) -> KeyArray:
    """Return the keys of all texts, those that are not stored included."""
    if lesson.before is not None:
        return fitted.database.keys
    return fitted.standardized(lesson.sweep.keys)
