"""Why a text stopped where it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.exits.policies import ExitChoice
from skraee.exits.voting import neighbor_weights
from skraee.retrieval.database import Database
from skraee.retrieval.keys import joined
from skraee.text.inputs import Texts


@dataclass(frozen=True)
class Neighbor:
    """A stored text that voted.

    Attributes
    ----------
    position : int
        Its position among the texts given to fit.
    label : object
        Its class.
    distance : float
        In the metric of the keys.
    weight : float
        Equation 5: the smallest distance divided by its own.
    votes : dict of int to float
        Depth -> probability of the right class there: what it votes with.
    text : str or None
        Its words, where they were given to `explain`.
    """

    position: int
    label: Any
    distance: float
    weight: float
    votes: dict[int, float]
    text: str | None = None


@dataclass(frozen=True)
class Explanation:
    """The answer to one text, its exit, and the neighbours that chose it.

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
    layers_run : int
        More than `exit_layer` where the key comes from a deeper layer.
    undecided : bool
        Whether no neighbour had a vote, so that the whole model ran.
    neighbors : tuple of Neighbor
        Nearest first.
    """

    text: str
    label: Any
    proba: dict[Any, float]
    exit_layer: int
    n_layers: int
    layers_run: int
    undecided: bool
    neighbors: tuple[Neighbor, ...]

    @classmethod
    def of(
        cls,
        text: str,
        *,
        proba: npt.NDArray[np.floating],
        choice: ExitChoice,
        database: Database,
        votes: npt.NDArray[np.floating],
        classes: npt.NDArray[Any],
        texts: Sequence[str] | None,
        key_depth: int = 0,
    ) -> Self:
        """Put together what predict found for a single text.

        Parameters
        ----------
        text : str
            What was asked, the fields of a template joined.
        proba : ndarray of shape (C,)
            The answer at the exit.
        choice : ExitChoice
            Of one query.
        database : Database
            The stored texts, of which some are its neighbours.
        votes : ndarray of shape (k, m + 1)
            What the neighbours vote with.
        classes : ndarray of shape (C,)
            In the order of the probabilities.
        texts : sequence of str or None
            The texts of fit.
        key_depth : int, default=0
            Layer from which the key comes.

        Returns
        -------
        Explanation
        """
        weights = neighbor_weights(choice.distances)[0]
        neighbors = []
        for i, row in enumerate(choice.rows[0]):
            position = int(database.positions[row])
            depths = np.flatnonzero(votes[i])
            neighbors.append(
                Neighbor(
                    position=position,
                    label=classes[database.labels[row]],
                    distance=float(choice.distances[0, i]),
                    weight=float(weights[i]),
                    votes={int(depth): float(votes[i, depth]) for depth in depths},
                    text=None if texts is None else str(texts[position]),
                )
            )
        return cls(
            text=text,
            label=classes[proba.argmax()],
            proba=dict(zip(classes.tolist(), proba.tolist(), strict=True)),
            exit_layer=int(choice.depths[0]),
            n_layers=database.n_layers,
            layers_run=max(int(choice.depths[0]), key_depth),
            undecided=bool(choice.undecided[0]),
            neighbors=tuple(neighbors),
        )

    def __str__(self) -> str:
        proba = ", ".join(f"{name} {p:.2f}" for name, p in self.proba.items())
        lines = [
            f"{_shortened(self.text)!r} -> {self.label} ({proba})",
            f"  answered at layer {self.exit_layer} of {self.n_layers}"
            + (": no neighbour voted" if self.undecided else "")
            + (
                f" ({self.layers_run} ran, for its key)"
                if self.layers_run > self.exit_layer
                else ""
            ),
        ]
        for neighbor in self.neighbors:
            best = sorted(neighbor.votes.items(), key=lambda vote: -vote[1])[:3]
            votes = ", ".join(f"{depth}: {p:.2f}" for depth, p in sorted(best))
            shown = f"text {neighbor.position}"
            if neighbor.text is not None:
                shown = repr(_shortened(neighbor.text))
            lines.append(
                f"  weight {neighbor.weight:.2f}  {neighbor.label}  {shown}"
                f"  votes {{{votes}}}"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class ConfidenceExplanation:
    """The answer to one text, and the running answers that led to its exit.

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
        )

    @property
    def passed(self) -> tuple[int, ...]:
        """The depths at which it might have stopped and was not confident enough."""
        return tuple(range(self.min_exit, self.exit_layer))

    def __str__(self) -> str:
        proba = ", ".join(f"{name} {p:.2f}" for name, p in self.proba.items())
        stopped = f"at or above {self.threshold:.2f}"
        deeper = "" if self.max_exit == self.n_layers else ", and no text goes deeper"
        if self.min_exit == self.max_exit:
            stopped = f"min_exit={self.min_exit} allows no other"
        elif self.exit_layer == self.max_exit and self.threshold > 1:
            stopped = f"all texts run as deep{deeper}"
        elif self.exit_layer == self.max_exit:
            since = f" from {self.min_exit} on" if self.min_exit else ""
            stopped = f"no layer before{since} was {stopped}{deeper}"
        lines = [
            f"{_shortened(self.text)!r} -> {self.label} ({proba})",
            f"  answered at layer {self.exit_layer} of {self.n_layers}: {stopped}",
        ]
        for depth, label in enumerate(self.labels):
            why = "not run" if depth > self.exit_layer else ""
            if depth < min(self.min_exit, self.exit_layer):
                why = f"before min_exit={self.min_exit}"
            elif depth == self.exit_layer:
                why = "exit"
            line = f"  layer {depth:2d}  {self.confidence[depth]:.2f}  {label}  {why}"
            lines.append(line.rstrip())
        return "\n".join(lines)


def only_text(samples: Texts) -> str:
    """Return the one text that there is to explain, its fields joined.

    Raises
    ------
    ValueError
        If there are more, or none.
    """
    if len(samples) != 1:
        raise ValueError(f"explain takes one text at a time, got {len(samples)}.")
    return joined(samples)[0]


def _shortened(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
