"""What a text is to become, in all forms that it is given in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from skraee.generation.references import check_references

EXPECTED = [("one", "two"), ("three",)]


@pytest.mark.parametrize(
    "y",
    [
        ["one || two", "three"],
        [["one", "two"], "three"],
        (("one", " two "), ["three"]),
        np.array(["one || two", "three"]),
        np.array(["one || two", "three"], dtype=object),
        pd.Series(["one || two", "three"]),
        pd.Series([["one", "two"], ["three"]], index=[7, 3]),
    ],
)
def test_references_are_found_in_every_form(y: Any) -> None:
    assert check_references(y, 2) == EXPECTED


def test_lone_surrogates_are_replaced() -> None:
    assert check_references(["a \ud800"], 1) == [("a \ufffd",)]


@pytest.mark.parametrize("y", [["one || ", "x"], ["", "x"], [["a", " "], "x"]])
def test_empty_reference_is_refused(y: Any) -> None:
    with pytest.raises(ValueError, match=r"a target must not be empty, got .* at pos"):
        check_references(y, 2)


@pytest.mark.parametrize("wrong", [None, 3, float("nan"), [], [None], {"a": 1}])
def test_what_is_no_text_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"must be a string or a list of strings, got"):
        check_references(["x", wrong], 2)


def test_what_has_no_order_is_refused() -> None:
    for y in ({"a": 1}, {"a", "b"}, iter(["a"]), None, 3):
        with pytest.raises(TypeError, match="y must be a list, array or Series of t"):
            check_references(y, 1)
    with pytest.raises(ValueError, match="y must be a list, array or Series of t"):
        check_references("one string", 1)
