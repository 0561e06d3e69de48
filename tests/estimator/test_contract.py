"""The contract of scikit-learn, counted.

`parametrize_with_checks` runs one check on an estimator of texts and is green. So its
checks are run in three other ways: those that need no data are called directly, the
others are written again for texts (`test_check_..._on_texts`), and the whole battery
runs on an adapter that writes rows of numbers as sentences.
"""

from __future__ import annotations

import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils._testing import create_memmap_backed_data
from sklearn.utils.validation import check_is_fitted, validate_data

from skraee import EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV, toy
from skraee.exceptions import InputWarning
from tests.support.classifiers import raee

X, Y = toy.reviews(40)
X_NEW, Y_NEW = toy.reviews(20, seed=1)
METHODS = ["predict", "predict_proba", "predict_log_proba", "exit_layers"]


@pytest.fixture
def fitted() -> RAEEClassifier:
    return raee().fit(X, Y)


def answers(clf: Any, texts: Any) -> dict[str, np.ndarray]:
    return {name: getattr(clf, name)(texts) for name in METHODS}


def assert_same(
    found: dict[str, np.ndarray], expected: dict[str, np.ndarray], atol: float = 1e-5
) -> None:
    for name in METHODS:
        if expected[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], expected[name], atol=atol)
        else:
            np.testing.assert_array_equal(found[name], expected[name])


# Checks that need no data

DIRECT = [
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_estimator_tags_renamed,
    checks.check_valid_tag_types,
    checks.check_mixin_order,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_parameters_default_constructible,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_estimators_unfitted,  # refuses before it looks at the data
    checks.check_non_transformer_estimators_n_iter,
]


@pytest.mark.parametrize("check", DIRECT, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "kind", [EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV]
)
def test_check_without_data_passes(kind: Any, check: Callable[..., None]) -> None:
    check(kind.__name__, kind(toy.backbone(), toy.TEMPLATES["masked"]))


def test_tags_say_one_dimension_of_strings() -> None:
    tags = get_tags(raee())
    assert tags.estimator_type == "classifier"
    assert tags.input_tags.string
    assert tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array
    assert not tags.input_tags.sparse
    assert not tags.input_tags.allow_nan
    assert tags.target_tags.required
    assert tags.requires_fit
    assert not tags.non_deterministic


# Checks written again for texts


def test_check_fit_score_takes_y_on_texts() -> None:
    clf = raee()
    assert clf.fit(X, y=Y).score(X_NEW, y=Y_NEW) > 0.5
    clf.fit(X, Y).score(X_NEW, Y_NEW)


def test_check_estimators_fit_returns_self_on_texts() -> None:
    clf = raee()
    assert clf.fit(X, Y) is clf


def test_check_estimators_overwrite_params_on_texts() -> None:
    clf = raee()
    before = {name: joblib.hash(value) for name, value in clf.get_params().items()}
    objects = clf.get_params(deep=False)
    clf.fit(X, Y).predict(X_NEW)
    after = {name: joblib.hash(value) for name, value in clf.get_params().items()}
    assert after == before
    assert all(getattr(clf, name) is value for name, value in objects.items())


def test_check_dont_overwrite_parameters_on_texts() -> None:
    clf = raee()
    before = dict(vars(clf))
    clf.fit(X, Y)
    added = set(vars(clf)) - set(before)
    assert all(name.startswith("_") or name.endswith("_") for name in added)
    assert all(vars(clf)[name] is value for name, value in before.items())


@pytest.mark.parametrize("method", [*METHODS, "layer_proba", "kneighbors"])
def test_check_dict_unchanged_on_texts(fitted: RAEEClassifier, method: str) -> None:
    before = dict(vars(fitted))
    getattr(fitted, method)(X_NEW)
    assert vars(fitted).keys() == before.keys()
    assert all(vars(fitted)[name] is value for name, value in before.items())


def test_check_fit_idempotent_on_texts(fitted: RAEEClassifier) -> None:
    expected = answers(fitted, X_NEW)
    assert_same(answers(fitted.fit(X, Y), X_NEW), expected, atol=0)


