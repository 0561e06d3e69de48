"""What fit leaves behind, and one prediction with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.clock import Clock, NoClock
from skraee.exceptions import UndecidedWarning
from skraee.reading import Part, Reader, Recipe, is_depth
from skraee.retrieval.database import Database, ExitChoice
from skraee.retrieval.keys import Standardizer
from skraee.sweep import softmax

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Advance = Callable[[int], None]


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

    def joined(self, new: Fitted, n_seen: int) -> Fitted:
        """Return what a fit on these texts and the new ones would leave.

        Parameters
        ----------
        new : Fitted
            Of the new texts, with the same recipe.
        n_seen : int
            Texts that were fitted before.

        Returns
        -------
        Fitted
        """
        ours, theirs = self.database, new.database
        if self.standardizer is None or new.standardizer is None:
            return replace(self, database=ours.joined(theirs, n_seen))
        standardizer = self.standardizer.joined(new.standardizer)
        ours = replace(ours, keys=standardizer(self.standardizer.undo(ours.keys)))
        theirs = replace(theirs, keys=standardizer(new.standardizer.undo(theirs.keys)))
        database = ours.joined(theirs, n_seen)
        return replace(self, database=database, standardizer=standardizer)

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
    clock : Clock, optional
        Told where time goes.
    """

    def __init__(
        self, fitted: Fitted, k: int, rule: dict[str, Any], clock: Clock | None = None
    ) -> None:
        self._clock = NoClock() if clock is None else clock
        self._fitted = fitted
        self._k = k
        self._rule = rule
        self._parts = [
            _Answers(
                np.zeros((0, len(fitted.token_ids)), dtype=np.float32),
                np.zeros(0, dtype=np.int64),
                np.zeros(0, dtype=bool),
            )
        ]

    def answer(self, reader: Reader, part: Part, advance: Advance | None) -> None:
        """Choose, exit, read: some texts.

        Parameters
        ----------
        reader : Reader
        part : Part
        advance : callable or None
            Told how many more texts are done.
        """
        n_texts, n_classes = len(part.samples), len(self._fitted.token_ids)
        found = _Answers(
            np.zeros((n_texts, n_classes), dtype=np.float32),
            np.zeros(n_texts, dtype=np.int64),
            np.zeros(n_texts, dtype=bool),
        )
        known = reader.recall(part, self._fitted.token_ids)
        if len(known.rows):
            choice = self.choose(np.stack(known.keys))
            logits = np.stack(known.logits)[np.arange(len(known.rows)), choice.exits]
            found.put(known.rows, logits, choice.exits, choice.undecided)
        new = np.setdiff1d(np.arange(n_texts), known.rows)
        if advance is not None:
            advance(len(part.inverse) - len(new))
        if len(new):
            found.put(new, *self._run(reader, part, new, advance))
        self._parts.append(found[part.inverse])

    def _run(
        self, reader: Reader, part: Part, rows: IntArray, advance: Advance | None
    ) -> tuple[Float32Array, IntArray, npt.NDArray[np.bool_]]:
        """Run some texts to their exits: logits (n, C), exits and undecided (n,)."""
        prompts = reader.prompts_of(part, rows)
        head = reader.backbone.head(self._fitted.token_ids)
        if is_depth(reader.encoder):
            depth = int(reader.encoder)
            return reader.engine.run_deciding(
                prompts, depth, self._decide, head, advance
            )
        choice = self.choose(reader.keys(part, rows, prompts))
        logits = reader.engine.run_to(prompts, choice.exits, head, advance)
        return logits, choice.exits, choice.undecided

    def choose(self, keys: Float32Array) -> ExitChoice:
        """Choose the exits of texts with these keys (n, d)."""
        with self._clock.part("search"):
            keys = self._fitted.standardized(keys)
            return self._fitted.database.exits(keys, k=self._k, **self._rule)

    def finished(self) -> tuple[Float32Array, IntArray]:
        """Return probabilities (n, C) and exits (n,); warn of undecided texts."""
        _warn_of_undecided(self.undecided)
        logits = np.concatenate([part.logits for part in self._parts])
        return softmax(logits), np.concatenate([part.exits for part in self._parts])

    @property
    def n_texts(self) -> int:
        """Number of texts answered so far."""
        return sum(len(part.exits) for part in self._parts)

    @property
    def undecided(self) -> IntArray:
        """Positions of the texts for which no neighbour voted."""
        return np.flatnonzero(np.concatenate([p.undecided for p in self._parts]))

    def _decide(self, keys: Float32Array) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        choice = self.choose(keys)
        return choice.exits, choice.undecided


@dataclass(frozen=True)
class _Answers:
    """Logits (n, C), exits (n,) and undecided (n,) of some texts."""

    logits: Float32Array
    exits: IntArray
    undecided: npt.NDArray[np.bool_]

    def put(
        self,
        rows: IntArray,
        logits: Float32Array,
        exits: IntArray,
        undecided: npt.NDArray[np.bool_],
    ) -> None:
        self.logits[rows] = logits
        self.exits[rows] = exits
        self.undecided[rows] = undecided

    def __getitem__(self, rows: IntArray) -> _Answers:
        return _Answers(self.logits[rows], self.exits[rows], self.undecided[rows])


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
