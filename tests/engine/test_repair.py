"""Rows that are not finite are read again in float32, each array for itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from skraee.engine.repair import read_finite
from skraee.engine.states import packed, unpacked

EXACT = SimpleNamespace(dtype=torch.float32)


def half(dtype: torch.dtype) -> Any:
    return SimpleNamespace(dtype=dtype, in_float32=EXACT)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_only_what_is_not_finite_is_replaced_in_the_dtype_of_the_states(
    dtype: torch.dtype,
) -> None:
    asked = []

    def read(backbone: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
        asked.append(rows.tolist())
        states = torch.full((4, 2), 1.0, dtype=backbone.dtype)
        keys = np.full(4, 2.0, dtype=np.float32)
        exits = np.arange(4)
        if backbone is EXACT:
            return {"states": packed(states + 4), "keys": keys + 4, "exits": exits + 4}
        states[1, 0], keys[3] = torch.inf, np.nan
        return {"states": packed(states), "keys": keys, "exits": exits}

    found, n_repeated = read_finite(half(dtype), 4, read)
    assert asked == [[0, 1, 2, 3], [1, 3]]
    assert n_repeated == 2
    assert found["states"].dtype == packed(torch.zeros(1, dtype=dtype)).dtype
    assert unpacked(found["states"]).tolist() == [[1, 1], [5, 5], [1, 1], [1, 1]]
    assert found["keys"].tolist() == [2, 2, 2, 6]
    assert found["exits"].tolist() == [0, 5, 2, 7]


@pytest.mark.parametrize("backbone", [EXACT, half(torch.bfloat16)])
def test_rows_that_are_not_finite_in_float32_are_refused(backbone: Any) -> None:
    def read(backbone: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"keys": np.array([0, np.inf, np.nan], dtype=np.float32)}

    with pytest.raises(ValueError, match=r"for 2 text\(s\), the first at position 1 "):
        read_finite(backbone, 3, read)
