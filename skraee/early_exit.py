"""Early exit by confidence as a scikit-learn classifier.

The method in four steps:

sweep   ``fit`` runs every labelled text through the frozen model once and notes what a
        small readout may know of it at every depth.
solve   At every depth ridge regressions onto the classes are solved in closed form;
        exact leave-one-out tells how far each is to be believed.
choose  By what the left-out texts say, a threshold of confidence is chosen: the
        cheapest that loses next to nothing, or the best within a budget.
exit    A new text runs until the readout's running answer reaches the threshold, and
        no further.
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
from skraee.estimator.checks import check_share
from skraee.estimator.display import left_out
from skraee.estimator.fitted import Fitted, FittedByConfidence
from skraee.estimator.learning import Lesson, Reading, solve_readout
from skraee.estimator.progress import fit_progress, with_callbacks
from skraee.exceptions import InputWarning, warn_user
from skraee.exits.budget import within_budget
from skraee.exits.curve import threshold_curve
from skraee.exits.evidence import Evidence
from skraee.exits.max_loss import cheapest_without_loss, exit_report, reference_exit
from skraee.exits.paired import fewest_texts
from skraee.exits.policies import ByConfidence
from skraee.inspection.confidence_explanation import (
    ConfidenceExplanation,
    NearestText,
)
from skraee.inspection.explanation import only_text, texts_of_fit
from skraee.persistence.model_file import load
from skraee.persistence.saving import SavingMixin
from skraee.retrieval.keys import joined
from skraee.retrieval.remoteness import WordsOfFit
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper
from skraee.text.long_texts import LongTexts
from skraee.text.template import Template


class EarlyExitClassifier(SavingMixin, EarlyExitBase):
    """Classify text with a frozen language model that stops when it is confident.

    ``fit`` looks at every labelled text once and solves small linear readouts, one of
    the text's tokens and some of every depth of the model, in closed form; ``predict``
    runs a text until their answer is confident enough. There is no gradient step
    anywhere.

    Parameters
    ----------
    backbone : str, Path or Backbone
        Hub name (``org/name`` or ``org/name@revision``), local folder, ``.gguf`` file,
        or a :class:`Backbone`. A larger one is more accurate and slower.
    template : str or Template, default="{text}"
        What the model reads, with ``{text}``; other field names take the columns of a
        DataFrame of that name. The text alone is a good start. A question around it
        (:mod:`skraee.templates`) may help a causal model, and costs its tokens.
    max_loss : float, default=0.01
        Share of accuracy that early exits may lose against the best depth for all
        texts, in [0, 1). `fit` chooses the lowest threshold of which leave-one-out
        shows, with 95 % confidence, that it loses no more. It takes 268 texts to show
        0.01, 52 to show 0.05; fewer all run to the deepest exit that may be the best.
        Raise it for speed; 0 keeps all texts running to the best depth. Not used with
        a `budget` or a `threshold`.
    budget : None or float, default=None
        Mean share of the backbone's cost that a prediction may use, in (0, 1]. `fit`
        then chooses the threshold of the best accuracy by leave-one-out whose mean
        cost is within it by one standard error, and the deepest of those that may be
        as good. Set it where you know what time you have.
    threshold : None or float, default=None
        The confidence that stops a text: the top probability of the readout, in
        [0, 1]. None is what suits `budget` or `max_loss`. Raise it for later, often
        better exits; it costs time. It needs no new `fit`: `exit_report_` says what
        thresholds lead to.
    class_weight : None, "balanced" or dict, default=None
        Weights of the texts wherever something is solved or chosen by leave-one-out:
        the readout, its temperatures, the accuracy that exits lose. "balanced" where
        the classes of y are of unequal size and all matter alike; ``{class: weight}``
        where some matter more, as in scikit-learn: a class that is left out weighs 1.
        Costs, `layer_scores_` and `score` are never weighted.
    min_exit : int, default=0
        Smallest depth at which a text may stop. Raise it where new texts differ from
        the labelled ones, so that no early answer is believed.
    max_length : int or None, default=None
        Longest prompt in tokens. None: as many as the backbone has positions, or as a
        sentence encoder was trained to read. Lower it to bound the time for long texts,
        raise it to read all of them.
    long_texts : {"cut", "head_tail", "mean"}, default="cut"
        What is done with a text beyond `max_length`. "cut": its end is left out.
        "head_tail": its middle is, so that a quarter of what is kept is its beginning,
        the rest its end; choose it where texts end with what matters. "mean": it is
        read in windows, 16 at the most, each with the template around it, whose states
        are averaged at every depth and which stop together. Choose it where what
        matters may stand anywhere; each window costs what a text costs.
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
        Where the states of texts are kept, so that no text passes the backbone twice:
        in this process (1 GiB, least recently used), nowhere, or in a folder for later
        processes and for several at once. `fit` writes there, `predict` looks only.
        Give a folder for searches with `n_jobs`, to stop and go on, and before
        `partial_fit` in another process;
        :class:`skraee.sweep.folder_store.FolderStore` sets its size (4 GiB otherwise),
        and :func:`skraee.clear_sweeps` empties it. One that cannot be used costs a
        warning and no answer.
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
        Accuracy of each depth on the texts of fit, each of them left out.
    cost_ : ndarray of shape (m + 1,)
        Counted share of a full pass at each depth.
    threshold_ : float
        The top probability that stops, as `max_loss` or `budget` chose it; 2, which
        none reaches, where all texts run to `max_exit_`.
    max_exit_ : int
        The depth at which every text stops at the latest, where `threshold_` decides:
        the deepest that leave-one-out does not find less accurate than the best.
    exit_report_ : dict of ndarray
        What each threshold leads to on the texts of fit, each left out, ascending:
        `threshold`, `mean_cost`, `accuracy`, `loss` (against `max_exit_` for all
        texts), `loss_bound` (its upper bound, 95 %), and `chosen`, true for one.
        ``pandas.DataFrame(clf.exit_report_)`` shows it.

    See Also
    --------
    RAEEClassifier : The paper's form, which reads the model's own words and lets
        similar labelled texts choose the depth.

    Examples
    --------
    >>> from skraee import EarlyExitClassifier, toy
    >>> X, y = toy.reviews(60)
    >>> clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
    >>> clf.predict(["a lovely film", "the waiter was cold and slow"])
    array(['positive', 'negative'], dtype='<U8')
    """

    threshold_: float
    max_exit_: int
    exit_report_: dict[str, npt.NDArray[Any]]
    _fitted: FittedByConfidence

    def __init__(
        self,
        backbone: str | Backbone,
        template: str | Template = "{text}",
        *,
        max_loss: float = 0.01,
        budget: float | None = None,
        threshold: float | None = None,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        min_exit: int = 0,
        max_length: int | None = None,
        long_texts: LongTexts = "cut",
        batch_tokens: BatchTokens = "auto",
        compile: Compile = "auto",
        device: Device = "auto",
        dtype: str = "auto",
        memory: Any = "process",
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.template = template
        self.max_loss = max_loss
        self.budget = budget
        self.threshold = threshold
        self.class_weight = class_weight
        self.min_exit = min_exit
        self.max_length = max_length
        self.long_texts = long_texts
        self.batch_tokens = batch_tokens
        self.compile = compile
        self.device = device
        self.dtype = dtype
        self.memory = memory
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any) -> Self:
        """Sweep the labelled texts once and solve the readout of every depth.

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
            If texts, labels, template or parameters do not fit; the estimator is then
            as it was.

        Warns
        -----
        UserWarning
            If a `threshold` or `max_loss` was given and another setting decides.
        InputWarning
            If texts are empty, there is one class only, or texts are too few to show
            what early exits lose; once each.
        """
        self._check_before_fit()
        samples, codes, classes = self._labelled(X, y)
        sweeper = self._with_encoder(self._open(), samples)
        with fit_progress(self, X, y, len(samples)) as on_progress:
            sweep = sweeper.sweep(samples, (), on_progress)
            lesson = Lesson(sweeper, sweep, codes, classes, samples=samples)
            return self._learn(lesson)

    def _learn(self, lesson: Lesson) -> Self:
        """Solve the readout of every depth, and choose the threshold."""
        weights = lesson.weights(self.class_weight)
        shared = self.memory is not None
        solved = solve_readout(lesson, weights, 0, shared=shared)
        return self._conclude(lesson, solved, weights)

    def _conclude(
        self,
        lesson: Lesson,
        solved: Reading,
        weights: npt.NDArray[np.float64],
        all_codes: npt.NDArray[np.integer] | None = None,
    ) -> Self:
        """Choose the threshold by what the lesson's texts say, each left out.

        Where the lesson is a sample of the texts that the readout was solved for,
        `all_codes` are the classes of all.
        """
        codes = lesson.codes if all_codes is None else all_codes
        fitted = FittedByConfidence(
            sweep_settings=lesson.sweeper.settings,
            setting=self._setting(),
            ridge=solved.ridge,
            records=solved.records,
            codes=codes,
        )
        costs = depth_costs(lesson.sweeper.backbone)
        chosen = self._choose(
            Evidence(
                proba=solved.proba,
                codes=lesson.codes,
                classes=lesson.classes,
                weights=weights,
                costs=costs,
            )
        )
        chosen["n_samples_fit_"] = len(codes)
        return self._learned(lesson, fitted, solved.proba, costs, **chosen)

    def _choose(self, known: Evidence) -> dict[str, Any]:
        """Return what fit chose, as attributes."""
        max_exit = reference_exit(known, self.min_exit)
        curve = threshold_curve(known, self.min_exit, max_exit)
        against = curve.against_depth(max_exit)
        if self.budget is not None:
            chosen = within_budget(self.budget, curve)
        else:
            chosen = cheapest_without_loss(self.max_loss, curve, against)
            self._warn_of_few_texts(against.n_texts, max_exit)
        return {
            "threshold_": float(curve.values[chosen]),
            "max_exit_": max_exit,
            "exit_report_": exit_report(curve, against, chosen),
        }

    def _warn_of_few_texts(self, n_texts: float, max_exit: int) -> None:
        """Warn where `max_loss` decides, and nothing can be shown."""
        if self._given_threshold() is not None or self.max_loss == 0:
            return
        if n_texts < (least := fewest_texts(self.max_loss)):
            weighted = "" if self.class_weight is None else " of equal weight"
            warn_user(
                f"{n_texts:.0f} texts{weighted} are too few to show that early exits "
                f"lose at most max_loss={self.max_loss:g}, so none leaves early and "
                f"all run to layer {max_exit}; fit at least {least}, raise max_loss, "
                "or set a budget or a threshold.",
                InputWarning,
            )

    def _policy(self, fitted: Fitted) -> ByConfidence:
        """Return where texts stop."""
        return ByConfidence(self._threshold(), self.min_exit, self._last_exit())

    def _threshold(self) -> float:
        given = self._given_threshold()
        return self.threshold_ if given is None else given

    def _last_exit(self) -> int:
        """Return the depth at which every text stops at the latest."""
        if self._given_threshold() is None:
            return max(self.max_exit_, self.min_exit)
        return self.n_layers_

    def _exit_choice(self) -> Iterator[str]:
        threshold, last = self._threshold(), self._last_exit()
        if threshold > 1:
            yield f"All texts run to layer {last}."
        else:
            yield (
                "A text leaves at the first layer whose answer is at least "
                f"{threshold:.3g} sure, and at layer {last} at the latest."
            )
        if self._given_threshold() is None:
            yield from left_out(self.exit_report_)

    def _given_threshold(self) -> float | None:
        """Return the threshold that decides in the place of what fit chose."""
        return self.threshold if self.budget is None else None

    def explain(self, text: Any, texts: Any = None) -> ConfidenceExplanation:
        """Say why a text stopped where it did: its running answer, depth by depth.

        Parameters
        ----------
        text : str, or a DataFrame of one row
            One text. It runs to the full depth, to show what it did not wait for.
        texts : sequence of str, or DataFrame, optional
            The texts that were given to fit, all of them and in their order, to name
            the one with most of the words asked for, and to say when none is near;
            the estimator does not keep them.

        Returns
        -------
        ConfidenceExplanation
            Prints as a short report; a notebook and rich show it as a table.

        Raises
        ------
        ValueError
            If `text` is not one text, or `texts` are not as many as fit was given.

        Examples
        --------
        >>> from skraee import EarlyExitClassifier, toy
        >>> X, y = toy.reviews(60)
        >>> clf = EarlyExitClassifier(toy.backbone(), threshold=0.8).fit(X, y)
        >>> found = clf.explain("a lovely film")
        >>> print(found.label, found.exit_layer, found.threshold)
        positive 0 0.8
        """
        X = [text] if isinstance(text, str) else text
        self._check_fitted()
        words = only_text(self._texts(X))
        near = {} if texts is None else self._nearest(X, texts)
        proba, exits = self.predict_proba(X, return_exit_layers=True)
        layer_proba = np.asarray(self.layer_proba(X)[0])
        layer_proba[exits[0]] = proba[0]  # to the last bit what predict says
        return ConfidenceExplanation.of(
            words,
            layer_proba=layer_proba,
            exit_layer=int(exits[0]),
            threshold=self._threshold(),
            min_exit=self.min_exit,
            max_exit=self._last_exit(),
            classes=self.classes_,
            **near,
        )

    def _nearest(self, X: Any, texts: Any) -> dict[str, Any]:
        """Return the text of fit that shares most words with a text, and how many."""
        known = texts if isinstance(texts, WordsOfFit) else self._words_of_fit(texts)
        sweeper = self._reopen(self._fitted.sweep_settings)
        position, remoteness = known.nearest_to(sweeper.bags(self._texts(X)))
        label = self.classes_[self._fitted.codes[position]]
        near = NearestText(position, label, known.texts[position])
        return {"nearest": near, "remoteness": remoteness}

    def _words_of_fit(self, texts: Any) -> WordsOfFit:
        """Return the texts of fit as `explain` may be given them again and again."""
        settings = self._fitted.sweep_settings
        given = texts_of_fit(texts, settings.template.fields, self.n_samples_fit_)
        bags = self._reopen(settings).bags(given)
        return WordsOfFit.of(bags, joined(given))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        backbone: Any = None,
        *,
        key: bytes | str | None = None,
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
        key : bytes or str, optional
            The one that was given to `save`: a file that was not signed with it, or was
            changed since, is refused. Set it where others could change the file.

        Returns
        -------
        EarlyExitClassifier

        Raises
        ------
        FileFormatError
            If the file is damaged, of a newer format, or none of ours; its subclass
            `SignatureError` if it was not signed with the key.

        Notes
        -----
        The first use raises `BackboneMissingError` where the backbone cannot be loaded
        and `BackboneChangedError` where it is another one; it warns with
        `BackboneDriftWarning` where it answers otherwise than it did.
        """
        return load([cls], path, backbone, key=key)

    def _open(self) -> Sweeper:
        return self._open_with(
            SweepSettings(
                as_backbone(self.backbone),
                self._template(),
                self.max_length,
                self.dtype,
                by_states=True,
                by_keys=False,
                long_texts=self.long_texts,
            )
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.threshold is not None:
            check_share("threshold", self.threshold)

    def _setting(self) -> dict[str, Any]:
        return {"budget": self.budget, "max_loss": self.max_loss}
