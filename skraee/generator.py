"""Retrieval-augmented early exit for texts that are generated.

The method of :class:`skraee.RAEEClassifier` (Huang et al., ICLR 2026; arXiv
2405.15198), where the answer is a text:

sweep     ``fit`` runs every text with its target through the frozen model once and
          reads how much of the target each depth would have said.
store     These readings, and a key for each text, make the database.
choose    For a new text the k nearest stored texts vote for the depths that named
          nearly as much of their targets as their best one (equations 4 to 6).
generate  The model stopped at that depth writes the text, with a cache of so many
          layers. The depth is one for all tokens of a text, so no token misses the
          states that an earlier one, which stopped sooner, never had.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from skraee.backbone.handle import Backbone, as_backbone
from skraee.backbone.precision import Device
from skraee.engine.batching import BatchTokens
from skraee.engine.decoding.choice import Sampling
from skraee.engine.decoding.decoder import Decoder, Way
from skraee.engine.decoding.ending import Ending, end_ids_of
from skraee.estimator.by_neighbors import NeighborExitsMixin
from skraee.estimator.checks import check_choice, check_integer
from skraee.estimator.contract import warn_of_undecided
from skraee.estimator.fitted import FittedByNeighbors
from skraee.estimator.progress import (
    CallbackSupportMixin,
    fit_progress,
    progress,
    with_callbacks,
)
from skraee.estimator.sweeping import SweepingEstimator
from skraee.exits.policies import ByGain, ByNeighbors
from skraee.exits.targets import ByTargetVotes
from skraee.exits.voting import exit_distribution
from skraee.generation.answers import Answers
from skraee.generation.explanation import (
    GenerationExplanation,
    neighbors_with_shares,
)
from skraee.generation.generations import Generations
from skraee.generation.learning import Lesson, chosen_price, served_by_full_depth
from skraee.generation.opening import (
    check_room,
    generation_costs,
    open_to_generate,
    probe_tokens,
)
from skraee.generation.references import check_references
from skraee.generation.rouge import rouge_l, rouge_scorer
from skraee.generation.targets import TargetSweeper
from skraee.inspection.explanation import only_text, texts_of_fit
from skraee.persistence.model_file import load
from skraee.persistence.saving import SavingMixin
from skraee.retrieval.encoder import as_encoder
from skraee.retrieval.keys import check_encoder, fit_encoder, joined
from skraee.retrieval.outer_search import SearchIndex
from skraee.retrieval.remoteness import Remoteness
from skraee.retrieval.vectors import KeyDtype
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper
from skraee.text.inputs import Texts, check_texts, warn_of_empty
from skraee.text.template import Template


class RAEEGenerator(
    SavingMixin, NeighborExitsMixin, CallbackSupportMixin, SweepingEstimator
):
    """Generate text with a frozen language model that stops early.

    ``fit`` looks at every text and its target once and remembers at which layers the
    model would have said most of it; ``predict`` finds similar texts, and the model
    generates at the layer that served them. There is no gradient step anywhere.

    The RAEE paper names two results of summarisation and no protocol: what is done
    here with targets is a design of its own.

    Parameters
    ----------
    backbone : str, Path or Backbone
        Hub name (``org/name`` or ``org/name@revision``), local folder, ``.gguf`` file,
        or a :class:`Backbone`: a causal or an encoder-decoder model with its head. A
        larger one writes better and slower.
    template : str or Template
        The prompt, with ``{text}``; other field names take the columns of a DataFrame
        of that name. Change it first when what the full depth writes is poor.
    k : int, default=12
        Neighbours that vote. Raise it when exits are erratic, lower it when there are
        few texts. More than there are texts means all of them.
    tau : float, default=0.0
        Least mean probability of a target's tokens with which a neighbour's layer
        votes, in [0, 1]. Raise it for later exits; how high it may be depends on the
        backbone, see `layer_scores_`.
    encoder : None, int, str, Encoder, transformer or callable, default=None
        What makes the keys for retrieval, as in :class:`RAEEClassifier`. A sentence
        encoder is the best choice; an int j costs j layers of the prompt.
    max_new_tokens : int, default=64
        The most tokens of a text, its end token included; of a target, too, only so
        many count. Set it to what targets have. Prompts are cut to leave room for it.
    stop : None, str or list of str, default=None
        Strings at which a text ends; they are no part of it. Set it to what follows
        an answer in your template, such as a line break: plain models rarely write an
        end token.
    margin : float, default=0.05
        How far below its best share of a target a layer may be to get the text's
        vote, in [0, 1]. Raise it for earlier exits.
    speculative : bool, default=False
        Whether the exit only drafts and the full depth verifies (self-speculative
        decoding): the text is then that of the full depth, token by token but for
        rounding, in fewer passes of all layers. Set it where no text may differ.
    draft_tokens : int, default=4
        Tokens of a draft. Raise it where most are accepted (`generate` says how many).
    temperature : float, default=0.0
        0 takes the most probable token; above 0 tokens are drawn, from logits divided
        by it. Set it, to 0.7 say, where texts should vary.
    top_k : int or None, default=None
        Draw among so many of the most probable tokens only.
    top_p : float or None, default=None
        Draw among the most probable tokens with so much probability together only.
    budget : None or float, default=None
        Mean share of the generating layers that a text may use, in (0, 1], as in
        :class:`RAEEClassifier`. `fit` then chooses what a deeper exit must gain in
        mean probability: what brings most texts within `margin` of their best depth;
        `tau` is not used.
    below_tau : {"top3", "skip"}, default="top3"
        What a neighbour votes with when no layer reaches tau: its three best layers,
        or nothing.
    min_exit : int, default=0
        Smallest depth at which a text may be generated. Raise it where early exits
        write broken text: a share of a target's tokens does not tell that.
    database : {"all", "correct"}, default="all"
        "correct" stores only texts of which the full depth names nearly as much as the
        best depth does. For comparison; "all" is better.
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
        Longest prompt in tokens. None: as many as the backbone has positions, less
        `max_new_tokens` where these share them. Lower it to bound the time for long
        texts.
    long_texts : {"cut", "head_tail"}, default="cut"
        What is done with a text beyond `max_length`: its end is left out, or its
        middle. Choose "head_tail" where texts end with what matters.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch, those that are generated included. Halved when memory
        runs out. Raise it to generate more texts side by side.
    device : str, torch.device or list of these, default="auto"
        Of several, each takes the layers that the ones before it have no room for.
        "auto" is all GPUs, else the CPU.
    dtype : {"auto", "bfloat16", "float16", "float32"}, default="auto"
        Numbers that the backbone computes in. "auto" is bfloat16 where the device has
        instructions for it, else float32. With "float32" texts are the same whatever
        shares their batch.
    memory : "process", None, str, Path or joblib.Memory, default="process"
        Where readings, keys and, by `score`, generated texts are kept, so that no text
        passes the backbone twice: see :class:`RAEEClassifier`. Give a folder for
        searches with `n_jobs` and to stop and go on.
    n_jobs : int or None, default=None
        Threads of the index, not of the backbone. None means 1.
    random_state : int, RandomState instance or None, default=None
        Seeds the index and what is drawn, from `fit` on. None is 0. Each text draws
        from a stream of its own: it is the same alone and beside others.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    n_layers_ : int
        Number of layers m that generate (of an encoder-decoder, the decoder's); exits
        are 0..m.
    n_samples_fit_ : int
        Texts seen by fit.
    layer_scores_ : ndarray of shape (m + 1,)
        Mean share of the targets' tokens that each depth would have said, each after
        the right ones before it.
    cost_ : ndarray of shape (m + 1,)
        Counted share of the generating layers at each depth. The head comes on top,
        and so does an encoder before a decoder.
    lambda_ : float
        With a `budget`: the mean probability that a full pass must gain.
    exit_report_ : dict of ndarray
        With a `budget`: what each price of depth leads to on the texts of fit, each
        left out: `lambda`, `mean_cost`, `accuracy` (the share of texts whose exit is
        within `margin` of their best), and `chosen`, true for one.

    See Also
    --------
    RAEEClassifier : The same where the answer is a class.

    References
    ----------
    Huang et al., "RAEE: A Robust Retrieval-Augmented Early Exit Framework for
    Efficient Inference", ICLR 2026, arXiv 2405.15198.

    Zhang et al., "Draft & Verify: Lossless Large Language Model Acceleration via
    Self-Speculative Decoding", ACL 2024.

    Examples
    --------
    >>> from skraee import RAEEGenerator, toy
    >>> X, labels = toy.reviews(60)
    >>> answers = {"positive": "good good", "negative": "cold cold"}
    >>> y = [answers[label] for label in labels]
    >>> gen = RAEEGenerator(toy.backbone("causal"), "{text} so", k=5, max_new_tokens=2)
    >>> gen.fit(X, y).predict(["a lovely film", "the waiter was cold and slow"])
    array(['good good', 'cold cold'], dtype=object)
    """

    lambda_: float
    exit_report_: dict[str, npt.NDArray[Any]]

    _layer_scores_are = "Share of the targets that it would have said"

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        k: int = 12,
        tau: float = 0.0,
        *,
        encoder: Any = None,
        max_new_tokens: int = 64,
        stop: str | Sequence[str] | None = None,
        margin: float = 0.05,
        speculative: bool = False,
        draft_tokens: int = 4,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        budget: float | None = None,
        below_tau: Literal["top3", "skip"] = "top3",
        min_exit: int = 0,
        database: Literal["all", "correct"] = "all",
        metric: Literal["sqeuclidean", "euclidean", "cosine"] = "sqeuclidean",
        index: Literal["hnsw", "exact"] | SearchIndex = "hnsw",
        key_dtype: KeyDtype = "float32",
        max_length: int | None = None,
        long_texts: Literal["cut", "head_tail"] = "cut",
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
        self.encoder = encoder
        self.max_new_tokens = max_new_tokens
        self.stop = stop
        self.margin = margin
        self.speculative = speculative
        self.draft_tokens = draft_tokens
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
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
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any) -> Self:
        """Read once what every depth would have said of the targets, and store it.

        Parameters
        ----------
        X : sequence of n str, or DataFrame with a column for each field
            The texts.
        y : sequence of n str, or of n lists of str
            Their targets. Several references of a text are a list, or one string in
            which " || " parts them; their readings are averaged.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If texts, targets, template or parameters do not fit, or the backbone
            generates no text; the estimator is then as it was.

        Warns
        -----
        UserWarning
            If a parameter was changed that another makes useless.
        InputWarning
            If texts are empty.
        TruncationWarning
            If texts or targets are too long.
        """
        self._check_before_fit()
        samples, references = self._with_targets(X, y)
        sweeper = self._open(samples)
        with fit_progress(self, X, y, _n_pairs(references)) as on_progress:
            sweep = self._sweeping(sweeper).sweep(samples, references, on_progress)
            return self._learn(Lesson(sweeper, sweep))

    @with_callbacks
    def partial_fit(self, X: Any, y: Any) -> Self:
        """Add texts with their targets; only they pass the backbone.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            New texts.
        y : sequence of n str, or of n lists of str
            Their targets.

        Returns
        -------
        self
            As after `fit` on all texts, but that a scikit-learn transformer as
            `encoder` keeps what it learned from the first ones.

        Raises
        ------
        ValueError
            If a budget would need texts that ``database="correct"`` has not kept.
        """
        self._check_before_fit()
        before: FittedByNeighbors | None = getattr(self, "_fitted", None)
        if before is not None:
            before.check_setting(self._setting())
            self._refuse_forgetful_database()
        samples, references = self._with_targets(X, y)
        if before is None:
            sweeper = self._open(samples)
        else:
            sweeper = self._reopen(before.sweep_settings)
            check_room(sweeper, self.max_new_tokens)
        with fit_progress(self, X, y, _n_pairs(references)) as on_progress:
            sweep = self._sweeping(sweeper).sweep(samples, references, on_progress)
            return self._learn(Lesson(sweeper, sweep, before))

    def predict(self, X: Any, return_exit_layers: bool = False) -> Any:
        """Generate a text for each text, at the depth that its neighbours choose.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.
        return_exit_layers : bool, default=False
            Whether to return the exits too.

        Returns
        -------
        texts : ndarray of object of shape (n,)
            Strings, without white space around them.
        exit_layers : ndarray of shape (n,)
            Only if `return_exit_layers`.

        Warns
        -----
        UndecidedWarning
            If no neighbour of some texts has a vote; these ran all layers.
        """
        found = self.generate(X)
        return (found.texts, found.exit_layers) if return_exit_layers else found.texts

    def generate(self, X: Any) -> Generations:
        """Generate as `predict` does, and say how.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        Generations
            Texts, exits, numbers of tokens and passes; with ``speculative=True`` how
            much of the drafts was accepted.
        """
        return self._generate(X, keeps=False)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean ROUGE-L of what is generated.

        What it generates is kept in `memory`, unlike what `predict` does: a search
        over k and tau generates each text once at each depth that comes up.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.
        y : sequence of n str, or of n lists of str
            Their references, of which the one that is most like the text counts.
        sample_weight : array-like of shape (n,), optional
            Weights of the texts.

        Returns
        -------
        float
            From 0 to 1: the F measure, with stems.

        Raises
        ------
        ImportError
            If the package rouge-score is not installed (the extra ``rouge``).
        """
        rouge_scorer()
        self._check_fitted()
        samples = self._texts(X)
        references = check_references(y, len(samples))
        found = self._generate(samples, keeps=True)
        return float(
            np.average(rouge_l(found.texts.tolist(), references), weights=sample_weight)
        )

    def explain(self, text: Any, texts: Any = None) -> GenerationExplanation:
        """Say why a text was generated where it was: its neighbours and their votes.

        Parameters
        ----------
        text : str, or a DataFrame of one row
            One text.
        texts : sequence of str, or DataFrame, optional
            The texts that were given to fit, all of them and in their order, to show
            the neighbours by their words; the estimator does not keep them.

        Returns
        -------
        GenerationExplanation
            Prints as a short report; a notebook and rich show it as a table.

        Raises
        ------
        ValueError
            If `text` is not one text, or `texts` are not as many as fit was given.
        """
        X = [text] if isinstance(text, str) else text
        self._check_fitted()
        words, shown = only_text(self._texts(X)), None
        if texts is not None:
            fields = self._fitted.sweep_settings.template.fields
            shown = joined(texts_of_fit(texts, fields, self.n_samples_fit_))
        found = self.generate(X)
        policy, database = self._policy(self._fitted), self._fitted.database
        (keys,) = self._by_keys(X, lambda keys: (keys,))
        choice = policy.choice(keys)
        neighbors = neighbors_with_shares(
            choice, database, policy.votes()[choice.rows[0]], shown
        )
        return GenerationExplanation(
            text=words,
            generated=str(found.texts[0]),
            exit_layer=int(found.exit_layers[0]),
            n_layers=self.n_layers_,
            undecided=bool(found.undecided[0]),
            neighbors=neighbors,
            exit_distribution=tuple(exit_distribution(choice.scores)[0].tolist()),
            remoteness=Remoteness.of(neighbors[0].distance, database.spacing()),
            accepted_share=found.accepted_share,
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
        """Read an estimator that `save` wrote; it generates as it did.

        No code in the file is run, and the backbone is held to what it was, as with
        :meth:`RAEEClassifier.load`.

        Parameters
        ----------
        path : str or Path
            The file.
        backbone : str, Path or Backbone, optional
            Where the backbone is now, if it has moved.
        encoder : str, Path or Encoder, optional
            Where the sentence encoder is now, if it has moved.
        key : bytes or str, optional
            The one that was given to `save`.
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
        RAEEGenerator

        Raises
        ------
        FileFormatError
            If the file is damaged, of a newer format, or none of ours; its subclass
            `SignatureError` if it was not signed with the key.
        """
        return load([cls], path, backbone, encoder, key, mmap_mode, index)

    # How it learns.

    def _with_targets(self, X: Any, y: Any) -> tuple[Texts, list[tuple[str, ...]]]:
        samples = check_texts(X, self._template().fields)
        references = check_references(y, len(samples))
        warn_of_empty(samples)
        return samples, references

    def _open(self, samples: Texts) -> Sweeper:
        """Load the backbone as the parameters say; fit the encoder to the texts."""
        settings = SweepSettings(
            as_backbone(self.backbone),
            self._template(),
            self.max_length,
            self.dtype,
            as_encoder(self.encoder),
            long_texts=self.long_texts,
        )
        sweeper = open_to_generate(settings, self.max_new_tokens, self._reopen)
        n_layers = self._decoder(sweeper).n_layers
        check_integer("min_exit", self.min_exit, least=0, most=n_layers)
        check_encoder(sweeper.encoder, n_layers)
        return sweeper.with_encoder(fit_encoder(sweeper.encoder, joined(samples)))

    def _sweeping(self, sweeper: Sweeper) -> TargetSweeper:
        return TargetSweeper(sweeper, self.max_new_tokens, self.batch_tokens)

    def _learn(self, lesson: Lesson) -> Self:
        """Store the readings with their keys, and choose within a budget."""
        fitted = self._store(lesson)
        costs = generation_costs(lesson.sweeper)
        chosen: dict[str, Any] = {}
        if self.budget is not None:
            known = lesson.evidence(fitted, costs, self.margin)
            chosen = chosen_price(known, self.budget, self.k, self.min_exit)
        fitted.database.build_index(self.k)
        n_before = 0 if lesson.before is None else self.n_samples_fit_
        scores_before = None if lesson.before is None else self.layer_scores_
        self._keep(
            fitted,
            n_layers_=lesson.n_layers,
            n_samples_fit_=n_before + len(lesson.sweep.keys),
            layer_scores_=lesson.layer_scores(scores_before, n_before),
            cost_=costs,
            **chosen,
        )
        return self

    def _store(self, lesson: Lesson) -> FittedByNeighbors:
        """Return the database of all texts."""
        sweep, settings = lesson.sweep, lesson.sweeper.settings
        database, standardizer = self._database(
            settings, sweep.keys, sweep.readings, lesson.codes
        )
        if self.database == "correct":
            database = served_by_full_depth(database, self.margin)
        fitted = FittedByNeighbors(
            sweep_settings=settings,
            setting=self._setting(),
            token_ids=probe_tokens(lesson.sweeper),
            database=database,
            standardizer=standardizer,
        )
        if lesson.before is None:
            return fitted
        whole = np.concatenate([lesson.before.database.proba, fitted.database.proba])
        return lesson.before.joined(fitted, self.n_samples_fit_, whole)

    # How it answers.

    def _generate(self, X: Any, *, keeps: bool) -> Generations:
        self._check_fitted()
        samples, fitted = self._texts(X), self._fitted
        sweeper = self._reopen(fitted.sweep_settings)
        check_room(sweeper, self.max_new_tokens)
        answers = Answers(
            sweeper,
            self._decoder(sweeper),
            self._policy(fitted),
            self._way(sweeper),
            fitted.database.seed,
            keeps,
        )
        with progress("generate", len(samples), self.verbose) as on_progress:
            found = answers.of(samples, on_progress)
        if found.undecided.any():
            warn_of_undecided(np.flatnonzero(found.undecided).tolist())
        return found

    def _decoder(self, sweeper: Sweeper) -> Decoder:
        return Decoder(sweeper.backbone, self.batch_tokens)

    def _way(self, sweeper: Sweeper) -> Way:
        """Return how texts are generated, as the parameters say now."""
        backbone = sweeper.backbone
        stops = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        ending = Ending(
            self.max_new_tokens, end_ids_of(backbone), stops, backbone.tokenizer.text
        )
        sampling = Sampling(self.temperature, self.top_k, self.top_p)
        return Way(ending, sampling, self.draft_tokens if self.speculative else 0)

    def _policy(self, fitted: FittedByNeighbors) -> ByNeighbors:
        shared: dict[str, Any] = {
            "database": fitted.database,
            "standardizer": fitted.standardizer,
            "k": self.k,
            "min_exit": self.min_exit,
        }
        if self.budget is not None:
            return ByGain(**shared, price=self.lambda_, costs=self.cost_)
        return ByTargetVotes(
            **shared, tau=self.tau, below_tau=self.below_tau, margin=self.margin
        )

    def _exit_choice(self) -> Iterator[str]:
        means = f"tau={self.tau}" if self.budget is None else "a budget"
        yield f"k={self.k} neighbours choose the layer, with {means}."

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("long_texts", self.long_texts, ("cut", "head_tail"))
        if self.speculative and self.temperature > 0:
            raise ValueError(
                "speculative=True verifies the most probable tokens and draws none, "
                f"got temperature={self.temperature}; set one of them back."
            )

    def _refuse_forgetful_database(self) -> None:
        if self.budget is not None and self.database == "correct":
            raise ValueError(
                "database='correct' keeps nothing of the texts that the full depth "
                "serves badly, and a budget needs all of them; call fit on all texts."
            )

    def _setting(self) -> dict[str, Any]:
        return {"budget": self.budget}


def _n_pairs(references: Sequence[tuple[str, ...]]) -> int:
    return sum(map(len, references))
