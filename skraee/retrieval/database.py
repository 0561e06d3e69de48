"""What fit remembers of the labelled texts, found by their keys."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state

from skraee.retrieval.distances import Metric
from skraee.retrieval.neighbors import Method, NeighborIndex
from skraee.retrieval.outer_search import SearchIndex
from skraee.retrieval.remoteness import spaced
from skraee.retrieval.shared_search import shared_index, shared_search
from skraee.retrieval.vectors import (
    Float64Array,
    IntArray,
    KeyArray,
    KeyDtype,
    check_keys,
    refuse_other_width,
    stored_as,
)

T = TypeVar("T")
StoredTexts = Literal["all", "correct"]

# Neighbours that every search looks for at least.
_NARROWEST = 16


@dataclass(eq=False)
class Database:
    """Keys, layer sweeps and labels of the texts that were fitted.

    Make one with `Database.build`, which checks what it is given. A pickle holds the
    arrays and settings below and nothing that searching has left behind.

    Attributes
    ----------
    keys : ndarray of float32 or float16 of shape (n, d)
        The vectors by which the texts are retrieved; read-only where they are in a
        file, and so may `proba` be.
    proba : ndarray of float32 of shape (n, m + 1, C)
        Their layer sweeps.
    labels : ndarray of int of shape (n,)
        Their class codes, in the smallest type that holds C - 1.
    kept : ndarray of int64 of shape (n,) or None
        Their positions in the order of fit; None where all were kept.
    metric, method, n_jobs
        What `NeighborIndex` takes.
    seed : int
        Seeds its graph.
    shared : bool
        Whether the index and what it found are shared with other databases of the
        same keys (`skraee.retrieval.shared_search`).
    """

    keys: KeyArray
    proba: npt.NDArray[np.float32]
    labels: npt.NDArray[np.integer]
    kept: IntArray | None = None
    metric: Metric = "sqeuclidean"
    method: Method | SearchIndex = "hnsw"
    n_jobs: int | None = None
    seed: int = 0
    shared: bool = False
    _index: NeighborIndex | None = field(init=False, repr=False, default=None)
    # What was derived last. One pair, replaced whole, so that threads with different
    # settings never mix them up.
    _derived: tuple[Hashable, Any] | None = field(init=False, repr=False, default=None)
    _spacing: Float64Array | None = field(init=False, repr=False, default=None)

    @classmethod
    def build(
        cls,
        keys: npt.ArrayLike,
        proba: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        keep: StoredTexts = "all",
        metric: Metric = "sqeuclidean",
        method: Method | SearchIndex = "hnsw",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        shared: bool = False,
        key_dtype: KeyDtype = "float32",
    ) -> Self:
        """Check and store what fit found out about n labelled texts.

        Parameters
        ----------
        keys : array-like of shape (n, d)
            One vector for each text; d is 0 where no neighbours are looked for.
        proba : array-like of shape (n, m + 1, C)
            Label probabilities of each text at the depths 0..m.
        labels : array-like of int of shape (n,)
            Class codes 0..C-1.
        keep : {"all", "correct"}, default="all"
            "correct" stores only the texts that the full depth classifies correctly:
            the paper's RAEE without corrective information (Table 2).
        metric, method, n_jobs, random_state
            What `NeighborIndex` takes.
        shared : bool, default=False
            Whether to share the index with other databases of the same keys.
        key_dtype : {"float32", "float16"}, default="float32"
            Numbers in which the keys are stored.

        Returns
        -------
        Database
            With its arrays contiguous, `proba` as float32.

        Raises
        ------
        ValueError
            If the arrays do not fit together or are not finite, float16 does not hold
            the keys, or if `keep` is
            "correct" and no text is.
        """
        vectors: KeyArray = np.ascontiguousarray(keys, dtype=np.float32)
        sweeps = np.ascontiguousarray(proba, dtype=np.float32)
        if vectors.shape[1:] != (0,):  # texts that are not looked for have no keys
            vectors = stored_as(check_keys(vectors), key_dtype)
        _check_sweeps(vectors, sweeps, n_labels=len(np.asarray(labels)))
        codes = _compact_codes(labels, n_classes=sweeps.shape[2])
        kept = None
        if keep == "correct":
            kept = _correct_at_full_depth(sweeps, codes)
            vectors, sweeps, codes = vectors[kept], sweeps[kept], codes[kept]
        elif keep != "all":
            raise ValueError(
                f"database must be 'all' or 'correct', got {keep!r}; write 'all' to "
                "keep every text."
            )
        # Drawn once, so that every copy of this database builds the same graph.
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return cls(vectors, sweeps, codes, kept, metric, method, n_jobs, seed, shared)

    def joined(self, new: Self, n_seen: int) -> Self:
        """Return a database of these texts and new ones; both stay as they are.

        Its settings are those of this one, and its index grows out of this one's.

        Parameters
        ----------
        new : Database
            Of the same depths and classes.
        n_seen : int
            Texts that were fitted before, whether they were kept or not.
        """
        kept = None
        if self.kept is not None or new.kept is not None:
            kept = np.concatenate([self.positions, new.positions + n_seen])
        larger = replace(
            self,
            keys=np.concatenate([self.keys, self.as_mine(new.keys)]),
            proba=np.concatenate([self.proba, new.proba]),
            labels=np.concatenate([self.labels, new.labels]),
            kept=kept,
        )
        if larger.keys.shape[1]:
            larger._index = self._neighbor_index().grown(larger.keys)
        return larger

    def as_mine(self, keys: KeyArray) -> KeyArray:
        """Return other keys (n, d) in the numbers in which these are stored."""
        return stored_as(
            keys, "float16" if self.keys.dtype == np.float16 else "float32"
        )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def n_layers(self) -> int:
        """The full depth m."""
        return int(self.proba.shape[1]) - 1

    @property
    def n_classes(self) -> int:
        """The number of classes C."""
        return int(self.proba.shape[2])

    @property
    def positions(self) -> IntArray:
        """The position of each stored text in the order of fit, shape (n,)."""
        return np.arange(len(self)) if self.kept is None else self.kept

    def neighbors(
        self, queries: npt.ArrayLike, k: int
    ) -> tuple[Float64Array, IntArray]:
        """Find the k stored texts nearest to each query.

        Parameters
        ----------
        queries : array-like of shape (q, d)
            Keys of the queries.
        k : int
            How many to find; all stored texts where there are fewer.

        Returns
        -------
        distances : ndarray of float64 of shape (q, min(k, n))
            Distances in the metric, ascending.
        rows : ndarray of int64 of shape (q, min(k, n))
            Rows of the stored arrays, ascending where distances are equal.
        """
        index = self._neighbor_index()
        search = shared_search if self.shared else NeighborIndex.search
        vectors = np.asarray(queries, dtype=np.float32)
        refuse_other_width(vectors, self.keys.shape[1])
        distances, rows = search(index, vectors, _width(k))
        return distances[:, :k], rows[:, :k]

    def kneighbors(
        self, queries: npt.ArrayLike, k: int
    ) -> tuple[Float64Array, IntArray]:
        """Find neighbours as `neighbors` does, but by their positions in fit."""
        distances, rows = self.neighbors(queries, k)
        return distances, self.positions[rows]

    def spacing(self) -> Float64Array:
        """Return how far stored texts are from the nearest other one.

        Copies of a text are other texts, at distance 0.

        Returns
        -------
        distances : ndarray of float64 of shape (min(n, 1_000),)
            Of texts drawn evenly from all of them, searched for at the first call;
            empty where only one text is stored.
        """
        if self._spacing is None:
            self._spacing = self._nearest_others()
        return self._spacing

    def _nearest_others(self) -> Float64Array:
        if len(self) < 2:
            return np.empty(0)
        rows = spaced(len(self))
        distances, found = self.neighbors(self.keys[rows], 2)
        # A text with many copies may not be among its own neighbours.
        is_own = found[:, 0] == rows
        nearest: Float64Array = np.where(is_own, distances[:, 1], distances[:, 0])
        return nearest

    def unshared(self) -> Self:
        """Return a database of the same texts and index that shares no searches."""
        alone = replace(self, shared=False)
        alone._derived = self._derived  # of the stored texts, not of any search
        if self.keys.shape[1]:
            alone._index = self._neighbor_index()
        return alone

    def build_index(self, k: int) -> Self:
        """Build the index now, for searches for k neighbours."""
        self._neighbor_index().build(_width(k))
        return self

    @property
    def index_bytes(self) -> int:
        """Bytes of the graph that neighbours are searched by; 0 without one."""
        return self._neighbor_index().graph_bytes

    def derived(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return what was made of these texts under this name; make it if need be.

        Parameters
        ----------
        name : hashable
            Of all that it depends on beside the texts.
        make : callable
            Makes it anew, where the name differs from the last call's.
        """
        last = self._derived
        if last is not None and last[0] == name:
            made: T = last[1]
            return made
        made = make()
        self._derived = name, made
        return made

    def __getstate__(self) -> dict[str, Any]:
        made = ("_derived", "_index", "_spacing")  # by searching
        return {name: it for name, it in self.__dict__.items() if name not in made}

    def _neighbor_index(self) -> NeighborIndex:
        if self._index is None:
            build = shared_index if self.shared else NeighborIndex
            self._index = build(
                self.keys,
                metric=self.metric,
                method=self.method,
                n_jobs=self.n_jobs,
                random_state=self.seed,
            )
        return self._index


