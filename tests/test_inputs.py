"""What counts as texts and labels."""

import datetime
import enum
from collections import deque

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from skraee.text.inputs import check_labels, check_texts, replace_surrogates

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


DAY = datetime.date(2020, 1, 1)


@pytest.mark.parametrize(
    ("y", "kind", "values"),
    [
        (["b", "a"], "U", ["b", "a"]),
        (("b", "a"), "U", ["b", "a"]),
        (np.array(["b", "a"], dtype=object), "O", ["b", "a"]),
        (np.array(["b", "a"], dtype=np.dtypes.StringDType()), "O", ["b", "a"]),
        ([1, 0], "i", [1, 0]),
        (np.array([1, 0], dtype=object), "i", [1, 0]),
        ([True, False], "b", [True, False]),
        ([1.0, 2.0], "f", [1.0, 2.0]),
        ([DAY, DAY], "O", [DAY, DAY]),
        (pd.Series(["b", "a"], index=[5, 5]), "O", ["b", "a"]),
        (pd.Series(["b", "a"], dtype="category"), "O", ["b", "a"]),
        (pd.Series([1, 0], dtype="Int64"), "i", [1, 0]),
        (pd.Series([True, False], dtype="boolean"), "b", [True, False]),
        (pl.Series(["b", "a"]), "U", ["b", "a"]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), "O", ["b", "a"]),
    ],
)
def test_labels_of_any_type_become_one_dimension(y, kind, values):
    labels = check_labels(y, 2)
    assert labels.dtype.kind == kind
    assert labels.tolist() == values


@pytest.mark.parametrize(
    "y", [np.array([["a"], ["b"]]), [["a"], ["b"]], pd.DataFrame({"y": ["a", "b"]})]
)
def test_labels_in_a_column_are_ravelled_with_a_warning(y):
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        labels = check_labels(y, 2)
    assert labels.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "y",
    [
        np.array([[0, 1], [1, 0]]),
        [["a", "b"], ["c"]],
        [{"a"}, {"b"}],
        sparse.csr_matrix([[0, 1], [1, 0]]),
        sparse.csr_array([[0, 1], [1, 0]]),
        pd.DataFrame({"a": [0, 1], "b": [1, 0]}),
    ],
)
def test_labels_of_several_outputs_raise(y):
    with pytest.raises(
        ValueError, match=r"MultiOutputClassifier .* OneVsRestClassifier"
    ):
        check_labels(y, 2)


@pytest.mark.parametrize(
    "y",
    [
        ["a", "b", None],
        ["a", "b", float("nan")],
        np.array(["a", "b", None], dtype=object),
        pd.Series(["a", "b", None]),
        pd.Series(["a", "b", pd.NA], dtype=object),
        pd.Series(["a", "b", None], dtype="category"),
        pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", None])),
        pl.Series(["a", "b", None]),
        [1, 2, None],
        np.array([1.0, 2.0, np.nan]),
        np.array([1.0, 2.0, np.inf]),
    ],
)
def test_labels_missing_or_infinite_raise(y):
    with pytest.raises(ValueError, match=r"at position 2 \(1 of 3 labels\)"):
        check_labels(y, 3)


def test_labels_none_raise_as_in_scikit_learn():
    with pytest.raises(
        ValueError, match="requires y to be passed, but the target y is"
    ):
        check_labels(None, 3)


@pytest.mark.parametrize("y", [[0.5, 1.0], np.array([0.5, 1.0], dtype=object)])
def test_labels_continuous_raise_as_in_scikit_learn(y):
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        check_labels(y, 2)


def test_labels_of_another_length_raise():
    with pytest.raises(ValueError, match="got 3 texts and 2 labels"):
        check_labels(["a", "b"], 3)


def test_labels_of_several_types_raise():
    with pytest.raises(ValueError, match=r"one type, got \['int', 'str'\]"):
        check_labels(["a", 1], 2)


@pytest.mark.parametrize("y", ["ab", {"a": 1}, {"a", "b"}, iter("ab"), 3])
def test_labels_without_an_order_raise(y):
    with pytest.raises(TypeError, match="list, array or Series of labels, got "):
        check_labels(y, 2)


def test_labels_of_no_dimension_raise_as_in_scikit_learn():
    with pytest.raises(ValueError, match="y should be a 1d array"):
        check_labels(np.array(3), 1)
