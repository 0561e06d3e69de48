"""Why a text was generated at its depth: the neighbours that chose it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from skraee.exits.policies import ExitChoice
from skraee.exits.targets import PROBABILITY, SHARE
from skraee.inspection.explanation import (
    Neighbor,
    neighbors_of,
    shortened,
    warnings_of,
)
from skraee.inspection.story import Story, Told
from skraee.retrieval.database import Database
from skraee.retrieval.remoteness import Remoteness


@dataclass(frozen=True)
class GenerationExplanation(Told):
    """What was generated for one text, its depth, and the neighbours that chose it.

    It prints as a short report, rich draws it, and a notebook shows it as a table.

    Attributes
    ----------
    text : str
        What was asked, the fields of a template joined.
    generated : str
    exit_layer : int
        Depth at which the text was generated, or drafted.
    n_layers : int
        Layers m that generate.
    undecided : bool
        Whether no neighbour had a vote, so that all layers ran.
    neighbors : tuple of Neighbor
        Nearest first. The `votes` of each are the mean probability of its target's
        tokens at the depths that name nearly as much of it as its best one; `proba` is
        that of every depth, and `label` the share that its best depth names.
    exit_distribution : tuple of m + 1 float
        How the votes spread over the depths: equation 4, normalised.
    remoteness : Remoteness or None
        How far the text is from all that is stored.
    accepted_share : float
        Share of the drafted tokens that the full depth says too; NaN without drafts.
    """

    text: str
    generated: str
    exit_layer: int
    n_layers: int
    undecided: bool
    neighbors: tuple[Neighbor, ...]
    exit_distribution: tuple[float, ...] = ()
    remoteness: Remoteness | None = None
    accepted_share: float = float("nan")

    @property
    def why(self) -> str:
        """Where the text was generated, in words."""
        said = f"generated at layer {self.exit_layer} of {self.n_layers}"
        if self.accepted_share == self.accepted_share:
            said = (
                f"drafted at layer {self.exit_layer} of {self.n_layers}, "
                f"{self.accepted_share:.0%} accepted at the last"
            )
        return f"{said}: no neighbour voted" if self.undecided else said

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against believing the choice, in words."""
        return warnings_of(self.remoteness)

    def __str__(self) -> str:
        lines = [f"{shortened(self.text)!r} -> {self.generated!r}", f"  {self.why}"]
        lines += [f"  {warning}" for warning in self.warnings]
        lines += [one.line(f"best share {one.label:.2f}") for one in self.neighbors]
        return "\n".join(lines)

    def story(self) -> Story:
        """Return what a notebook and rich show."""
        return Story(
            text=self.text,
            answer=self.generated,
            proba={},
            why=self.why,
            warnings=self.warnings,
            columns=("weight", "best share", "neighbour", "votes (layer: probability)"),
            rows=tuple(one.cells(f"{one.label:.2f}") for one in self.neighbors),
        )


def neighbors_with_shares(
    choice: ExitChoice,
    database: Database,
    votes: npt.NDArray[np.floating],
    texts: Sequence[str] | None,
) -> tuple[Neighbor, ...]:
    """Return the neighbours of a single text, labelled by their best depth's share.

    Parameters
    ----------
    choice : ExitChoice
        Of one query.
    database : Database
        The stored texts with the readings of their targets.
    votes : ndarray of shape (k, m + 1)
        What the neighbours vote with.
    texts : sequence of str or None
        The texts of fit.
    """
    no_names = (None,) * (PROBABILITY + 1)
    found = neighbors_of(choice, database, votes, no_names, texts)
    best = database.proba[choice.rows[0], :, SHARE].max(axis=1).tolist()
    pairs = zip(found, best, strict=True)
    return tuple(replace(neighbor, label=share) for neighbor, share in pairs)