def test_check_fit_check_is_fitted_on_texts() -> None:
    clf = raee()
    with pytest.raises(NotFittedError):
        check_is_fitted(clf)
    check_is_fitted(clf.fit(X, Y))
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(clf))


@pytest.mark.parametrize("method", [*METHODS, "score"])
def test_check_estimators_unfitted_on_texts(method: str) -> None:
    arguments = (X, Y) if method == "score" else (X,)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(raee(), method)(*arguments)


def test_check_readonly_memmap_input_on_texts(fitted: RAEEClassifier) -> None:
    texts, labels = create_memmap_backed_data([np.array(X), Y])
    assert not texts.flags.writeable
    found = raee().fit(texts, labels)
    assert_same(answers(found, texts), answers(fitted, X), atol=0)


def test_check_estimators_pickle_on_texts(fitted: RAEEClassifier) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    assert_same(answers(again, X_NEW), answers(fitted, X_NEW), atol=0)


@pytest.mark.parametrize("index", ["hnsw", "exact"])
def test_check_estimators_pickle_readonly_memmap_on_texts(
    index: str, tmp_path: Any
) -> None:
    clf = raee(index=index).fit(X, Y)
    joblib.dump(clf, tmp_path / "clf")
    again = joblib.load(tmp_path / "clf", mmap_mode="r")
    assert isinstance(again.layer_scores_, np.memmap)
    assert not again.layer_scores_.flags.writeable
    assert_same(answers(again, X_NEW), answers(clf, X_NEW), atol=0)


def test_check_methods_subset_invariance_on_texts(fitted: RAEEClassifier) -> None:
    alone = [answers(fitted, [text]) for text in X_NEW]
    joined = {name: np.concatenate([one[name] for one in alone]) for name in METHODS}
    assert_same(joined, answers(fitted, X_NEW))


def test_check_methods_sample_order_invariance_on_texts(fitted: RAEEClassifier) -> None:
    order = np.random.default_rng(0).permutation(len(X_NEW))
    shuffled = answers(fitted, [X_NEW[i] for i in order])
    expected = {name: found[order] for name, found in answers(fitted, X_NEW).items()}
    assert_same(shuffled, expected)


def test_check_f_contiguous_array_estimator_on_texts(fitted: RAEEClassifier) -> None:
    strided = np.repeat(X_NEW, 2)[::2]
    assert not strided.flags.c_contiguous
    assert_same(answers(fitted, strided), answers(fitted, X_NEW), atol=0)


@pytest.mark.parametrize("label", ["positive", 3, True])
def test_check_classifiers_one_label_on_texts(label: Any) -> None:
    clf = raee(label_words=["great"])
    with pytest.warns(InputWarning, match="y holds one class only"):
        clf.fit(X, [label] * len(X))
    assert clf.predict(X_NEW).tolist() == [label] * len(X_NEW)
    assert clf.predict_proba(X_NEW).tolist() == [[1.0]] * len(X_NEW)


def test_check_classifiers_one_label_sample_weights_on_texts() -> None:
    with pytest.raises(TypeError, match="sample_weight"):
        raee().fit(X, Y, sample_weight=np.ones(len(X)))


@pytest.mark.parametrize(
    ("negative", "positive", "dtype"),
    [
        ("bad one", "good one", None),
        ("bad one", "good one", object),
        ("bad one", "good one", np.dtypes.StringDType()),
        (0, 1, None),
        (-1, 1, None),
        (0, 1, object),
        (1.0, 2.0, None),
        (False, True, None),
    ],
)
def test_check_classifiers_classes_on_texts(
    negative: Any, positive: Any, dtype: Any, fitted: RAEEClassifier
) -> None:
    is_positive = Y == "positive"
    y = np.array([negative, positive], dtype=dtype)[is_positive.astype(int)]
    words = {negative: "terrible", positive: "great"}
    clf = raee(label_words=words).fit(X, y)
    assert clf.classes_.tolist() == [negative, positive]
    found = clf.predict(X_NEW)
    expected = fitted.predict(X_NEW) == "positive"
    assert found.dtype == clf.classes_.dtype
    assert (found == positive).tolist() == expected.tolist()
    assert clf.score(X_NEW, np.where(expected, positive, negative)) == 1


