"""Why a text stopped where it did, where its confidence decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.inspection.explanation import headline, shortened, warnings_of
from skraee.inspection.story import Story, Told
from skraee.retrieval.remoteness import Remoteness


@dataclass(frozen=True)
class NearestText:
    """The text of fit that shares most of its words with the one asked.

    Attributes
    ----------
    position : int
        Its position among the texts given to fit.
    label : object
        Its class.
    text : str
        Its words.
    """

    position: int
    label: Any
    text: str


@dataclass(frozen=True)
class ConfidenceExplanation(Told):
    """The answer to one text, and the running answers that led to its exit.

    It prints as a short report, rich draws it, and a notebook shows it as a table.

    Attributes
    ----------
    text : str
        What was asked, the fields of a template joined.
    label : object
        The answer.
    proba : dict
        Class -> probability at the exit.
    exit_layer : int
        Depth at which the text stopped.
    n_layers : int
        Layers m of the backbone.
    threshold : float
        The confidence that stops a text.
    min_exit : int
        No text stops before it.
    max_exit : int
        No text goes on behind it.
    labels : tuple of m + 1 object
        The running answer at every depth, those behind the exit included.
    confidence : tuple of m + 1 float
        Its probability.
    nearest : NearestText or None
        The text of fit with the most of its words, where `explain` was given them.
    remoteness : Remoteness or None
        How far that one is, by words, beside how far the texts of fit are from their
        nearest other.
    """

    text: str
    label: Any
    proba: dict[Any, float]
    exit_layer: int
    n_layers: int
    threshold: float
    min_exit: int
    max_exit: int
    labels: tuple[Any, ...]
    confidence: tuple[float, ...]
    nearest: NearestText | None = None
    remoteness: Remoteness | None = None

    @classmethod
    def of(
        cls,
        text: str,
        *,
        layer_proba: npt.NDArray[np.floating],
        exit_layer: int,
        threshold: float,
        min_exit: int,
        max_exit: int,
        classes: npt.NDArray[Any],
        nearest: NearestText | None = None,
        remoteness: Remoteness | None = None,
    ) -> Self:
        """Put together what is known of a single text.

        Parameters
        ----------
        text : str
            What was asked, the fields of a template joined.
        layer_proba : ndarray of shape (m + 1, C)
            The running answer at every depth.
        exit_layer : int
            Where the text stopped.
        threshold : float
            The confidence that stops a text.
        min_exit : int
            No text stops before it.
        max_exit : int
            No text goes on behind it.
        classes : ndarray of shape (C,)
            In the order of the probabilities.
        nearest : NearestText, optional
            The text of fit with the most of its words.
        remoteness : Remoteness, optional
            How far that is.

        Returns
        -------
        ConfidenceExplanation
        """
        proba = layer_proba[exit_layer]
        labels = classes[layer_proba.argmax(axis=1)]
        return cls(
            text=text,
            label=labels[exit_layer],
            proba=dict(zip(classes.tolist(), proba.tolist(), strict=True)),
            exit_layer=exit_layer,
            n_layers=len(layer_proba) - 1,
            threshold=threshold,
            min_exit=min_exit,
            max_exit=max_exit,
            labels=tuple(labels),
            confidence=tuple(layer_proba.max(axis=1).tolist()),
            nearest=nearest,
            remoteness=remoteness,
        )

    @property
    def passed(self) -> tuple[int, ...]:
        """The depths at which it might have stopped and was not confident enough."""
        return tuple(range(self.min_exit, self.exit_layer))

    @property
    def why(self) -> str:
        """Where the text stopped and what made it stop, in words."""
        stopped = f"at or above {self.threshold:.2f}"
        deeper = "" if self.max_exit == self.n_layers else ", and no text goes deeper"
        if self.min_exit == self.max_exit:
            stopped = f"min_exit={self.min_exit} allows no other"
        elif self.exit_layer == self.max_exit and self.threshold > 1:
            stopped = f"all texts run as deep{deeper}"
        elif self.exit_layer == self.max_exit:
            since = f" from {self.min_exit} on" if self.min_exit else ""
            stopped = f"no layer before{since} was {stopped}{deeper}"
        return f"answered at layer {self.exit_layer} of {self.n_layers}: {stopped}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against believing the answer, in words."""
        return warnings_of(self.remoteness)

    def notes(self) -> list[str]:
        """Return what there is to say of every depth."""
        told = []
        for depth in range(len(self.labels)):
            why = "not run" if depth > self.exit_layer else ""
            if depth < min(self.min_exit, self.exit_layer):
                why = f"before min_exit={self.min_exit}"
            elif depth == self.exit_layer:
                why = "exit"
            told.append(why)
        return told

    def __str__(self) -> str:
        lines = [headline(self.text, self.label, self.proba), f"  {self.why}"]
        lines += [f"  {warning}" for warning in self.warnings]
        if self.nearest is not None:
            shown = repr(shortened(self.nearest.text))
            lines.append(f"  nearest by words  {self.nearest.label}  {shown}")
        for depth, why in enumerate(self.notes()):
            answer = f"{self.confidence[depth]:.2f}  {self.labels[depth]}"
            lines.append(f"  layer {depth:2d}  {answer}  {why}".rstrip())
        return "\n".join(lines)

    def story(self) -> Story:
        """Return what a notebook and rich show."""
        rows = zip(self.confidence, self.labels, self.notes(), strict=True)
        near = self.nearest
        return Story(
            text=self.text,
            answer=str(self.label),
            proba={str(name): p for name, p in self.proba.items()},
            why=self.why,
            warnings=self.warnings,
            notes=()
            if near is None
            else (f"Nearest text of fit by words ({near.label}): {near.text}",),
            columns=("layer", "confidence", "running answer", "what came of it"),
            rows=tuple(
                (str(depth), f"{confidence:.2f}", str(label), why)
                for depth, (confidence, label, why) in enumerate(rows)
            ),
            marked=self.exit_layer,
        )
