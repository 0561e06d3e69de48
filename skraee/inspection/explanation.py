"""Why a text stopped where it did, where neighbours decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skraee.exits.policies import ExitChoice
from skraee.exits.voting import exit_distribution, neighbor_weights
from skraee.inspection.story import Story, Told
from skraee.retrieval.database import Database
from skraee.retrieval.keys import joined
from skraee.retrieval.remoteness import Remoteness
from skraee.text.inputs import Texts, check_texts


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
    proba : tuple of m + 1 float
        Probability of the right class at every depth.
    """

    position: int
    label: Any
    distance: float
    weight: float
    votes: dict[int, float]
    text: str | None = None
    proba: tuple[float, ...] = ()

    @property
    def best_votes(self) -> str:
        """Its three largest votes, as text."""
        best = sorted(self.votes.items(), key=lambda vote: -vote[1])[:3]
        return ", ".join(f"{depth}: {p:.2f}" for depth, p in sorted(best))

    def line(self, label: Any) -> str:
        """Return it as a line of a report, in which it is called by a label."""
        shown = f"text {self.position}"
        if self.text is not None:
            shown = repr(shortened(self.text))
        votes = f"votes {{{self.best_votes}}}"
        return f"  weight {self.weight:.2f}  {label}  {shown}  {votes}"

    def cells(self, label: Any) -> tuple[str, ...]:
        """Return it as a row of a table, in which it is called by a label."""
        shown = self.text or f"text {self.position} of fit"
        return f"{self.weight:.2f}", str(label), shown, self.best_votes or "none"


@dataclass(frozen=True)
class Explanation(Told):
    """The answer to one text, its exit, and the neighbours that chose it.

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
    layers_run : int
        More than `exit_layer` where the key comes from a deeper layer.
    undecided : bool
        Whether no neighbour had a vote, so that the whole model ran.
    neighbors : tuple of Neighbor
        Nearest first.
    exit_distribution : tuple of m + 1 float
        How their votes spread over the depths: equation 4, normalised.
    remoteness : Remoteness or None
        How far the text is from all that is stored, beside how far the texts of fit
        are from their nearest other; None where only one is stored.
    """

    text: str
    label: Any
    proba: dict[Any, float]
    exit_layer: int
    n_layers: int
    layers_run: int
    undecided: bool
    neighbors: tuple[Neighbor, ...]
    exit_distribution: tuple[float, ...] = ()
    remoteness: Remoteness | None = None

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
        neighbors = neighbors_of(choice, database, votes, classes, texts)
        return cls(
            text=text,
            label=classes[proba.argmax()],
            proba=dict(zip(classes.tolist(), proba.tolist(), strict=True)),
            exit_layer=int(choice.depths[0]),
            n_layers=database.n_layers,
            layers_run=max(int(choice.depths[0]), key_depth),
            undecided=bool(choice.undecided[0]),
            neighbors=neighbors,
            exit_distribution=tuple(exit_distribution(choice.scores)[0].tolist()),
            remoteness=Remoteness.of(neighbors[0].distance, database.spacing()),
        )

    @property
    def why(self) -> str:
        """Where the text stopped, in words."""
        layers = f"answered at layer {self.exit_layer} of {self.n_layers}"
        if self.undecided:
            layers += ": no neighbour voted"
        if self.layers_run > self.exit_layer:
            layers += f" ({self.layers_run} ran, for its key)"
        return layers

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against believing the answer, in words."""
        return warnings_of(self.remoteness)

    def __str__(self) -> str:
        lines = [headline(self.text, self.label, self.proba), f"  {self.why}"]
        lines += [f"  {warning}" for warning in self.warnings]
        lines += [neighbor.line(neighbor.label) for neighbor in self.neighbors]
        return "\n".join(lines)

    def story(self) -> Story:
        """Return what a notebook and rich show."""
        return Story(
            text=self.text,
            answer=str(self.label),
            proba={str(name): p for name, p in self.proba.items()},
            why=self.why,
            warnings=self.warnings,
            columns=("weight", "class", "neighbour", "votes (layer: probability)"),
            rows=tuple(neighbor.cells(neighbor.label) for neighbor in self.neighbors),
        )


def neighbors_of(
    choice: ExitChoice,
    database: Database,
    votes: npt.NDArray[np.floating],
    labels: Sequence[Any] | npt.NDArray[Any],
    texts: Sequence[str] | None,
) -> tuple[Neighbor, ...]:
    """Return the neighbours of a single text, and what they voted with.

    Parameters
    ----------
    choice : ExitChoice
        Of one query.
    database : Database
        The stored texts.
    votes : ndarray of shape (k, m + 1)
        What the neighbours vote with.
    labels : sequence
        What the codes of the database stand for.
    texts : sequence of str or None
        The texts of fit.
    """
    weights = neighbor_weights(choice.distances)[0]
    neighbors = []
    for i, row in enumerate(choice.rows[0]):
        position, code = int(database.positions[row]), int(database.labels[row])
        depths = np.flatnonzero(votes[i])
        neighbors.append(
            Neighbor(
                position=position,
                label=labels[code],
                distance=float(choice.distances[0, i]),
                weight=float(weights[i]),
                votes={int(depth): float(votes[i, depth]) for depth in depths},
                text=None if texts is None else str(texts[position]),
                proba=tuple(database.proba[row, :, code].tolist()),
            )
        )
    return tuple(neighbors)


def only_text(samples: Texts) -> str:
    """Return the one text that there is to explain, its fields joined.

    Raises
    ------
    ValueError
        If there are more, or none.
    """
    if len(samples) != 1:
        raise ValueError(
            f"explain takes one text at a time, got {len(samples)}; call it for each."
        )
    return joined(samples)[0]


def texts_of_fit(texts: Any, fields: Sequence[str], n_texts: int) -> Texts:
    """Return the texts of fit, which the user gives again.

    Parameters
    ----------
    texts : sequence of str, or DataFrame
    fields : sequence of str
        Of the template.
    n_texts : int
        How many fit was given.

    Raises
    ------
    ValueError
        If they are not as many.
    """
    samples = check_texts(texts, fields)
    if len(samples) != n_texts:
        raise ValueError(
            f"texts must be the {n_texts} texts that were given to fit, in their "
            f"order, got {len(samples)}; give these, or leave texts out."
        )
    return samples


def headline(text: str, label: Any, proba: dict[Any, float]) -> str:
    """Return a text, its answer and the probabilities in one line."""
    shown = ", ".join(f"{name} {p:.2f}" for name, p in proba.items())
    return f"{shortened(text)!r} -> {label} ({shown})"


def warnings_of(remoteness: Remoteness | None) -> tuple[str, ...]:
    """Return what there is to say of how far a text is from those of fit."""
    return (str(remoteness),) if remoteness is not None and remoteness.is_remote else ()


def shortened(text: str, width: int = 60) -> str:
    """Return a text of up to `width` letters."""
    return text if len(text) <= width else text[: width - 3] + "..."