def test_check_classifiers_train_on_texts(fitted: RAEEClassifier) -> None:
    with pytest.raises(ValueError, match="same length"):
        raee().fit(X, Y[:-1])
    assert fitted.predict(X_NEW).shape == (20,)
    assert fitted.predict_proba(X_NEW).shape == (20, 2)
    assert fitted.score(X, Y) > 0.83
    assert_same(answers(raee().fit(X, Y.tolist()), X_NEW), answers(fitted, X_NEW))
    with pytest.raises(ValueError, match="shape"):
        fitted.predict(np.array([X, X]))


def test_check_decision_proba_consistency_on_texts(fitted: RAEEClassifier) -> None:
    proba = fitted.predict_proba(X_NEW)
    np.testing.assert_array_equal(
        fitted.predict(X_NEW), fitted.classes_[proba.argmax(axis=1)]
    )
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(fitted.predict_log_proba(X_NEW), np.log(proba))
    assert not hasattr(fitted, "decision_function")


def test_check_classifiers_regression_target_on_texts() -> None:
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        raee().fit(X, np.linspace(0.1, 1, len(X)))


@pytest.mark.parametrize("value", [np.nan, np.inf, None])
def test_check_supervised_y_no_nan_on_texts(value: Any) -> None:
    with pytest.raises(ValueError, match="no missing or infinite labels"):
        raee().fit(X, [value] * len(X))


def test_check_supervised_y_2d_on_texts(fitted: RAEEClassifier) -> None:
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        clf = raee().fit(X, Y[:, None])
    assert_same(answers(clf, X_NEW), answers(fitted, X_NEW), atol=0)


def test_check_requires_y_none_on_texts() -> None:
    with pytest.raises(ValueError, match="requires y to be passed, but the target y"):
        raee().fit(X, None)


def test_check_estimators_empty_data_messages_on_texts() -> None:
    with pytest.raises(ValueError, match="at least one text, got 0 samples"):
        raee().fit([], [])


@pytest.mark.filterwarnings("ignore:y holds one class only")
def test_check_fit2d_1sample_on_texts() -> None:
    assert raee().fit(X[:1], Y[:1]).predict(X_NEW).tolist() == [Y[0]] * 20


@pytest.mark.parametrize("value", [None, np.nan, np.inf, 1 + 2j])
@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba"])
def test_check_estimators_nan_inf_on_texts(
    fitted: RAEEClassifier, method: str, value: Any
) -> None:
    texts = np.array([*X[:-1], value], dtype=object)
    arguments = (texts, Y) if method == "fit" else (texts,)
    with pytest.raises(ValueError, match=r"at position 39 \(1 of 40 items"):
        getattr(fitted, method)(*arguments)


def test_check_complex_data_on_texts() -> None:
    with pytest.raises(ValueError, match="must hold only strings, got 1j"):
        raee().fit(np.full(40, 1j), Y)


def test_check_dtype_object_on_texts(fitted: RAEEClassifier) -> None:
    clf = raee().fit(np.array(X, dtype=object), Y.astype(object))
    assert answers(clf, X_NEW)["predict"].dtype == object
    np.testing.assert_array_equal(clf.predict(X_NEW), fitted.predict(X_NEW))


@pytest.mark.parametrize("convert", [checks._NotAnArray, pd.Series, pl.Series])
def test_check_classifier_data_not_an_array_on_texts(
    convert: Any, fitted: RAEEClassifier
) -> None:
    clf = raee().fit(convert(np.array(X)), convert(Y))
    assert_same(answers(clf, convert(np.array(X_NEW))), answers(fitted, X_NEW), atol=0)


