"""What counts as labels."""

import datetime
import enum
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from skraee import EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV, toy
from skraee.exceptions import InputWarning
from skraee.text.labels import check_classes, check_labels, warn_of_one_class
from tests.support.classifiers import raee


class Shade(enum.StrEnum):
    DARK = "dark"
    LIGHT = "light"


class Stars(enum.IntEnum):
    ONE = 1
    TWO = 2


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


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


@pytest.mark.parametrize(
    ("y", "values"),
    [
        ([Shade.LIGHT, Shade.DARK], ["light", "dark"]),
        (np.array([Shade.LIGHT, Shade.DARK], dtype=object), ["light", "dark"]),
        ([Stars.TWO, Stars.ONE], [2, 1]),
        ([Decimal("1.5"), Decimal("0.5")], [Decimal("1.5"), Decimal("0.5")]),
        ([Fraction(1, 3), Fraction(1, 2)], [Fraction(1, 3), Fraction(1, 2)]),
        ([2**70, 2**69], [2**70, 2**69]),
        ([datetime.timedelta(1), datetime.timedelta(0)], None),
        ([pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")], None),
        ([pd.Interval(1, 2), pd.Interval(0, 1)], None),
        (np.ma.array(["b", "a"]), ["b", "a"]),
        (np.ma.array([1, 0], mask=[False, False]), [1, 0]),
        (["a\0", "a"], ["a\0", "a"]),
        (np.array(["a\0", "a"], dtype=object), ["a\0", "a"]),
        (pd.Series(["a\0", "a"]), ["a\0", "a"]),
        (pl.Series(["a\0", "a"]), ["a\0", "a"]),
    ],
    ids=repr,
)
def test_labels_of_odd_types_are_taken_one_by_one(y, values):
    labels = check_labels(y, 2)
    assert labels.tolist() == (list(y) if values is None else values)
    assert len(check_classes(y)) == 2
    assert not any(isinstance(label, enum.Enum) for label in labels.tolist())


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        (
            [Color.RED, Color.BLUE],
            TypeError,
            r"that can be sorted, got <Color.RED: 'red'> .* \[label.name for l",
        ),
        (
            [object(), object()],
            TypeError,
            r"that can be sorted, got <object .* type object; .* \[str\(label\) for",
        ),
        (
            [datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 2)],
            TypeError,
            "that can be sorted, got .* of type date, datetime",
        ),
        ([frozenset("ab"), frozenset("bc")], ValueError, "one label .* type frozenset"),
        (
            [("a", 1), ("b", 2)],
            ValueError,
            r"one label .* got \('a', 1\) of type tuple",
        ),
        ([range(2), range(3)], ValueError, "one label .* of type range"),
        (np.zeros(2, dtype=[("a", int)]), ValueError, "one label .* got records"),
        (
            [1 + 2j, 3],
            ValueError,
            r"Complex data not supported: y .*\(1\+2j\) at position 0",
        ),
        (np.array([1, 2j]), ValueError, "Complex data not supported: y must hold"),
        (
            [b"a", b"b"],
            TypeError,
            r"as bytes is not supported: y holds b'a' at position 0",
        ),
        (np.array([b"a", b"b"]), TypeError, "as bytes is not supported: y holds"),
        (
            np.ma.array(["a", "b"], mask=[False, True]),
            ValueError,
            r"no missing .* got a masked label at position 1 \(1 of 2 labels\)",
        ),
        (
            np.ma.array([[1], [2]], mask=[[True], [False]]),
            ValueError,
            "a masked label at position 0",
        ),
        ([Decimal("nan"), Decimal(1)], ValueError, "no missing .* at position 0"),
        ([Decimal(1), Decimal("inf")], ValueError, "no missing .* at position 1"),
        ([float("nan"), 1j], ValueError, "Complex data not supported"),
    ],
)
def test_labels_of_odd_types_are_refused_by_name(y, error, match):
    with pytest.raises(error, match=match):
        check_labels(y, 2)


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
@pytest.mark.parametrize(
    "make", [list, np.array, lambda y: np.array(y, dtype=object), pd.Series, pl.Series]
)
def test_labels_that_are_empty_are_refused_with_their_number(empty, make):
    match = r"y must hold no empty labels, got '.*' at position 1 \(2 of 4 labels\)"
    with pytest.raises(ValueError, match=match):
        check_labels(make(["a", empty, "b", empty]), 4)


