"""What counts as texts."""

import enum
from collections import deque

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from skraee.text.inputs import Texts, check_texts, replace_surrogates

TEXTS = ["a gripping film", "dull", ""]
WANTED = [("a gripping film",), ("dull",), ("",)]
PAIRS = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "extra": [1, 2]}


class Shade(enum.StrEnum):
    LIGHT = "light"


@pytest.mark.parametrize(
    "X",
    [
        TEXTS,
        tuple(TEXTS),
        deque(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS, dtype=np.dtypes.StringDType()),
        np.array(TEXTS)[:, None],
        pd.Series(TEXTS, index=[7, 3, 3]),
        pd.Series(TEXTS, dtype=object),
        pd.Series(TEXTS, dtype="string"),
        pd.Series(TEXTS, dtype="category"),
        pd.Index(TEXTS),
        pd.array(TEXTS),
        pd.DataFrame({"review": TEXTS}),
        pd.DataFrame(TEXTS),
        pd.DataFrame({"text": TEXTS, "label": [0, 1, 0]}),
        pl.Series(TEXTS),
        pl.Series(TEXTS, dtype=pl.Categorical),
        pl.DataFrame({"review": TEXTS}),
        pl.DataFrame({"label": [0, 1, 0], "text": TEXTS}),
    ],
    ids=lambda X: f"{type(X).__module__.split('.')[0]}-{type(X).__name__}",
)
def test_texts_of_any_container_keep_their_order(X):
    samples = check_texts(X)
    assert len(samples) == 3
    assert list(samples) == list(samples) == WANTED


def test_texts_of_string_subclasses_become_plain_strings():
    samples = check_texts([np.str_("a"), Shade.LIGHT])
    assert list(samples) == [("a",), ("light",)]
    assert all(type(text) is str for (text,) in samples)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_texts_of_a_frame_give_one_field_per_column(frame):
    samples = check_texts(frame(PAIRS), ("hypothesis", "premise"))
    assert list(samples) == [("c", "a"), ("d", "b")]


def test_texts_with_lone_surrogates_can_be_encoded():
    samples = check_texts(["a\ud800b\udfff", "😀"])
    assert list(samples) == [("a\ufffdb\ufffd",), ("😀",)]
    assert replace_surrogates("café") == "café"


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_texts_of_a_frame_without_the_fields_raise(frame):
    match = r"each of the template's fields \['text'\], got the columns .*'premise'"
    with pytest.raises(ValueError, match=match):
        check_texts(frame(PAIRS))
    with pytest.raises(ValueError, match=r"got the columns \['review'\]"):
        check_texts(frame({"review": TEXTS}), ("premise", "hypothesis"))


def test_texts_of_a_frame_with_a_doubled_column_raise():
    frame = pd.DataFrame([["a", "b"]], columns=["text", "text"])
    with pytest.raises(ValueError, match=r"got the columns \['text', 'text'\]"):
        check_texts(frame)


@pytest.mark.parametrize("X", [TEXTS, np.array([["a", "b"]]), pd.Series(TEXTS)])
def test_texts_without_columns_for_several_fields_raise(X):
    with pytest.raises(ValueError, match=r"\['premise', 'hypothesis'\] needs a DataFr"):
        check_texts(X, ("premise", "hypothesis"))


@pytest.mark.parametrize("shape", [(1, 3), (3, 1, 1), ()])
def test_texts_of_another_shape_raise(shape):
    X = np.full(shape, "a")
    with pytest.raises(ValueError, match=r"got an array of shape \("):
        check_texts(X)


@pytest.mark.parametrize("X", ["a gripping film", b"film", np.str_("film")])
def test_texts_of_one_string_raise(X):
    with pytest.raises(
        ValueError, match="expected a sequence of texts, got one string"
    ):
        check_texts(X)


@pytest.mark.parametrize(
    ("X", "name"),
    [
        ({"a": 1}, "dict"),
        ({"a"}, "set"),
        (frozenset("a"), "frozenset"),
        ((t for t in TEXTS), "generator"),
        (iter(TEXTS), "list_iterator"),
        (map(str, TEXTS), "map"),
        ({"a": 1}.keys(), "dict_keys"),
        (None, "NoneType"),
        (7, "int"),
        (sparse.eye(3, format="csr"), "csr_matrix"),
        (pl.LazyFrame({"text": TEXTS}), "LazyFrame"),
    ],
)
def test_texts_without_an_order_raise(X, name):
    with pytest.raises(TypeError, match=f"list, array or Series of texts, got {name}"):
        check_texts(X)


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (None, "None"),
        (float("nan"), "nan"),
        (pd.NA, "<NA>"),
        (3, "3"),
        (b"film", "b'film'"),
        (["film"], r"\['film'\]"),
    ],
)
@pytest.mark.parametrize("container", [list, lambda X: pd.Series(X, dtype=object)])
def test_texts_that_are_no_strings_raise(wrong, shown, container):
    match = rf"X must .* got {shown} at position 1 \(2 of 4 items"
    with pytest.raises(ValueError, match=match):
        check_texts(container(["a", wrong, "b", wrong]))


def test_texts_missing_in_a_column_raise_with_its_name():
    frame = pd.DataFrame({"text": ["a", None], "label": [0, 1]})
    with pytest.raises(ValueError, match=r"column 'text' of X must .* at position 1"):
        check_texts(frame)


@pytest.mark.parametrize("X", [[], np.array([], dtype=str), pd.Series([], dtype=str)])
def test_texts_none_at_all_raise_unless_allowed(X):
    with pytest.raises(ValueError, match="at least one text, got 0 samples"):
        check_texts(X)
    assert list(check_texts(X, allow_empty=True)) == []


def test_texts_that_are_masked_are_missing():
    assert list(check_texts(np.ma.array(TEXTS))) == WANTED
    with pytest.raises(
        ValueError, match=r"only strings, got None at position 1 \(1 of"
    ):
        check_texts(np.ma.array(TEXTS, mask=[False, True, False]))


def test_texts_that_were_checked_are_returned_as_they_are():
    samples = check_texts(pd.DataFrame(PAIRS), ("premise", "hypothesis"))
    assert isinstance(samples, Texts)
    assert check_texts(samples, ("premise", "hypothesis")) is samples