def test_check_fit1d_on_texts() -> None:
    # What two dimensions are to us one dimension is to the others.
    with pytest.raises(ValueError, match=r"array of shape \(20, 2\)"):
        raee().fit(np.array(X).reshape(20, 2), Y[:20])


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csr_matrix])
def test_check_estimator_sparse_on_texts(make: Any) -> None:
    with pytest.raises(TypeError, match="must be a list, array or Series of texts"):
        raee().fit(make(np.eye(40)), Y)


def test_check_class_weight_classifiers_on_texts(fitted: RAEEClassifier) -> None:
    for weight in ("balanced", {"positive": 2}):
        clf = raee(class_weight=weight).fit(X, Y)
        assert_same(answers(clf, X_NEW), answers(fitted, X_NEW), atol=0)


def test_check_pipeline_consistency_on_texts(fitted: RAEEClassifier) -> None:
    pipeline = make_pipeline(raee()).fit(X, Y)
    assert pipeline.score(X_NEW, Y_NEW) == fitted.score(X_NEW, Y_NEW)
    np.testing.assert_array_equal(
        pipeline.predict_proba(X_NEW), fitted.predict_proba(X_NEW)
    )


# The battery, on rows of numbers written as sentences

WORDS = sorted({w for text in toy.reviews(400)[0] for w in text.split() if w.isalpha()})
# What the checks call their classes; no other estimator must know it beforehand.
CLASSES = [-1, 0, 1, 2, 3, "one", "two", "three"]


class RowsAsSentences:
    """Rows of numbers, each number a toy word: what the battery can be run on."""

    def fit(self, X: Any, y: Any) -> Any:
        return super().fit(self._sentences(X, reset=True), y)

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Any:
        is_first = not hasattr(self, "n_features_in_")
        return super().partial_fit(self._sentences(X, reset=is_first), y, classes)

    def predict(self, X: Any) -> Any:
        return super().predict(self._known(X))

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(self._known(X))

    def predict_log_proba(self, X: Any) -> Any:
        return super().predict_log_proba(self._known(X))

    def _known(self, X: Any) -> list[str]:
        check_is_fitted(self)
        return self._sentences(X, reset=False)

    def _sentences(self, X: Any, reset: bool) -> list[str]:
        rows = validate_data(self, X, reset=reset).astype(float)
        levels = np.clip(np.round(2 * rows), -8, 8).astype(int) + 8
        numbers = (levels + 5 * np.arange(levels.shape[1])) % len(WORDS)
        return [" ".join(WORDS[number] for number in row) for row in numbers]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = False
        tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        # A model that is never trained does not learn what random words stand for.
        tags.classifier_tags.poor_score = True
        return tags


class OnRows(RowsAsSentences, RAEEClassifier):
    """`RAEEClassifier` as the battery wants it."""


class OnRowsCV(RowsAsSentences, RAEEClassifierCV):
    """`RAEEClassifierCV` as the battery wants it."""


class OnRowsEarlyExit(RowsAsSentences, EarlyExitClassifier):
    """`EarlyExitClassifier` as the battery wants it."""


# Checks that are neither called directly nor written again for texts.
WITHOUT_MEANING_FOR_TEXTS = {
    "check_array_api_input": "texts are no array-API data",
    "check_estimator_sparse_array": "see check_estimator_sparse",
    "check_estimator_sparse_matrix": "see check_estimator_sparse",
    "check_estimator_sparse_tag": "see check_estimator_sparse",
    "check_estimators_dtypes": "texts have no numeric types",
    "check_estimators_partial_fit_n_features": "texts have no number of features",
    "check_fit2d_1feature": "a text is one feature",
    "check_fit2d_predict1d": "one dimension is what predict takes",
    "check_n_features_in": "texts have no number of features",
    "check_n_features_in_after_fitting": "texts have no number of features",
    "check_positive_only_tag_during_fit": "texts have no sign",
}


# What a check asks for more narrowly than the numbers of a model are.
EXPECTED_TO_FAIL = {
    "check_methods_sample_order_invariance": "1e-9 is wanted, and in float32 the rows "
    "beside a text move the last bit of its probabilities (test_batch_independence.py)",
}