def test_classes_are_sorted_and_checked_like_labels():
    assert check_classes(["b", "a", "b"]).tolist() == ["a", "b"]
    assert check_classes(pd.Series([2, 1])).tolist() == [1, 2]
    with pytest.raises(ValueError, match="classes must name at least one class"):
        check_classes([])
    with pytest.raises(TypeError, match=r"classes must be a list, array .* got set"):
        check_classes({"a", "b"})
    with pytest.raises(ValueError, match="classes must hold no empty labels, got ''"):
        check_classes(["a", ""])
    with pytest.raises(TypeError, match=r"classes must hold labels that can be sorted"):
        check_classes([Color.RED, Color.BLUE])


def test_one_class_is_said_once():
    with pytest.warns(InputWarning, match="one class only, 'a', which every text"):
        warn_of_one_class(np.array(["a"]))
    warn_of_one_class(np.array(["a", "b"]))


X, Y = toy.reviews(60)
PAIRS = {
    "dates": [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
    "timestamps": [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")],
    "decimals": [Decimal("0.5"), Decimal("1.5")],
    "enum of numbers": [Stars.ONE, Stars.TWO],
    "intervals": [pd.Interval(0, 1), pd.Interval(1, 2)],
    "strings that differ in NUL": ["a", "a\0"],
}


@pytest.mark.parametrize("make", [list, pd.Series])
@pytest.mark.parametrize("cls", [EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV])
@pytest.mark.parametrize("pair", PAIRS)
def test_labels_of_odd_types_are_learned_answered_and_scored(cls, pair, make):
    two = PAIRS[pair]
    y = make([two[int(label == "positive")] for label in Y])
    words = {"label_words": dict(zip(two, ["terrible", "great"], strict=True))}
    same_words = {"label_words": toy.LABEL_WORDS}
    if cls is EarlyExitClassifier:
        words = same_words = {"budget": 0.5}
    clf = cls(toy.backbone(), toy.TEMPLATES["masked"], **words).fit(X, y)
    same = cls(toy.backbone(), toy.TEMPLATES["masked"], **same_words).fit(X, Y)
    assert len(clf.classes_) == 2
    assert clf.score(X, y) == same.score(X, Y) > 0.8
    found = clf.predict(X[:2])
    expected = np.array(y[:2], dtype=object).astype(found.dtype)
    assert (found == expected).all()


def test_labels_in_nanoseconds_find_their_words():
    two = pd.to_datetime(["2020-01-01", "2020-01-02"]).as_unit("ns")
    y = np.where(Y == "positive", *two.to_numpy()[::-1])
    words = dict(zip(two, ["terrible", "great"], strict=True))
    clf = raee(label_words=words).fit(X, y)
    assert clf.score(X, y) > 0.8


def test_score_refuses_what_fit_refuses():
    clf = raee().fit(X, Y)
    assert clf.score(X, Y, sample_weight=(Y == "positive").astype(float)) > 0.8
    assert clf.score(X, ["other"] * len(X)) == 0
    with pytest.raises(ValueError, match="same length, got 60 texts and 59 labels"):
        clf.score(X, Y[:-1])
    with pytest.raises(ValueError, match="a masked label at position 3"):
        clf.score(X, np.ma.array(Y, mask=np.arange(len(Y)) == 3))


def test_partial_fit_knows_labels_of_another_type_as_other_classes():
    clf = raee(label_words=["terrible", "great"]).fit(X, (Y == "positive").astype(int))
    with pytest.raises(ValueError, match=r"was not told of: \['0', '1'\]"):
        clf.partial_fit(X, np.where(Y == "positive", "1", "0"))
    with pytest.raises(TypeError, match=r"classes must be a list, .* got set"):
        clf.partial_fit(X, Y, classes={"negative", "positive"})


def test_masked_entries_of_a_list_are_refused_by_their_place():
    labels = list(np.ma.array(["a", "b", "a"], mask=[False, True, False]))
    message = r"no missing or infinite labels, got a masked one at position 1 \(1 of 3"
    with pytest.raises(ValueError, match=message):
        check_labels(labels, 3)
