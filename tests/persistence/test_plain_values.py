"""Values as JSON has them: back as they were, and no larger than they say."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skraee.persistence.plain_values import from_plain, to_plain

VALUES: dict[str, Any] = {
    "nothing": None,
    "a flag": True,
    "a number": 3,
    "a share": 0.1,
    "a word": "a\0é",
    "a list": [1, [None, "a"]],
    "a pair": (1, ("a", [2])),
    "words of numbers": {0: "terrible", 1: ("great", "good")},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_value_comes_back_as_it_was(value: Any) -> None:
    found = from_plain(json.loads(json.dumps(to_plain("it", value))))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, 2], [3, 4]], "i2"),
        np.array(["a", "bcd"]),
        np.array([1, "a", None], object),
        np.array([0.5, np.inf], ">f4"),
        np.zeros(0),
    ],
    ids=lambda array: array.dtype.str,
)
def test_array_comes_back_as_it_was(array: np.ndarray) -> None:
    found = from_plain(json.loads(json.dumps(to_plain("it", array))))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_masked_array_keeps_its_mask() -> None:
    array = np.ma.array([1, 2, 3], mask=[False, True, False])
    found = from_plain(json.loads(json.dumps(to_plain("it", array))))
    assert found.mask.tolist() == [False, True, False]
    assert found.data.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Path("a/b"), "a/b"),
        (torch.device("cuda:1"), "cuda:1"),
        (torch.bfloat16, "bfloat16"),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
    ],
)
def test_what_has_a_name_is_written_by_it(value: Any, expected: Any) -> None:
    found = to_plain("it", value)
    assert found == expected
    assert type(found) is type(expected)


def test_what_only_code_makes_again_is_refused() -> None:
    with pytest.raises(TypeError, match="it of type Random cannot be saved without"):
        to_plain("it", random.Random(0))


# An item has room for 64 bytes, and each of its letters for as many more.
@pytest.mark.parametrize(
    ("allowed", "refused", "items"),
    [
        ("<U16", "<U17", [5]),
        ("<U16", "<U17", [[5, 5], [5, 5]]),
        ("<U32", "<U33", ["a"]),
        ("<U48", "<U49", ["ab"]),
        ("<U24", "<U25", ["a", 5]),
    ],
)
def test_array_is_believed_to_be_as_large_as_its_items(
    allowed: str, refused: str, items: Any
) -> None:
    assert from_plain({"array": [allowed, items]}).shape == np.shape(items)
    with pytest.raises(ValueError, match=f"an array of dtype {refused} for"):
        from_plain({"array": [refused, items]})


@pytest.mark.parametrize("dtype", ["i4,f8", "O", "<V9", "<M8[s]", "<f8 ", 7, None])
def test_dtype_of_another_kind_is_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="an array of dtype"):
        from_plain({"array": [dtype, [1]]})


def test_items_with_names_are_refused() -> None:
    with pytest.raises(ValueError, match="things that have names"):
        from_plain({"array": ["|O", [{"x": 1}]]})


@pytest.mark.parametrize("mask", [[True], [[True, False]]])
def test_mask_of_another_shape_is_refused(mask: Any) -> None:
    parts = [{"array": ["<i8", [1, 2]]}, {"array": ["|b1", mask]}]
    with pytest.raises(ValueError, match="mask is of another shape"):
        from_plain({"masked": parts})


def test_one_mask_stands_for_all_items() -> None:
    parts = [{"array": ["<i8", [1, 2]]}, {"array": ["|b1", True]}]
    assert from_plain({"masked": parts}).mask.all()