@pytest.fixture(scope="module", params=[OnRows, OnRowsCV, OnRowsEarlyExit])
def battery(request: Any) -> list[dict[str, Any]]:
    """What came of each check."""
    words = {"label_words": dict(zip(CLASSES, WORDS, strict=False))}
    expected_to_fail = {}
    if request.param is OnRowsEarlyExit:
        words, expected_to_fail = {}, EXPECTED_TO_FAIL
    rows = request.param(toy.backbone(), toy.TEMPLATES["masked"], **words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: list[dict[str, Any]] = checks.check_estimator(
            rows, on_skip=None, on_fail=None, expected_failed_checks=expected_to_fail
        )
    return found


def test_battery_fails_nowhere(battery: list[dict[str, Any]]) -> None:
    failed = [check for check in battery if check["status"] == "failed"]
    if failed:
        raise AssertionError([check["check_name"] for check in failed]) from failed[0][
            "exception"
        ]


def ported() -> list[str]:
    names = [name for name in globals() if name.startswith("test_check_")]
    return [name[5:-9] for name in names if name.endswith("_on_texts")]


def test_every_check_is_called_or_ported_or_has_no_meaning(
    battery: list[dict[str, Any]],
) -> None:
    direct = {check.__name__ for check in DIRECT}
    known = direct | {*ported()} | WITHOUT_MEANING_FOR_TEXTS.keys()
    assert {check["check_name"] for check in battery} - known == set()


def test_contract_counts_the_checks_of_texts(
    record_property: Callable[[str, object], None],
) -> None:
    record_property(
        "counted",
        f"scikit-learn's contract: {len(DIRECT)} checks called directly, "
        f"{len(ported())} written again for texts",
    )
    assert len(DIRECT) >= 12
    assert len(ported()) >= 33


def test_contract_counts_fifty_checks_on_rows_and_more(
    battery: list[dict[str, Any]], record_property: Callable[[str, object], None]
) -> None:
    counts = Counter(check["status"] for check in battery)
    record_property(
        "counted",
        f"scikit-learn's battery, {type(battery[0]['estimator']).__name__}: "
        f"{counts['passed']} passed, {counts['skipped']} skipped",
    )
    assert counts["passed"] >= 50


# Inputs: one case for each row of the table of what fit and predict take

ODD_INDEX = np.arange(40)[::-1] // 2
ACCEPTED: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "tuple": tuple,
    "numpy object": lambda X: np.array(X, dtype=object),
    "numpy U": np.array,
    "numpy StringDType": lambda X: np.array(X, dtype=np.dtypes.StringDType()),
    "pandas object": lambda X: pd.Series(X, ODD_INDEX[: len(X)], dtype=object),
    "pandas string": lambda X: pd.Series(X, ODD_INDEX[: len(X)], dtype="string"),
    "pandas category": lambda X: pd.Series(X, ODD_INDEX[: len(X)], dtype="category"),
    "polars String": pl.Series,
    "polars Categorical": lambda X: pl.Series(X, dtype=pl.Categorical),
    "numpy column": lambda X: np.array(X)[:, None],
    "pandas column": lambda X: pd.DataFrame({"review": X}, ODD_INDEX[: len(X)]),
    "polars column": lambda X: pl.DataFrame({"review": X}),
    "pandas frame with the field": lambda X: pd.DataFrame({"n": 1, "text": X}),
    "polars frame with the field": lambda X: pl.DataFrame({"text": X}).with_row_index(),
}
NO_SEQUENCE = "must be a list, array or Series of texts, got "
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "other frame": (
        pd.DataFrame({"title": X, "body": X}),
        ValueError,
        r"the columns \['title', 'body'\]; name the fields after the columns",
    ),
    "one str": (X[0], ValueError, "expected a sequence of texts, got one string"),
    "dict": (dict.fromkeys(X, 1), TypeError, f"{NO_SEQUENCE}dict"),
    "set": (set(X), TypeError, f"{NO_SEQUENCE}set"),
    "generator": ((text for text in X), TypeError, f"{NO_SEQUENCE}generator"),
    "None": ([*X[:38], None, None], ValueError, r"None at position 38 \(2 of 40"),
    "NaN": ([np.nan, *X[1:]], ValueError, r"nan at position 0 \(1 of 40"),
    "number": ([*X[:39], 3], ValueError, r"3 at position 39 \(1 of 40"),
    "bytes": ([*X[:39], b"film"], ValueError, r"b'film' at position 39 \(1 of 40"),
    "NA in a Series": (
        pd.Series([*X[:39], pd.NA], dtype="string"),
        ValueError,
        r"<NA> at position 39 \(1 of 40",
    ),
    "null in a polars Series": (
        pl.Series([*X[:39], None]),
        ValueError,
        r"None at position 39 \(1 of 40",
    ),
}


