"""How long an index takes to build and to search, and what it finds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.databases.apart import Case, resident, size_of
from benchmarks.databases.keys import drawn
from benchmarks.lines import Line
from skraee.retrieval.lance_index import LanceIndex
from skraee.retrieval.neighbors import NeighborIndex

K, BATCH = 12, 64
N_ALONE = 64

Measure = Callable[[Case], Line]

WAYS = ("exact", "exact, float16", "hnsw", "lancedb")


def search(case: Case) -> Line:
    """Build an index and search it."""
    stored, queries = drawn(case.n, case.folder)
    dtype = np.float16 if case.way.endswith("float16") else np.float32
    keys = np.array(stored, dtype=dtype)
    before = resident()
    tables = case.folder / f"tables-{case.n}"
    shutil.rmtree(tables, ignore_errors=True)
    started = perf_counter()
    index = NeighborIndex(keys, method=_method(case.way, tables)).build(K)
    build_s = perf_counter() - started
    alone = [_seconds(index, query[None]) for query in queries[:N_ALONE]]
    parts = np.split(queries, range(BATCH, len(queries), BATCH))[:-1]
    batched = [_seconds(index, part) for part in parts]
    after = resident()
    found = index.search(queries, K)[1]
    return {
        "build_s": round(build_s, 1),
        "alone_ms": round(1e3 * median(alone), 2),
        "batch_ms": round(1e3 * median(batched) / BATCH, 3),
        "recall": round(_recall(case, stored, queries, found), 4),
        "breadth": getattr(index._parts().proposer, "breadths", {}).get(K),
        "keys_mib": round(keys.nbytes / 2**20),
        "more_mib": round(after - before),
        "peak_mib": round(resident("VmHWM")),
        "tables_mib": round(size_of(tables)) if tables.exists() else None,
    }


def _method(way: str, tables: Any) -> Any:
    name = way.partition(",")[0]
    return LanceIndex(tables) if name == "lancedb" else name


def _seconds(index: NeighborIndex, queries: npt.NDArray[np.float32]) -> float:
    started = perf_counter()
    index.search(queries, K)
    return perf_counter() - started


def _recall(
    case: Case, stored: Any, queries: npt.NDArray[np.float32], found: Any
) -> float:
    """Return the share of neighbours no farther than the 12th of exact search."""
    file = case.folder / f"exact-{case.n}.npy"
    if not file.exists():
        exact = NeighborIndex(stored, method="exact")
        np.save(file, exact.search(queries, K)[0][:, -1])
    farthest = np.load(file)
    near = [
        np.square(stored[rows].astype(float) - query).sum(axis=1)
        for rows, query in zip(found, queries.astype(float), strict=True)
    ]
    return float(np.mean(np.array(near) <= farthest[:, None] * (1 + 1e-9)))
