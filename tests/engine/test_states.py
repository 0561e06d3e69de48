"""The number formats in which states are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skraee.engine.states import packed, rounded, unpacked


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_states_survive_their_number_format(dtype: torch.dtype) -> None:
    states = (torch.randn(3, 4, generator=torch.manual_seed(0)) * 100).to(dtype)
    found = unpacked(packed(states))
    np.testing.assert_array_equal(found, states.float().numpy())
    assert found.dtype == np.float32


def test_only_float16_is_kept_from_overflowing() -> None:
    states = torch.tensor([1e6, -1e6, 3.0, torch.inf, torch.nan])
    half = rounded(states, torch.float16)
    assert half[:3].tolist() == [65504.0, -65504.0, 3.0]
    assert half[3:].isfinite().tolist() == [False, False]  # these are repeated
    np.testing.assert_allclose(
        rounded(states[:3], torch.bfloat16).float(), states[:3], rtol=1e-2
    )