@pytest.mark.parametrize("row", ACCEPTED)
def test_input_is_taken_in_its_order(row: str, fitted: RAEEClassifier) -> None:
    make = ACCEPTED[row]
    clf = raee().fit(make(X), Y)
    assert_same(answers(clf, make(X_NEW)), answers(fitted, X_NEW), atol=0)


def test_input_may_hold_an_empty_string() -> None:
    clf = raee()
    with pytest.warns(InputWarning, match="1 of 40 texts are empty .* at position 0"):
        clf.fit(["", *X[1:]], Y)
    assert clf.predict(["", X_NEW[0]]).shape == (2,)
    assert clf.kneighbors([""], 1)[1].item() == 0


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_input_of_several_columns_gives_one_field_each(frame: Any) -> None:
    table = frame({"label": Y, "text": X, "thing": ["film"] * len(X)})
    clf = raee(template="the {thing} : {text} it was {mask}.").fit(table, Y)
    same = raee(template="the film : {text} it was {mask}.").fit(X, Y)
    np.testing.assert_array_equal(clf.predict(table), same.predict(X))


@pytest.mark.parametrize("method", ["fit", "predict", "exit_layers"])
@pytest.mark.parametrize("row", REFUSED)
def test_input_is_refused_in_one_clear_sentence(
    row: str, method: str, fitted: RAEEClassifier
) -> None:
    given, error, message = REFUSED[row]
    arguments = (given, Y) if method == "fit" else (given,)
    with pytest.raises(error, match=message):
        getattr(fitted, method)(*arguments)


@pytest.mark.parametrize(
    "nothing", [[], (), np.array([], dtype=str), pd.Series([], dtype=str)]
)
def test_input_without_texts_is_refused_by_fit_and_answered_by_predict(
    nothing: Any, fitted: RAEEClassifier
) -> None:
    with pytest.raises(ValueError, match="at least one text, got 0 samples"):
        raee().fit(nothing, nothing)
    found = answers(fitted, nothing)
    assert found["predict"].shape == found["exit_layers"].shape == (0,)
    assert found["predict_proba"].shape == (0, 2)


@pytest.mark.parametrize(
    "y",
    [
        np.eye(2, dtype=int)[np.arange(40) % 2],
        [["a", "b"]] * 40,
        [{"a", "b"}] * 40,
        sparse.csr_array(np.eye(40, dtype=int)),
        pd.DataFrame({"a": Y, "b": Y}),
    ],
    ids=["2-D", "lists", "sets", "sparse", "frame"],
)
def test_labels_of_several_outputs_name_the_meta_estimator(y: Any) -> None:
    message = r"MultiOutputClassifier .* OneVsRestClassifier"
    with pytest.raises(ValueError, match=message):
        raee().fit(X, y)


@pytest.mark.parametrize("make", [list, tuple, pd.Series, pl.Series, pd.Categorical])
def test_labels_of_any_container_are_taken(make: Any, fitted: RAEEClassifier) -> None:
    clf = raee().fit(X, make(Y))
    assert clf.classes_.tolist() == ["negative", "positive"]
    assert clf.predict(X_NEW).tolist() == fitted.predict(X_NEW).tolist()
