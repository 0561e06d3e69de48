"""What fit leaves behind, and one prediction with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.exceptions import UndecidedWarning
from skraee.retrieval.database import Database, ExitChoice
from skraee.retrieval.keys import Standardizer
from skraee.sweep import Part, Reader, Recipe, is_depth, softmax

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything that predict needs, and all that a pickle holds.

    Attributes
    ----------
    recipe : Recipe
        How texts are read.
    token_ids : tuple of C int
        The classes' label-word tokens, in the order of the classes.
    database : Database
        Keys, sweeps and labels of the training texts.
    standardizer : Standardizer or None
        What the keys of an integer encoder went through.
    """

    recipe: Recipe
    token_ids: tuple[int, ...]
    database: Database
    standardizer: Standardizer | None = None

    def standardized(self, keys: Float32Array) -> Float32Array:
        """Return keys (n, d) as the database has them."""
        return keys if self.standardizer is None else self.standardizer(keys)


class Prediction:
    """One call of predict: chunk after chunk, then the whole.

    Parameters
    ----------
    fitted : Fitted
    k : int
        Neighbours that vote.
    rule : dict
        ``tau``, ``below_tau`` and ``min_exit`` of the exit rule.
    """

    def __init__(self, fitted: Fitted, k: int, rule: dict[str, Any]) -> None:
        self._fitted = fitted
        self._k = k
        self._rule = rule
        self._logits = [np.zeros((0, len(fitted.token_ids)), dtype=np.float32)]
        self._exits = [np.zeros(0, dtype=np.int64)]
        self._undecided = [np.zeros(0, dtype=bool)]

    def answer(
        self, reader: Reader, part: Part, advance: Callable[[int], None] | None
    ) -> None:
        """Choose, exit, read: some texts.

        Parameters
        ----------
        reader : Reader
        part : Part
        advance : callable or None
            Told how many more texts are done.
        """
        head = reader.backbone.head(self._fitted.token_ids)
        if is_depth(reader.encoder):
            logits, exits, undecided = reader.engine.run_deciding(
                part.prompts, int(reader.encoder), self._decide, head, advance
            )
        else:
            choice = self.choose(reader.keys(part))
            exits, undecided = choice.exits, choice.undecided
            logits = reader.engine.run_to(part.prompts, exits, head, advance)
        self._logits.append(logits[part.inverse])
        self._exits.append(exits[part.inverse])
        self._undecided.append(undecided[part.inverse])
        part.tell_of_copies(advance)

    def choose(self, keys: Float32Array) -> ExitChoice:
        """Choose the exits of texts with these keys (n, d)."""
        keys = self._fitted.standardized(keys)
        return self._fitted.database.exits(keys, k=self._k, **self._rule)

    def finished(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Return probabilities (n, C) and exits (n,); warn of undecided texts."""
        _warn_of_undecided(np.flatnonzero(np.concatenate(self._undecided)))
        proba = softmax(np.concatenate(self._logits))
        return proba, np.concatenate(self._exits)

    def _decide(self, keys: Float32Array) -> tuple[np.ndarray, np.ndarray]:
        choice = self.choose(keys)
        return choice.exits, choice.undecided


def _warn_of_undecided(positions: npt.NDArray[np.int64]) -> None:
    if len(positions) == 0:
        return
    first = ", ".join(map(str, positions[:5]))
    more = ", ..." if len(positions) > 5 else ""
    warnings.warn(
        f"{len(positions)} text(s) had no neighbour that was answered rightly at any "
        f"layer it may vote for and ran the whole model (positions {first}{more}); "
        "raise k, lower tau or min_exit, or use below_tau='top3'.",
        UndecidedWarning,
        stacklevel=5,
    )
