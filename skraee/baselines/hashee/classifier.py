"""HashEE: a hash of the token says how many layers the token runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

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
from skraee.baselines.hashee.hashing import (
    Counts,
    by_cluster,
    by_rank,
    layers_of_buckets,
)
from skraee.baselines.hashee.readout import LastReadout, LastStates
from skraee.baselines.hashee.token_layers import TokenEngine, check_leaves_tokens_out
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.exit_policy import ExitPolicy
from skraee.engine.head import label_head
from skraee.engine.run import Run
from skraee.engine.scorer import LabelScorer, Scorer
from skraee.engine.stacks import layers_of
from skraee.estimator.checks import check_choice, check_integer
from skraee.sweep.chunks import chunks_of
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper
from skraee.text.label_words import LabelWords
from skraee.text.prompt import Prompt
from skraee.text.template import Template

Float32Array = npt.NDArray[np.float32]

_HASHES = ("frequency", "mi", "random", "cluster")


class HashEEClassifier(BaselineClassifier):
    """Give every token a fixed number of layers by a hash of its id.

    ``fit`` puts tokens into buckets, shallow to deep; no layer runs. In ``predict`` a
    token stops after its bucket's layers: from then on it forms no query and goes
    through no feed-forward part, while the tokens that still run attend to its last
    state. The answer is read as at full depth, at a position that runs all layers.

    The method is meant for encoders that are trained for the task while their tokens
    stop. A frozen one, which may have no words to answer with, is given the nearest to
    that by ``readout="ridge"``: `fit` runs the texts with their tokens stopping and
    solves a linear readout of what comes out.

    Parameters
    ----------
    backbone : str, Path or Backbone
        Hub name, local folder, ``.gguf`` file, or a :class:`skraee.Backbone`. Of every
        supported type but OPT and the DeBERTa models with a convolution.
    template : str or Template
        The prompt, as :class:`skraee.RAEEClassifier` takes it. Change it first when
        accuracy at full depth is poor. For "ridge" the plain ``"{text}"`` will do.
    label_words : dict, list of str, or None, default=None
        Class -> the word that the model says for it, or the words in the order of
        sorted `classes_`. None takes the class names, when all are strings. "ridge"
        reads none.
    readout : {"lm_head", "ridge"}, default="lm_head"
        What gives the answer: the label words, through the model's own head, or a ridge
        regression on the states behind the last layer, of the read position (of a
        masked model without mask the first token) and of the text's tokens on average,
        each scaled to one length.
        Choose "ridge" for sentence encoders and wherever texts are labelled.
    hash_by : {"frequency", "mi", "random", "cluster"}, default="frequency"
        What decides about a token's bucket. "frequency": how often the training texts
        hold it, the most frequent runs the fewest layers. "mi": its mutual information
        with the class, the highest runs the fewest. "random": chance, once per token.
        "cluster": k-means on the input embeddings, the cluster of the smallest summed
        norm runs the fewest. "random" is the control for the others; "cluster" also
        serves where training texts are few, as it knows tokens that they do not hold.
    n_buckets : int, default=6
        Buckets B. Bucket b runs b / B of the layers, rounded up. Fewer are coarser;
        with 1 every token runs all layers.
    max_length : int or None, default=None
        Longest prompt in tokens; longer texts are cut at their end. Lower it to bound
        the time for long texts.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch. Lower it where other programs need memory.
    device : str, torch.device or list of these, default="auto"
        Of several, each takes the layers that the ones before it have no room for:
        for a model larger than one GPU. "auto" is all GPUs, else the CPU.
    dtype : {"auto", "bfloat16", "float16", "float32"}, default="auto"
        Numbers that the backbone computes in. "float32" for comparisons to the digit.
    random_state : int, RandomState instance or None, default=None
        Seeds "random" and "cluster"; None is 0. Change it to see how much is chance.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    token_layers_ : ndarray of shape (V,), int
        Layers that each token of the vocabulary runs; of a T5, encoder layers.
    classes_ : ndarray of shape (C,)
        The classes, sorted.
    n_layers_ : int
        Number of layers m of the backbone.
    cost_ : ndarray of shape (m + 1,)
        Counted share of a full pass at each depth.

    Notes
    -----
    Choices made here, where the paper trains a model and this class has a frozen one:

    - The backbone stays as it is. The paper fine-tunes it with its tokens stopping.
      With "ridge" only the readout learns, from states of stopping tokens; its penalty
      has the least error of texts left out, and a temperature their least log-loss.
    - Tokens of a text are counted by what its prompt holds of it, without template.
      The paper's B buckets are of equally many tokens here, too: the K tokens of the
      training texts are cut at every K / B.
    - All special tokens run all layers, and so does the read position. With
      "frequency" and "mi", so do tokens that the training texts do not hold.
    - Clusters are made of the training texts' tokens. Any other token of the
      vocabulary falls to the nearest.
    - Of a T5 the encoder's tokens stop; its decoder reads one position and runs whole.
    - `exit_layers` is the mean number of layers over the prompt's tokens, as the hash
      has it (of a T5 the encoder's mean and all decoder layers), so it is no whole
      number. For label words the engine does a little less still: in the last layer it
      computes the read position only, as for every other classifier here.
    - Where a family makes queries, keys and values in one map (GPT-2, GPT-NeoX, Phi-3,
      ModernBERT) or shares the queries' map with positions (DeBERTa), the queries of
      tokens that have stopped are formed as well and not used. ALBERT's output map
      also runs whole. The products of queries and keys are those of the model's own
      attention, which takes queries of all tokens; those of tokens that have stopped
      are 0.

    References
    ----------
    Sun et al., "A Simple Hash-Based Early Exiting Approach For Language Understanding
    and Generation", Findings of ACL 2022, arXiv 2203.01670.

    Examples
    --------
    >>> from skraee import toy
    >>> from skraee.baselines import HashEEClassifier
    >>> X, y = toy.reviews(60)
    >>> clf = HashEEClassifier(toy.backbone(), "{text} it was {mask}.",
    ...                        label_words=toy.LABEL_WORDS, n_buckets=4)
    >>> labels, layers = clf.fit(X, y).predict(X[:20], return_exit_layers=True)
    >>> bool((layers < clf.n_layers_).all())
    True
    """

    _fixed: ClassVar[tuple[str, ...]] = ("readout", "hash_by", "n_buckets")
    _without_head: ClassVar[str] = "set readout='ridge', which needs none"

    token_layers_: IntArray

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template,
        *,
        label_words: LabelWords = None,
        readout: Literal["lm_head", "ridge"] = "lm_head",
        hash_by: Literal["frequency", "mi", "random", "cluster"] = "frequency",
        n_buckets: int = 6,
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
        self.readout = readout
        self.hash_by = hash_by
        self.n_buckets = n_buckets
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_integer("n_buckets", self.n_buckets, least=1)
        check_choice("hash_by", self.hash_by, _HASHES)
        check_choice("readout", self.readout, ("lm_head", "ridge"))

    def _reads_words(self) -> bool:
        return self.readout == "lm_head"

    def _sweep_settings(self) -> SweepSettings:
        return replace(super()._sweep_settings(), by_states=not self._reads_words())

    def _check_classes(
        self, labels: npt.NDArray[Any], classes: npt.NDArray[Any]
    ) -> None:
        if self._reads_words():
            super()._check_classes(labels, classes)

    def _tokens(self, sweeper: Sweeper, classes: npt.NDArray[Any]) -> tuple[int, ...]:
        return super()._tokens(sweeper, classes) if self._reads_words() else ()

    def _learn(self, train: TrainingTexts) -> Learned:
        backbone = train.sweeper.backbone
        check_leaves_tokens_out(backbone)
        layers = layers_of_buckets(self.n_buckets, _first_stack(backbone))
        table = layers[self._buckets(train)]
        table[list(backbone.tokenizer.control_ids)] = layers[-1]
        attributes = {"token_layers_": table}
        if not self._reads_words():
            features = self._features(train, table)
            readout = LastReadout.of(features, train.codes, train.n_classes)
            return Learned(_Learned(table, readout), attributes)
        if train.on_progress is not None:
            train.on_progress(len(train.samples))
        return Learned(_Learned(table), attributes)

    def _features(self, train: TrainingTexts, table: IntArray) -> Float32Array:
        """Run the training texts with their tokens stopping; return (n, 2 H)."""
        found = []
        # Where tokens were counted, there was a warning of long texts already.
        is_first = self.hash_by == "random"
        chunks = train.sweeper.chunks if is_first else chunks_of
        for chunk in chunks(train.samples):
            rows = np.arange(len(chunk.samples))
            prompts = train.sweeper.prompts_of(chunk, rows)
            scorer = LastStates(train.sweeper.backbone, train.sweeper.n_layers)
            run = self._run_tokens(
                train.sweeper, table, prompts, scorer, train.on_progress
            )
            if train.on_progress is not None:
                train.on_progress(len(chunk.inverse) - len(prompts))
            found.append(run.scores[chunk.inverse])
        return np.concatenate(found)

    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Run:
        learned: _Learned = fitted.learned
        scorer: Scorer
        if learned.readout is None:
            scorer = LabelScorer(label_head(sweeper.backbone, fitted.token_ids))
        else:
            scorer = LastStates(sweeper.backbone, sweeper.n_layers)
        run = self._run_tokens(sweeper, learned.table, prompts, scorer, on_progress)
        if learned.readout is not None:
            run = replace(run, scores=learned.readout.scores(run.scores))
        return run

    def _run_tokens(
        self,
        sweeper: Sweeper,
        table: IntArray,
        prompts: list[Prompt],
        scorer: Scorer,
        on_progress: OnProgress | None,
    ) -> Run:
        """Run prompts, each token as deep as a table (V,) says."""
        layers = [_layers_of(prompt, table, sweeper) for prompt in prompts]
        engine = TokenEngine(sweeper.backbone, layers, self.batch_tokens)
        run = engine.run(prompts, ExitPolicy(), scorer, on_progress=on_progress)
        behind = sweeper.n_layers - _first_stack(sweeper.backbone)
        means = np.array([behind + own.mean() for own in layers])
        return replace(run, exits=means)

    def _buckets(self, train: TrainingTexts) -> IntArray:
        """Return each token's bucket (V,), 0 to B - 1."""
        embeddings = train.sweeper.backbone.model.get_input_embeddings().weight
        buckets: IntArray
        if self.hash_by == "random":
            random = check_random_state(self._seed())
            buckets = random.randint(self.n_buckets, size=len(embeddings))
            return buckets
        counts = _count(train)
        if self.hash_by == "cluster" and len(counts.ids):
            seed = self._seed()
            return by_cluster(embeddings, counts.ids, self.n_buckets, seed)
        by_frequency = self.hash_by == "frequency"
        merit = counts.occurrences if by_frequency else counts.information()
        buckets = np.full(len(embeddings), self.n_buckets - 1)  # for unseen tokens
        buckets[counts.ids] = by_rank(merit, self.n_buckets)
        return buckets


def _count(train: TrainingTexts) -> Counts:
    """Count the texts' own tokens."""
    texts: list[list[int]] = []
    for chunk in train.sweeper.chunks(train.samples):
        prompts = train.sweeper.prompts_of(chunk, np.arange(len(chunk.samples)))
        own = [
            [token for start, stop in prompt.spans for token in prompt.ids[start:stop]]
            for prompt in prompts
        ]
        texts += [own[number] for number in chunk.inverse]
    return Counts.of(texts, train.codes, train.n_classes)


def _layers_of(prompt: Prompt, table: IntArray, sweeper: Sweeper) -> IntArray:
    """Return the layers (T,) that a prompt's tokens run."""
    layers: npt.NDArray[np.int64] = table[list(prompt.ids)]
    if sweeper.backbone.family.kind != "seq2seq":  # a T5 is read in its decoder
        layers[prompt.read] = sweeper.n_layers
    return layers


def _first_stack(backbone: LoadedBackbone) -> int:
    """Return the number of layers in which tokens stop."""
    family = backbone.family
    return len(layers_of(backbone.model, family, family.stacks[0]))


@dataclass(frozen=True, eq=False)
class _Learned:
    table: IntArray  # layers of each token of the vocabulary
    readout: LastReadout | None = None
