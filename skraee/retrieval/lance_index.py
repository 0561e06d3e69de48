"""Keys in LanceDB: a vector database in a folder, on an object store or a service."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from math import ceil, isqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from skraee.retrieval.vectors import Float32Array, IntArray

IndexType = Literal["IvfSq", "IvfFlat"]

_ROWS = 4_096
# Below, reading all points is as fast as any index.
_FEWEST_INDEXED = 10_000
# Share of the partitions that are looked into for so many points; more for more. Where
# more are asked for to find those that were missed, it is the partitions that matter:
# of the points in them, 8 bits tell the nearest quarter well enough.
_SHARE, _FOR = 0.03, 64
_OFFERED = 4


class LanceIndex:
    """An index of :class:`skraee.RAEEClassifier` that LanceDB keeps on disk.

    Give one as ``index=`` where a graph in memory would be too large, or where several
    processes or machines are to search one index. LanceDB only proposes neighbours, of
    numbers in 8 bits; their distances come from the keys that the estimator stores, in
    memory or, by ``load(path, mmap_mode="r", index=...)``, in its file.

    Each set of keys is a table of its own, named by a hash of them: a fit on the same
    keys, or a file that is loaded later, finds it. A folder or service is shared by any
    number of estimators, and tables that no longer belong to one are removed with
    LanceDB's own ``drop_table``. It cannot be shared with whoever is not trusted: a
    table that was changed hides neighbours, though no distance would be wrong.

    Parameters
    ----------
    uri : str or Path
        What ``lancedb.connect`` takes: a folder, which is made (a relative one in the
        current folder of whoever uses it); an object store such as
        ``s3://bucket/path``; ``db://name`` for its service, whose key is read from the
        environment variable ``LANCEDB_API_KEY``.
    index_type : {"IvfSq", "IvfFlat"}, default="IvfSq"
        How LanceDB keeps points beside the table: in 8 bits a number, or as they are,
        four times as large. Choose "IvfFlat" where `fit` falls back on exact search.
    options : dict or None, default=None
        Other arguments of ``lancedb.connect``, such as ``storage_options`` or
        ``host_override``. They are part of the estimator's pickle, so put no secrets
        there.

    Raises
    ------
    ImportError
        At fit, if lancedb is not installed (the extra ``lancedb``).

    Notes
    -----
    `partial_fit` makes a new table of all keys: add texts in large portions. LanceDB
    has threads of its own, as many as there are cores, and they do not outlive a fork:
    search in processes that are started anew, as joblib's are, not in forked ones.

    Examples
    --------
    >>> from skraee.retrieval.lance_index import LanceIndex
    >>> LanceIndex("keys")
    LanceIndex('keys')
    """

    def __init__(
        self,
        uri: str | os.PathLike[str],
        index_type: IndexType = "IvfSq",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.uri = uri
        self.index_type = index_type
        self.options = options
        self._table: Any = None
        self._n_points = 0

    def add(self, keys: Any) -> None:
        """Find the table of these points, or make it.

        Parameters
        ----------
        keys : array-like of float32 of shape (n, d)
            Read in slices, twice.
        """
        lancedb = _import_lancedb()
        if self.index_type not in ("IvfSq", "IvfFlat"):
            raise ValueError(
                f"index_type of LanceIndex must be 'IvfSq' or 'IvfFlat', got "
                f"{self.index_type!r}; write one of these."
            )
        database = lancedb.connect(os.fspath(self.uri), **(self.options or {}))
        name = f"skraee-{self.index_type}-{_hash_of(keys)}"
        self._n_points = len(keys)
        self._table = _opened(database, name, self._n_points)
        if self._table is None:
            self._table = _made(database, name, keys)

    def save(self) -> None:
        """Make the index of the table, which is on disk already."""
        is_small = self._n_points < _FEWEST_INDEXED
        if is_small or self._table.list_indices():
            return
        import lancedb.index

        kind = getattr(lancedb.index, self.index_type)
        config = kind(distance_type="l2", num_partitions=_n_partitions(self._n_points))
        try:
            self._table.create_index("vector", config=config)
        except (ValueError, OSError, RuntimeError):
            self._table.checkout_latest()
            if not self._table.list_indices():  # by another process, meanwhile
                raise

    def search(
        self, queries: Float32Array, k: int
    ) -> tuple[npt.NDArray[np.float32], IntArray]:
        """Find points near to queries.

        Parameters
        ----------
        queries : ndarray of float32 of shape (q, d)
        k : int
            How many; for more than 64 more of the table is looked at, and a quarter is
            returned.

        Returns
        -------
        distances : ndarray of float32 of shape (q, k)
            Squared, of compressed numbers; infinite where no more were found.
        positions : ndarray of int64 of shape (q, k)
            In the order of `add`; -1 where no more were found.
        """
        n_partitions = _n_partitions(self._n_points)
        n_probes = min(n_partitions, ceil(_SHARE * n_partitions * max(1, k / _FOR)))
        asked = self._table.search(queries).distance_type("l2").nprobes(n_probes)
        columns = ["position", "_distance"]
        limit = min(k, max(_FOR, k // _OFFERED))
        found = asked.limit(limit).select(columns).to_arrow()
        rows = np.zeros(len(found), dtype=np.int64)
        if "query_index" in found.column_names:
            rows = found["query_index"].to_numpy().astype(np.int64)
        return _by_query(
            rows,
            found["_distance"].to_numpy(),
            found["position"].to_numpy(),
            len(queries),
            k,
        )

    def __repr__(self) -> str:
        said = [repr(os.fspath(self.uri))]
        if self.index_type != "IvfSq":
            said.append(f"index_type={self.index_type!r}")
        if self.options:
            said.append("options=...")
        return f"LanceIndex({', '.join(said)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LanceIndex) and self._where() == other._where()

    def __hash__(self) -> int:
        return hash(self._where())

    def __getstate__(self) -> dict[str, Any]:
        # A copy is where this one is, and empty: a table cannot leave its process.
        return self.__dict__ | {"_table": None, "_n_points": 0}

    def _where(self) -> tuple[str, str, str]:
        options = sorted((self.options or {}).items())
        return os.fspath(self.uri), self.index_type, repr(options)


def _opened(database: Any, name: str, n_points: int) -> Any:
    """Return a table that is there; None without one."""
    try:
        table = database.open_table(name)
    except (ValueError, FileNotFoundError):  # as its releases differ
        return None
    if (found := table.count_rows()) != n_points:
        raise ValueError(
            f"table {name!r} of LanceDB holds {found} points where {n_points} were put "
            "into it; remove it with drop_table, and it is made anew."
        )
    return table


def _made(database: Any, name: str, keys: Any) -> Any:
    """Return a new table, or the one that another process has made meanwhile."""
    try:
        return database.create_table(name, data=_batches(keys))
    except (ValueError, OSError, RuntimeError):
        if (table := _opened(database, name, len(keys))) is None:
            raise
        return table


def _hash_of(keys: Any) -> str:
    digest = hashlib.blake2b(str(tuple(keys.shape)).encode(), digest_size=16)
    for start in range(0, len(keys), _ROWS):
        digest.update(np.ascontiguousarray(keys[start : start + _ROWS]).data)
    return digest.hexdigest()


def _batches(keys: Any) -> Any:
    """Return points with their positions, as Arrow reads them one part at a time."""
    import pyarrow as pa

    width = keys.shape[1]
    schema = pa.schema(
        [("position", pa.int64()), ("vector", pa.list_(pa.float32(), width))]
    )

    def parts() -> Iterator[Any]:
        for start in range(0, len(keys), _ROWS):
            part = keys[start : start + _ROWS]
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), width)
            positions = pa.array(np.arange(start, start + len(part)))
            yield pa.record_batch([positions, vectors], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, parts())


def _by_query(
    rows: IntArray,
    distances: npt.NDArray[np.float32],
    positions: IntArray,
    n_queries: int,
    k: int,
) -> tuple[npt.NDArray[np.float32], IntArray]:
    """Lay out what was found of each query, in whatever order it came."""
    far = np.full((n_queries, k), np.inf, dtype=np.float32)
    places = np.full((n_queries, k), -1, dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    rows, starts = rows[order], np.searchsorted(rows[order], np.arange(n_queries))
    columns = np.arange(len(rows)) - starts[rows]
    far[rows, columns] = distances[order]
    places[rows, columns] = positions[order]
    return far, places


def _n_partitions(n_points: int) -> int:
    return max(1, isqrt(n_points))


def _import_lancedb() -> Any:
    try:
        import lancedb
    except ImportError as error:
        raise ImportError(
            "LanceIndex needs LanceDB, which is not installed here; install it with: "
            "pip install 'skraee[lancedb]'"
        ) from error
    return lancedb