def _width(k: int) -> int:
    """Return how many neighbours to look for where k are wanted."""
    # The next power of two: k = 8 after k = 12 finds the same search done, and the same
    # k finds the same neighbours whatever was searched before.
    return max(_NARROWEST, 1 << (int(k) - 1).bit_length())


def _check_sweeps(
    keys: KeyArray, proba: npt.NDArray[np.float32], n_labels: int
) -> None:
    if proba.ndim != 3 or not len(keys) == len(proba) == n_labels:
        raise ValueError(
            "keys (n, d), proba (n, m + 1, C) and labels (n,) must be of the same n "
            f"texts, got shapes {keys.shape}, {proba.shape} and {n_labels} labels; "
            "give those of one sweep."
        )
    bad = np.argwhere(~np.isfinite(proba).all(axis=2))
    if len(bad):
        raise ValueError(
            f"proba must be finite, but {len(bad)} of its rows are not, the first at "
            f"text {bad[0, 0]}, depth {bad[0, 1]}; a backbone whose states overflow "
            "half precision needs dtype='float32'."
        )


def _compact_codes(labels: npt.ArrayLike, n_classes: int) -> npt.NDArray[np.integer]:
    codes = np.asarray(labels)
    found = np.unique(codes).tolist()
    wrong = [code for code in found if code not in range(n_classes)]
    if wrong:
        raise ValueError(
            f"labels must be class codes, integers from 0 to {n_classes - 1} as proba "
            f"has {n_classes} classes, got {wrong[0]!r}; make them with "
            "np.unique(y, return_inverse=True)."
        )
    return codes.astype(np.min_scalar_type(n_classes - 1))


def _correct_at_full_depth(
    proba: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]
) -> IntArray:
    kept = np.flatnonzero(proba[:, -1].argmax(axis=1) == labels)
    if len(kept) == 0:
        raise ValueError(
            "database='correct' needs texts that the full depth classifies correctly, "
            f"but its accuracy is 0.0 on the {len(labels)} texts given; check the "
            "template and label words, or set database='all'."
        )
    return kept
