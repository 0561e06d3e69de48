"""DeeBERT: a classifier behind every layer, trained by gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

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
from skraee.baselines.deebert.ramps import ByEntropy, RampScorer
from skraee.baselines.deebert.training import Training
from skraee.engine.batching import BatchTokens, OnProgress
from skraee.engine.run import Run
from skraee.estimator.checks import check_integer, check_real
from skraee.estimator.progress import progress
from skraee.sweep.layer_sweep import softmax
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper, open_sweeper
from skraee.text.prompt import Prompt
from skraee.text.template import Template

Float32Array = npt.NDArray[np.float32]


class DeeBERTClassifier(BaselineClassifier):
    """Classify text by trained off-ramps; each text leaves at a certain one (DeeBERT).

    Behind every layer stands an off-ramp: the first token's state goes through a
    linear layer of the same width, tanh, dropout and a linear layer to the classes. A
    text leaves at the first ramp whose answer has an entropy below `threshold`, else
    it runs all layers and the last ramp answers.

    This is the one method here that is trained by gradients. The backbone stays
    frozen and only the ramps learn, as in the RAEE paper's comparison; the original
    trains the backbone too. So `fit` runs every text once, keeps its states and trains
    all ramps on them, by the sum of their cross-entropies. As the ramps share nothing,
    each learns as if it were alone; so that this holds, gradients are clipped ramp by
    ramp.

    Choices that the papers leave open: a causal model's ramps read the last token,
    those of a sequence-to-sequence model the text's last token in the encoder and the
    first position in the decoder; states are read behind the model's final norm, where
    it has one, as its own head reads them; weights start as BERT's do (normal, 0.02).

    Parameters
    ----------
    backbone : str, Path or Backbone
        Hub name, local folder, ``.gguf`` file, or a :class:`skraee.Backbone`; it needs
        no language-model head. A larger one is more accurate and slower.
    template : str or Template, default="{text}"
        The plain text. Give one to join several columns, as in
        ``"{premise} {hypothesis}"``; where it has a mask, the mask is read.
    threshold : float, default=0.3
        Entropy (natural logarithm) below which a text leaves. Raise it for earlier
        exits; 0 is full depth. The paper tries 0 to 0.7. Each predict follows it, so
        that several can be judged by one `layer_proba`.
    n_epochs : int, default=50
        Passes over the training texts. Lower it where there are many thousands.
    learning_rate : float, default=2e-5
        Of AdamW at the start; it falls to 0 in equal steps. With a frozen backbone
        and few texts 1e-3 often gains much.
    batch_size : int, default=8
        Texts per step. Raise it, with the learning rate, for speed.
    dropout : float, default=0.1
        Share of the ramps' inner numbers that training sets to 0. Raise it against
        overfitting.
    weight_decay : float, default=0.0
        Of AdamW. Raise it against overfitting.
    max_grad_norm : float, default=1.0
        Largest norm of a ramp's gradient. Lower it where training is unsteady.
    train_last : bool, default=True
        Whether the last ramp is trained too. False is what the original's loss for
        the ramps does, which leaves the last one as it was drawn.
    max_length : int or None, default=128
        Longest text in tokens. Raise it for long texts whose end matters.
    batch_tokens : int or "auto", default="auto"
        Padded tokens per batch of the backbone. Change it where memory is short.
    device : str, torch.device or list of these, default="auto"
        Of several, each takes the layers that the ones before it have no room for:
        for a model larger than one GPU. "auto" is all GPUs, else the CPU.
        The first one trains.
    dtype : {"auto", "bfloat16", "float16", "float32"}, default="auto"
        Numbers that the backbone computes in; ramps are float32. "float32" where
        rounding matters more than time.
    memory : "process", None, str, Path or joblib.Memory, default="process"
        Where fit keeps the states of texts. Give a folder for later processes.
        `predict` never looks there.
    random_state : int, RandomState instance or None, default=None
        Seeds first weights, order of texts and dropout, and touches no global
        generator. None is 0. Change it to see how far results are chance.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The classes, sorted.
    n_layers_ : int
        Number of layers m of the backbone; exits are 1..m.
    cost_ : ndarray of shape (m + 1,)
        Counted share of a full pass at each depth, without the ramps.

    References
    ----------
    Xin et al., "DeeBERT: Dynamic Early Exiting for Accelerating BERT Inference", ACL
    2020, arXiv 2004.12993.

    Examples
    --------
    >>> from skraee import toy
    >>> from skraee.baselines import DeeBERTClassifier
    >>> X, y = toy.reviews(60)
    >>> clf = DeeBERTClassifier(toy.backbone(), learning_rate=1e-3).fit(X, y)
    >>> clf.predict(["a lovely film", "the waiter was cold and slow"])
    array(['positive', 'negative'], dtype='<U8')
    """

    _reads_label_words: ClassVar[bool] = False

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template = "{text}",
        *,
        threshold: float = 0.3,
        n_epochs: int = 50,
        learning_rate: float = 2e-5,
        batch_size: int = 8,
        dropout: float = 0.1,
        weight_decay: float = 0.0,
        max_grad_norm: float = 1.0,
        train_last: bool = True,
        max_length: int | None = 128,
        batch_tokens: BatchTokens = "auto",
        device: Device = "auto",
        dtype: str = "auto",
        memory: Any = "process",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.template = template
        self.threshold = threshold
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.train_last = train_last
        self.max_length = max_length
        self.batch_tokens = batch_tokens
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name in ("threshold", "weight_decay"):
            value = getattr(self, name)
            check_real(name, value, "be at least 0", lambda number: number >= 0, 0.1)
        for name, example in (("learning_rate", 2e-5), ("max_grad_norm", 1.0)):
            value = getattr(self, name)
            check_real(name, value, "be above 0", lambda number: number > 0, example)
        rule = "be at least 0 and below 1"
        check_real("dropout", self.dropout, rule, lambda share: 0 <= share < 1, 0.1)
        check_integer("n_epochs", self.n_epochs, least=0)
        check_integer("batch_size", self.batch_size, least=1)

    def _sweep_settings(self) -> SweepSettings:
        settings = super()._sweep_settings()
        return replace(settings, by_states=True, state_kinds=("read",))

    def _learn(self, train: TrainingTexts) -> Learned:
        swept = train.sweeper.sweep(train.samples, (), train.on_progress)
        assert swept.states is not None
        training = Training(
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
            dropout=self.dropout,
            train_last=self.train_last,
            seed=int(check_random_state(self._seed()).randint(2**31 - 1)),
        )
        states, device = swept.states[:, 1:, 0], train.sweeper.backbone.device
        return Learned(training.run(states, train.codes, train.n_classes, device))

    def layer_proba(self, X: Any) -> Float32Array:
        """Read every ramp of every text; `predict_proba` is one row of it.

        By it a threshold can be judged for which no text has to run again. Texts that
        `memory` knows do not run at all.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        proba : ndarray of shape (n, m + 1, C)
            At depth 0, which has no ramp, all classes are alike.
        """
        self._check_fitted()
        samples = self._texts(X)
        if not samples:
            shape = (0, self.n_layers_ + 1, len(self.classes_))
            return np.zeros(shape, dtype=np.float32)
        settings = self._fitted.sweep_settings
        sweeper = open_sweeper(settings, self.device, self.batch_tokens, self.memory)
        with progress("sweep", len(samples), self.verbose) as on_progress:
            swept = sweeper.sweep(samples, (), on_progress)
        assert swept.states is not None
        return softmax(self._fitted.learned.scores(swept.states[:, :, 0]))

    def _run(
        self,
        sweeper: Sweeper,
        fitted: FittedBaseline,
        prompts: list[Prompt],
        on_progress: OnProgress | None,
    ) -> Run:
        scorer = RampScorer(fitted.learned, sweeper.backbone)
        policy = ByEntropy(self.threshold)
        return sweeper.engine.run(prompts, policy, scorer, on_progress=on_progress)
