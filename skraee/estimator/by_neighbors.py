"""What estimators share whose exits neighbours choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.estimator.checks import check_integer
from skraee.estimator.contract import Arrays, gathered
from skraee.estimator.fitted import FittedByNeighbors
from skraee.estimator.predictions import keys as keys_of
from skraee.estimator.sweeping import SweepingEstimator
from skraee.exits.policies import ByNeighbors
from skraee.exits.voting import exit_distribution
from skraee.retrieval.database import Database, StoredTexts
from skraee.retrieval.distances import Metric
from skraee.retrieval.neighbors import Method
from skraee.retrieval.outer_search import SearchIndex
from skraee.retrieval.standardizer import Standardizer
from skraee.retrieval.vectors import KeyDtype
from skraee.sweep.settings import SweepSettings

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


class NeighborExitsMixin(SweepingEstimator):
    """Exits, votes and neighbours of texts, and the database that they come from."""

    k: int
    tau: float
    metric: Metric
    index: Method | SearchIndex
    key_dtype: KeyDtype
    n_jobs: int | None
    random_state: int | np.random.RandomState | None

    n_layers_: int
    _fitted: FittedByNeighbors

    def exit_layers(self, X: Any) -> IntArray:
        """Return the depth at which each text stops.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        exit_layers : ndarray of shape (n,), int
            0..m. Nothing runs but what retrieval needs.
        """
        self._check_fitted()
        nothing = np.zeros(0, dtype=np.int64)
        policy = self._policy(self._fitted)
        return self._by_keys(X, lambda keys: (policy.choice(keys).depths,), nothing)[0]

    def exit_distribution(self, X: Any) -> FloatArray:
        """Return how the neighbours' votes spread over the depths.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.

        Returns
        -------
        distribution : ndarray of shape (n, m + 1)
            Equation 4, normalised; 1 at m where no neighbour votes. With a `budget`
            the expected probability of the right class takes the place of votes.
        """
        self._check_fitted()
        nothing = np.zeros((0, self.n_layers_ + 1))
        policy = self._policy(self._fitted)
        return self._by_keys(
            X, lambda keys: (exit_distribution(policy.choice(keys).scores),), nothing
        )[0]

    def kneighbors(
        self, X: Any, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """Find the stored texts nearest to each text.

        Parameters
        ----------
        X : sequence of n str, or DataFrame
            The texts.
        n_neighbors : int, optional
            How many; `k` by default.
        return_distance : bool, default=True
            Whether to return the distances too.

        Returns
        -------
        distances : ndarray of shape (n, n_neighbors)
            In the `metric`. Only if `return_distance`.
        positions : ndarray of shape (n, n_neighbors), int
            Positions among the texts given to fit.
        """
        self._check_fitted()
        database = self._fitted.database
        k = self._k_and_tau()[0] if n_neighbors is None else n_neighbors
        check_integer("n_neighbors", k, least=1)
        width = min(k, len(database))
        nothing = np.zeros((0, width)), np.zeros((0, width), dtype=np.int64)

        def read(keys: Float32Array) -> Arrays:
            return database.kneighbors(self._fitted.standardized(keys), k)

        found = self._by_keys(X, read, *nothing)
        return found if return_distance else found[1]

    def _k_and_tau(self) -> tuple[int, float]:
        """Return what predict uses; `RAEEClassifierCV` has its own."""
        return self.k, self.tau

    def _seed(self) -> int | np.random.RandomState:
        return 0 if self.random_state is None else self.random_state

    def _by_keys(
        self,
        X: Any,
        read: Callable[[Float32Array], Arrays],
        *nothing: npt.NDArray[Any],
    ) -> Arrays:
        """Return what is read off the keys of X; `nothing` for no text."""
        samples = self._texts(X)
        found = map(read, keys_of(self._reopen(self._fitted.sweep_settings), samples))
        return gathered(len(samples), found, nothing)

    def _database(
        self,
        settings: SweepSettings,
        keys: Float32Array,
        proba: Float32Array,
        codes: npt.NDArray[np.integer],
        *,
        keep: StoredTexts = "all",
    ) -> tuple[Database, Standardizer | None]:
        """Store texts by their keys; those of a depth of the backbone are scaled."""
        standardizer = None
        if settings.key_depth is not None:
            standardizer = Standardizer.fit(keys)
            keys = standardizer(keys)
        database = Database.build(
            keys,
            proba,
            codes,
            keep=keep,
            metric=self.metric,
            method=self.index,
            n_jobs=self.n_jobs,
            random_state=self._seed(),
            shared=self.memory is not None,
            key_dtype=self.key_dtype,
        )
        return database, standardizer

    def _policy(self, fitted: Any) -> ByNeighbors:
        """Return where texts stop: what neighbours decide by."""
        raise NotImplementedError


def with_key(costs: Float64Array, key_depth: int | None) -> Float64Array:
    """Return the costs of exits where every text runs to the depth of its key.

    Parameters
    ----------
    costs : ndarray of shape (m + 1,)
    key_depth : int or None
        None where keys cost nothing.
    """
    return costs if key_depth is None else np.maximum(costs, costs[key_depth])
