"""Comparing what two classifiers answer."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_same_answers(found: Any, expected: Any, texts: Any, **close: Any) -> None:
    proba, exits = found.predict_proba(texts, return_exit_layers=True)
    wanted, at = expected.predict_proba(texts, return_exit_layers=True)
    np.testing.assert_array_equal(exits, at)
    np.testing.assert_allclose(proba, wanted, **{"rtol": 0, "atol": 1e-6, **close})
