"""Loaded with mmap_mode="r": the same answers from arrays that stay in their file."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from skraee import RAEEClassifier, RAEEGenerator, toy
from skraee.classifier_cv import RAEEClassifierCV
from skraee.exceptions import FileFormatError, SignatureError
from skraee.files.mapping import ALIGNMENT, is_mapped, mapped_array, release_pages
from skraee.files.npy import Header
from skraee.persistence import archive
from tests.support.classifiers import raee, raee_cv
from tests.support.generators import generator
from tests.support.saved import change, npy

DATA = Path(__file__).parents[1] / "data"
X, Y = toy.reviews(60)
X_NEW, _ = toy.reviews(30, seed=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clf.skraee"


def arrays_of(clf: Any) -> list[Any]:
    database = clf._fitted.database
    return [database.keys, database.proba]


def mapped(path: Path, cls: Any = RAEEClassifier, **named: Any) -> Any:
    return cls.load(path, mmap_mode="r", **named)


def assert_same_answers(one: Any, other: Any) -> None:
    for method in ("predict", "predict_proba", "exit_layers", "kneighbors"):
        expected, found = getattr(one, method)(X_NEW), getattr(other, method)(X_NEW)
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"index": "exact", "metric": "cosine"},
        {"encoder": 2, "database": "correct"},
        {"readout": "ridge"},
        {"budget": 0.6},
    ],
    ids=["words", "exact", "depth", "ridge", "budget"],
)
def test_mapped_classifier_answers_as_the_one_that_was_saved(
    params: dict[str, Any], path: Path
) -> None:
    clf = raee(**params).fit(X, Y)
    clf.save(path)
    loaded = mapped(path)
    assert_same_answers(clf, loaded)
    assert all(is_mapped(array) for array in arrays_of(loaded))
    assert not any(array.flags.writeable for array in arrays_of(loaded))
    held = RAEEClassifier.load(path)
    assert not any(is_mapped(array) for array in arrays_of(held))


def test_mapped_search_over_k_and_tau_answers_as_it_did(path: Path) -> None:
    clf = raee_cv(ks=(3, 5)).fit(X, Y)
    clf.save(path)
    assert_same_answers(clf, mapped(path, RAEEClassifierCV))


def test_mapped_generator_generates_as_it_did(path: Path) -> None:
    texts, targets = X[:20], ["good good"] * 20
    gen = generator().fit(texts, targets)
    gen.save(path)
    loaded = mapped(path, RAEEGenerator)
    assert is_mapped(loaded._fitted.database.keys)
    assert loaded.predict(texts[:5]).tolist() == gen.predict(texts[:5]).tolist()


def test_search_takes_no_copy_of_mapped_keys(path: Path) -> None:
    raee().fit(X, Y).save(path)
    loaded = mapped(path)
    loaded.predict(X_NEW)
    assert np.shares_memory(loaded._fitted.database._index.keys, arrays_of(loaded)[0])


def test_numbers_of_all_members_begin_at_a_multiple_of_64(path: Path) -> None:
    raee(readout="ridge").fit(X, Y).save(path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as members:
        infos = [i for i in members.infolist() if i.filename.endswith(".npy")]
        assert len(infos) > 5
        for info in infos:
            array = np.load(io.BytesIO(members.read(info)))
            start = content.index(array.tobytes(), info.header_offset)
            assert start % ALIGNMENT == 0 or array.nbytes < 16  # found by chance before


@pytest.mark.parametrize("name", ["votes", "ridge-votes"])
def test_file_of_an_older_skraee_is_mapped_where_its_numbers_lie(name: str) -> None:
    path = DATA / f"format-1-{name}.skraee"
    loaded = mapped(path)
    assert all(is_mapped(array) for array in arrays_of(loaded))
    assert arrays_of(loaded)[0].ctypes.data % ALIGNMENT
    assert_same_answers(RAEEClassifier.load(path), loaded)


def test_numbers_at_an_odd_place_are_mapped_as_they_are(tmp_path: Path) -> None:
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    place = tmp_path / "odd"
    place.write_bytes(b"x" + numbers.tobytes())
    with open(place, "rb") as file:
        found = mapped_array(file, 1, Header(numbers.dtype, (2, 3), False))
    assert not found.flags.aligned
    np.testing.assert_array_equal(found, numbers)


def test_mapped_file_that_is_damaged_is_refused(path: Path) -> None:
    clf = raee().fit(X, Y)
    clf.save(path)
    content = bytearray(path.read_bytes())
    content[content.index(clf._fitted.database.keys.tobytes()) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="is damaged"):
        mapped(path)


@pytest.mark.parametrize("name", ["database/keys", "database/proba"])
@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda array: array * np.float32(np.nan), "numbers that are not all"),
        (lambda array: array.astype(np.float64), "is of dtype float64"),
        (lambda array: array[:-1], "is of shape"),
        (lambda array: array[..., None], "is of shape"),
        (lambda array: array.astype(">f4"), None),
    ],
    ids=["nan", "dtype", "rows", "dimensions", "byte order"],
)
def test_mapped_array_that_was_changed_on_purpose_is_refused_as_a_held_one(
    name: str, edit: Any, why: str | None, path: Path
) -> None:
    clf = raee().fit(X, Y)
    clf.save(path)
    found_array = archive.read(path)[1][name]
    change(path, lambda _: None, **{name: npy(edit(found_array))})
    if why is None:  # another machine's numbers are brought into memory
        assert_same_answers(clf, mapped(path))
        return
    with pytest.raises(FileFormatError, match=why) as held:
        RAEEClassifier.load(path)
    with pytest.raises(FileFormatError, match=why) as found:
        mapped(path)
    assert str(found.value) == str(held.value)


def test_mapped_file_of_compressed_members_is_refused_as_a_held_one(
    path: Path, tmp_path: Path
) -> None:
    raee().fit(X, Y).save(path)
    small = tmp_path / "small.skraee"
    with (
        zipfile.ZipFile(path) as source,
        zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(FileFormatError, match=r"is compressed.*save the fitted"):
        mapped(small)


def test_mapped_file_is_held_to_its_signature(path: Path) -> None:
    clf = raee().fit(X, Y)
    clf.save(path, key="a key of sixteen letters")
    assert_same_answers(clf, mapped(path, key="a key of sixteen letters"))
    with pytest.raises(SignatureError):
        mapped(path, key="another key of sixteen letters")


@pytest.mark.parametrize("mmap_mode", ["r+", "w+", "c", True])
def test_mmap_mode_that_writes_is_refused_before_the_file_is_read(
    mmap_mode: Any,
) -> None:
    with pytest.raises(ValueError, match=r"must be None or 'r', got .*; a model file"):
        RAEEClassifier.load("no such file", mmap_mode=mmap_mode)


def joblib_copy(clf: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(clf, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda clf: pickle.loads(pickle.dumps(clf)), joblib_copy],
    ids=["deepcopy", "pickle", "joblib"],
)
def test_copy_of_a_mapped_classifier_needs_no_file(copied: Any, path: Path) -> None:
    clf = raee().fit(X, Y)
    clf.save(path)
    twin = copied(mapped(path))
    path.unlink()
    assert not any(is_mapped(array) for array in arrays_of(twin))
    assert_same_answers(clf, twin)


def test_mapped_classifier_is_saved_over_its_own_file(path: Path) -> None:
    clf = raee().fit(X, Y)
    clf.save(path)
    before = path.read_bytes()
    loaded = mapped(path)
    loaded.save(path)
    assert path.read_bytes() == before
    assert_same_answers(clf, loaded)  # from the old file, which has no name any more
    assert_same_answers(clf, mapped(path))


def test_another_classifier_saved_over_a_mapped_file_does_not_change_it(
    path: Path,
) -> None:
    clf = raee().fit(X, Y)
    clf.save(path)
    loaded = mapped(path)
    raee(index="exact").fit(X[:20], Y[:20]).save(path)
    assert_same_answers(clf, loaded)
    shutil.rmtree(path.parent)
    assert_same_answers(clf, loaded)


@pytest.mark.parametrize("encoder", [None, 2], ids=["mean", "depth"])
def test_mapped_classifier_learns_more_as_a_held_one(
    encoder: int | None, path: Path
) -> None:
    raee(encoder=encoder, index="exact").fit(X[:40], Y[:40]).save(path)
    before = path.read_bytes()
    held, loaded = RAEEClassifier.load(path), mapped(path)
    for clf in (held, loaded):
        clf.partial_fit(X[40:], Y[40:])
    assert_same_answers(held, loaded)
    assert len(loaded._fitted.database) == 60
    assert path.read_bytes() == before


def test_mapped_classifier_is_fitted_anew(path: Path) -> None:
    clf = raee().fit(X, Y)
    clf.save(path)
    loaded = mapped(path).fit(X, Y)
    assert not any(is_mapped(array) for array in arrays_of(loaded))
    assert_same_answers(clf, loaded)


def resident(path: Path) -> int:
    """Return how many KiB of a mapped file are in this process's memory."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    here = False
    total = 0
    for line in lines:
        if "-" in line.split()[0]:
            here = line.endswith(str(path))
        elif here and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.skipif(
    not Path("/proc/self/smaps").exists(), reason="asks Linux what is in memory"
)
def test_loading_leaves_nothing_of_the_mapped_arrays_in_memory(path: Path) -> None:
    raee().fit(X, Y).save(path)
    loaded = mapped(path)
    assert resident(path) == 0
    for array in arrays_of(loaded):
        array.sum()
    assert resident(path) > 0
    for array in arrays_of(loaded):
        release_pages(array)
    assert resident(path) == 0
