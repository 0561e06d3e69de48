"""What a worker makes of a batch: the same as predict, and no end by a bad text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skraee import EarlyExitClassifier, RAEEClassifier, toy
from skraee.exceptions import FileFormatError, SignatureError
from skraee.scale import shipped as shipped_module
from skraee.scale.answers import answers
from skraee.scale.columns import check_columns, text_columns
from skraee.scale.shipped import Shipped
from tests.support.classifiers import early_exit, raee
from tests.support.keys import Plain

X, Y = toy.reviews(60)
NEW, _ = toy.reviews(40, seed=1)
KEY = "k" * 20


@pytest.fixture(scope="module")
def clf() -> EarlyExitClassifier:
    return early_exit(threshold=0.7).fit(X, Y)


class Choosy:
    """Answers no text that has a word, as a classifier with a fault would."""

    def __init__(self, clf: Any, word: str) -> None:
        self.clf, self.word = clf, word
        self.classes_ = clf.classes_

    def predict_proba(self, X: Any, return_exit_layers: bool) -> Any:
        if any(self.word in text for (text,) in X):
            raise RuntimeError(f"the word\n{self.word}")
        return self.clf.predict_proba(X, return_exit_layers)


def test_answers_are_those_of_predict(clf: EarlyExitClassifier) -> None:
    found = answers(clf, [NEW])
    proba, exits = clf.predict_proba(NEW, return_exit_layers=True)
    assert clf.classes_[found.codes].tolist() == clf.predict(NEW).tolist()
    assert found.proba.tolist() == proba.tolist()
    assert found.exits.tolist() == exits.tolist()
    assert found.errors == [None] * len(NEW)
    assert not found.failed.any()


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (None, "no text"),
        (7, "not a string: int"),
        (b"a film", "not a string: bytes"),
        (float("nan"), "not a string: float"),
    ],
)
def test_what_is_no_text_is_reported_and_the_others_answered(
    clf: EarlyExitClassifier, poison: Any, reason: str
) -> None:
    found = answers(clf, [[NEW[0], poison, NEW[1]]])
    assert found.errors == [None, reason, None]
    assert found.failed.tolist() == [False, True, False]
    alone = answers(clf, [NEW[:2]])
    assert found.codes[[0, 2]].tolist() == alone.codes.tolist()


def test_odd_texts_that_predict_answers_are_no_poison(clf: EarlyExitClassifier) -> None:
    odd = ["", " ", "\0", "\ud800", "word " * 5000, "[MASK] {text} </s>"]
    with pytest.warns(UserWarning, match="were cut"):
        found = answers(clf, [odd])
    assert found.errors == [None] * len(odd)


@pytest.mark.parametrize("texts", [[], [None, 3]])
def test_batch_without_a_text_has_answers_to_none(
    clf: EarlyExitClassifier, texts: list[Any]
) -> None:
    found = answers(clf, [texts])
    assert found.proba.shape == (len(texts), 2)
    assert found.failed.all()


def test_text_that_cannot_be_answered_is_reported_alone(
    clf: EarlyExitClassifier,
) -> None:
    texts = [*NEW[:5], "a wicked film", *NEW[5:9]]
    found = answers(Choosy(clf, "wicked"), [texts])
    assert np.flatnonzero(found.failed).tolist() == [5]
    assert found.errors[5] == "RuntimeError: the word wicked"
    others = answers(clf, [NEW[:9]])
    assert np.delete(found.codes, 5).tolist() == others.codes.tolist()


def test_model_that_answers_nothing_is_an_error(clf: EarlyExitClassifier) -> None:
    with pytest.raises(RuntimeError, match="the word"):
        answers(Choosy(clf, ""), [NEW[:3]])


def test_texts_of_several_fields_need_each_of_them() -> None:
    both = early_exit(template="{first} {second}", threshold=0.7)
    import pandas as pd

    frame = pd.DataFrame({"first": X, "second": X[::-1]})
    both.fit(frame, Y)
    found = answers(both, [X[:4], [*X[:3], None]])
    assert found.errors == [None, None, None, "no text"]
    expected = both.predict(pd.DataFrame({"first": X[:3], "second": X[:3]}))
    assert both.classes_[found.codes[:3]].tolist() == expected.tolist()


@pytest.mark.parametrize("make", [early_exit, raee])
def test_shipped_classifier_answers_as_it_did(make: Any, tmp_path: Path) -> None:
    clf = make().fit(X, Y)
    clf.save(tmp_path / "model.skraee")
    for one in (clf, tmp_path / "model.skraee", str(tmp_path / "model.skraee")):
        got = Shipped.of(one).load()
        assert got.predict_proba(NEW).tolist() == clf.predict_proba(NEW).tolist()


def test_worker_keeps_no_text_and_shows_no_bar() -> None:
    clf = early_exit(memory="process", verbose=1, threshold=0.7)
    got = Shipped.of(clf.fit(X, Y)).load()
    assert got.memory is None
    assert got.verbose == 0


def test_process_reads_a_model_once_and_keeps_few(
    clf: EarlyExitClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped_module, "_loaded", type(shipped_module._loaded)())
    sent = [Shipped.of(one) for one in (clf, early_exit().fit(X, Y))]
    first = sent[0].loaded()
    assert sent[0].loaded() is first
    assert Shipped.of(clf, backbone=toy.backbone()).loaded() is not first
    assert sent[1].loaded() is sent[1].loaded()
    assert len(shipped_module._loaded) == 2
    assert sent[0].loaded() is not first


def test_file_that_is_put_in_its_place_after_the_look_is_not_sent(
    clf: EarlyExitClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clf.skraee"
    clf.save(path, key=KEY)
    read_saved = shipped_module.read_saved

    def then_another(*args: Any) -> Any:
        found = read_saved(*args)
        clf.save(path)  # without a signature
        return found

    monkeypatch.setattr(shipped_module, "read_saved", then_another)
    with pytest.raises(SignatureError):
        Shipped.of(path, key=KEY)


def test_file_must_be_signed_with_the_key(
    clf: EarlyExitClassifier, tmp_path: Path
) -> None:
    path = tmp_path / "model.skraee"
    clf.save(path, key=KEY)
    assert Shipped.of(path, key=KEY).load().predict(NEW[:1]) == clf.predict(NEW[:1])
    with pytest.raises(SignatureError, match="another key"):
        Shipped.of(path, key="l" * 20)


def test_what_cannot_be_sent_is_refused_before_anything_is(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="of a Pipeline"):
        Shipped.of(object())
    with pytest.raises(NotFittedError):
        Shipped.of(early_exit())
    with pytest.raises(FileNotFoundError):
        Shipped.of(tmp_path / "none.skraee")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(FileFormatError):
        Shipped.of(tmp_path / "junk")


def test_classes_of_several_types_make_no_column() -> None:
    labels = np.array(["one" if y == "positive" else None for y in Y], object)
    labels[labels == None] = 2  # noqa: E711
    with pytest.raises(TypeError, match="the classes are of int, str"):
        shipped_module._plain_classes(labels)


def test_columns_of_texts_are_as_many_as_fields() -> None:
    assert text_columns("text", ["text"]) == ["text"]
    assert text_columns(("a", "b"), ["first", "second"]) == ["a", "b"]
    with pytest.raises(ValueError, match="name one column for each field"):
        text_columns("a", ["first", "second"])


def test_missing_column_is_refused() -> None:
    with pytest.raises(ValueError, match="no column 'text', but"):
        check_columns(["review"], ["text"])


def test_column_that_is_there_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="'error' already, which would be lost"):
        check_columns(["text", "error"], ["text"], ("a", "b", "c", "error"))
    with pytest.raises(ValueError, match="two columns of answers have one name"):
        check_columns(["text"], ["text"], ("a", "b", "a", "error"))


def test_index_that_no_worker_has_is_refused_and_exact_search_is_sent(
    tmp_path: Path,
) -> None:
    clf = raee(index=Plain()).fit(X, Y)
    with pytest.raises(FileFormatError, match="fitted with index=Plain"):
        Shipped.of(clf)
    clf.save(tmp_path / "model.skraee")
    again = RAEEClassifier.load(tmp_path / "model.skraee", index="exact")
    got = Shipped.of(again).load()
    assert got.predict(NEW).tolist() == clf.predict(NEW).tolist()
