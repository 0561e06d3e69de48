"""Keys that no model made, in a file, so that every process reads the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH = 384
N_QUERIES = 1_000
CENTRES, RANK = 1_000, 64
_AT_ONCE = 100_000

Float32Array = npt.NDArray[np.float32]


def drawn(n: int, folder: Path) -> tuple[Float32Array, Float32Array]:
    """Return n keys, mapped from a file that is made if it is not there, and queries.

    Queries are of the same mixture and none of the keys.
    """
    file = folder / f"keys-{n}.npy"
    if not file.exists():
        _write(file, n + N_QUERIES)
    vectors = np.load(file, mmap_mode="r")
    return vectors[:n], np.array(vectors[n:])


def _write(file: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(RANK, WIDTH)) / np.sqrt(RANK)
    centres = rng.normal(size=(CENTRES, RANK))
    # Clusters of many sizes and widths.
    weights = rng.dirichlet(np.full(CENTRES, 0.5))
    widths = rng.uniform(0.2, 1.0, size=CENTRES)
    part = file.with_suffix(".part.npy")
    out: Any = np.lib.format.open_memmap(part, "w+", np.float32, (n, WIDTH))
    for start in range(0, n, _AT_ONCE):
        rows = out[start : start + _AT_ONCE]
        which = rng.choice(CENTRES, size=len(rows), p=weights)
        noise = widths[which, None] * rng.normal(size=(len(rows), RANK))
        rows[:] = (centres[which] + noise) @ basis
    out.flush()
    part.replace(file)
