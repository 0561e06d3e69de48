"""Files that somebody changed who knows the format, all hashes made right again.

Each is refused in one sentence when it is loaded, or when its backbone is first there
to compare, and takes no more memory than it has bytes, times a small number. The trial
``crafted-files`` (benchmarks/trust) draws thousands of such changes.
"""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee import EarlyExitClassifier, toy
from skraee.exceptions import (
    BackboneChangedError,
    BackboneDriftWarning,
    FileFormatError,
)
from skraee.files.members import Members
from skraee.persistence.seal import sealed
from tests.support.classifiers import early_exit
from tests.support.files import rewrite
from tests.support.saved import CLASSES, at, change, content_of, npy

TEXTS = ["a lovely film", "the waiter was cold and slow"]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str], Path]:
    def save(kind: str) -> Path:
        path = tmp_path / "model.skraee"
        path.write_bytes(content_of(kind))
        return path

    return save


def load(kind: str, path: Path) -> Any:
    return CLASSES.get(kind, EarlyExitClassifier).load(path)


def npy_that_says(shape: str, dtype: str = "<f4", content: bytes = bytes(64)) -> bytes:
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n"
    return (
        b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + content
    )


ENTRIES: list[tuple[str, str, Any, str]] = [
    ("words", "skraee_format", True, "True is no number of a format"),
    ("words", "skraee_format", 0, "0 is no number of a format"),
    ("words", "sweep", ..., "sweep"),
    ("words", "x", 1, "'x' is not known"),
    ("words", "versions", {"skraee": 1}, r"versions\.skraee must be a string, got 1"),
    ("words", "sweep.token_ids", [1], "there are 1 words for 2 classes"),
    ("words", "sweep.token_ids", [-1, 2], r"token_ids\[0\] must be a whole .*, got -1"),
    ("words", "sweep.token_ids", [], "token_ids is empty and there is no readout"),
    ("words", "sweep.token_ids", [10**400, 1], r"token_ids\[0\] must be a whole"),
    ("words", "sweep.token_ids", [1.0, 2], r"token_ids\[0\] must be a whole"),
    ("words", "sweep.max_length", 0, "max_length must be a whole number from 1"),
    ("words", "sweep.template", "{text", "stray '{'"),
    ("words", "sweep.by_states", True, "by_states does not agree"),
    ("confidence", "sweep.by_keys", True, "by_keys does not agree"),
    ("depth", "sweep.encoder", None, "standardizer does not agree"),
    ("depth", "sweep.encoder", 5, r"sweep\.encoder is depth 5 of 4 layers"),
    ("depth", "sweep.encoder", {"encoder": {"name": 3}}, "encoder"),
    ("depth", "standardizer", None, "standardizer does not agree"),
    ("words", "backbone.dtype", "float64", "dtype must be one of 'bfloat16'"),
    ("words", "backbone.fingerprint", "x", "fingerprint must be the 64 hexadec"),
    ("words", "backbone.name", "toy:masked:" + "9" * 30, "ends in its seed"),
    ("words", "attributes.predict", 1, "attributes that are not known here, predict"),
    ("words", "attributes.__class__", 1, "attributes that are not known here, __cl"),
    ("words", "attributes.n_layers_", 10**30, "n_layers_ must be a whole number"),
    ("words", "attributes.n_layers_", 3, "is of shape .*, and D is 4"),
    ("words", "attributes.n_layers_", ..., "n_layers_ is missing"),
    ("words", "attributes.n_samples_fit_", 59, "60 texts are stored of 59 of fit"),
    ("ridge", "attributes.lambda_", ..., "lambda_"),
    (
        "ridge",
        "attributes.lambda_",
        float("nan"),
        "lambda_ must be a number .*, got nan",
    ),
    ("search", "attributes.k_", 0, "k_ must be a whole number from 1"),
    ("search", "attributes.tau_", 2, "tau_ must be a number from 0 to 1, got 2"),
    ("confidence", "attributes.max_exit_", 5, "max_exit_ is depth 5 of 4 layers"),
    ("confidence", "attributes.threshold_", "x", "threshold_ must be a number"),
    ("confidence", "attributes.threshold_", 10**400, "a number that a float holds"),
    ("confidence", "parameters.min_exit", 5, "min_exit is depth 5 of 4 layers"),
    ("words", "parameters.k", {"no": 1}, "'no'"),
    ("words", "parameters.k", 0, "k must be at least 1, got 0"),
    ("words", "parameters.tau", float("nan"), "tau must lie between 0 and 1"),
    ("words", "parameters.device", "nowhere", "device must name devices, got 'nowh"),
    ("words", "parameters.device", "meta", "device must name devices, got 'meta'"),
    ("words", "parameters.readout", "ridge", "readout was 'lm_head' at fit and is"),
    ("search", "parameters.scoring", "nothing", "scoring must be a name"),
    ("words", "setting", {}, "setting has"),
    ("words", "setting.more", 1, "setting has"),
    ("confidence", "setting", {"budget": 0.5}, "setting has"),
    ("words", "database", None, "by_keys does not agree"),
    ("words", "database.seed", -1, "seed must be a whole number from 0"),
    ("words", "database.n_jobs", 10**9, "n_jobs must be a whole number from"),
    ("words", "database.metric", "l1", "metric must be one of 'sqeuclidean'"),
    ("words", "calibration", None, "belongs to no part"),
    ("ridge", "ridge.bag", None, "belongs to no part that there is"),
    ("ridge", "ridge.bag.weight", -1, "weight must be a number from 0"),
    ("words", "probes", [["a", "b"]], "not all probes have 1 fields"),
    ("words", "probes", [["a"]] * 101, "probes must be a list of at most 100"),
    ("words", "probes", [["a" * 10_001]], r"probes\[0\]\[0\] has 10001 letters"),
    ("words", "probes", [["a"]], "and probes is 1"),
    ("words", "probes", [["\ud800"]] * 4, "surrogates not allowed"),
    ("words", "members", {}, "stands in no manifest"),
    ("words", "members", [], ""),
    ("objects", "attributes.classes_", {"array": ["|O", ["b", "a"]]}, "not ascending"),
    ("objects", "attributes.classes_", {"array": ["|O", ["a", 1]]}, "'<' not supp"),
    ("objects", "attributes.classes_", {"array": ["|O", []]}, "no list of classes"),
    ("objects", "attributes.classes_", {"array": ["U500000000", ["a"]]}, "dtype 'U500"),
    (
        "objects",
        "attributes.classes_",
        {"array": ["<U500000000", ["a"]]},
        "for 1 items",
    ),
    ("objects", "attributes.classes_", {"array": ["<i8", [10**30]]}, "too large"),
    ("objects", "attributes.classes_", {"array": ["i4,f8", [1]]}, "dtype 'i4,f8'"),
    ("objects", "attributes.classes_", {"array": ["|O", [{"x": 1}]]}, "have names"),
    ("objects", "attributes.classes_", ["a", "b"], "classes_ must be an object"),
    ("search", "attributes.cv_results_", {"masked": [[1], [True]]}, "another shape"),
    ("search", "attributes.cv_results_", {"pairs": [[[], 1]]}, "unhashable"),
]


@pytest.mark.parametrize(("kind", "place", "value", "message"), ENTRIES)
def test_entry_that_is_none_of_the_format_is_refused(
    saved: Any, kind: str, place: str, value: Any, message: str
) -> None:
    path = saved(kind)
    change(path, at(place, value))
    with pytest.raises(FileFormatError, match=f"model.skraee'.*{message}"):
        load(kind, path)


ARRAYS: list[tuple[str, str, Any, str]] = [
    (
        "words",
        "database/keys",
        np.zeros((60, 32)),
        "'database/keys' is of dtype float64",
    ),
    ("words", "database/keys", np.zeros((59, 32), "f4"), "and n is 59"),
    ("words", "database/keys", np.zeros((60, 0), "f4"), "arrays are empty: d is 0"),
    ("words", "database/keys", np.zeros(60, "f4"), r"is of shape \(60,\)"),
    ("words", "database/keys", np.full((60, 32), np.nan, "f4"), "not all finite"),
    ("words", "database/keys", np.full((60, 32), np.inf, "f4"), "not all finite"),
    ("words", "database/proba", np.full((60, 5, 2), 2, "f4"), "not all probabilities"),
    ("words", "database/proba", np.zeros((60, 5, 3), "f4"), "and C is 2"),
    ("words", "database/labels", np.full(60, 2, "u1"), "not all codes of classes"),
    ("words", "database/labels", np.zeros(60, "i1"), "labels' is of dtype int8"),
    ("depth", "database/kept", np.zeros(60, "i8"), "kept"),
    ("depth", "standardizer/variance", np.full(32, -1.0), "not all at least 0"),
    ("depth", "standardizer/mean", np.zeros(31), "and d is 32"),
    ("words", "calibration/temperatures", np.zeros(5), "not all above 0"),
    ("ridge", "ridge/parts", np.array([0, 0, 1]), "not all numbers of parts"),
    ("ridge", "ridge/parts", np.array([-1, 0, 1]), "not all numbers of parts"),
    ("ridge", "ridge/bag/buckets", np.zeros(3, "u2"), "buckets"),
    ("ridge", "ridge/coef", np.full((5, 3, 32, 2), 1.1e20, "f4"), "from -1e.20 to"),
    ("ridge", "ridge/coef", np.full((5, 3, 32, 2), -1.1e20, "f4"), "from -1e.20 to"),
    ("ridge", "ridge/intercept", np.full((5, 3, 2), 1e38, "f4"), "from -1e.20 to"),
    ("ridge", "ridge/bag/intercept", np.full(2, 1e38, "f4"), "from -1e.20 to 1e.20"),
    ("ridge", "ridge/weight", np.full((5, 3), 1.1), "not all from 0 to 1"),
    ("ridge", "ridge/inverse_temperature", np.full(5, 1.1e6), "at most 1e.06"),
    ("ridge", "ridge/coef", None, "array 'ridge/coef' is missing"),
    ("ridge", "ridge/x", np.zeros(3), "array 'ridge/x' is not known"),
    ("confidence", "database/keys", np.zeros((60, 3), "f4"), "belongs to no part"),
    ("confidence", "texts/codes", np.full(60, 7), "not all codes of classes"),
    ("confidence", "texts/records", np.zeros((60, 19), "u1"), "and 20 is 20"),
    ("confidence", "attributes/classes_", np.array(["b", "a"]), "not ascending"),
    ("confidence", "attributes/classes_", np.array([np.nan, 1]), "not ascending"),
    ("confidence", "attributes/classes_", np.array([["a", "b"]]), "no list of classes"),
    ("confidence", "attributes/classes_", np.array("a"), "no list of classes"),
    ("confidence", "attributes/x", np.zeros(2), "array 'attributes/x' is not known"),
    ("confidence", "attributes/cost_", np.full(5, np.nan), "not all finite"),
]


@pytest.mark.parametrize(("kind", "name", "array", "message"), ARRAYS)
def test_array_that_is_none_of_the_format_is_refused(
    saved: Any, kind: str, name: str, array: Any, message: str
) -> None:
    path = saved(kind)
    content = None if array is None else npy(array)
    change(path, lambda manifest: None, **{name: content})
    with pytest.raises(FileFormatError, match=f"model.skraee'.*{message}"):
        load(kind, path)


def test_largest_numbers_that_are_allowed_give_finite_answers(saved: Any) -> None:
    path = saved("ridge")
    signs = np.where(np.indices((5, 3, 32, 2)).sum(axis=0) % 3, 1e20, -1e20)
    change(
        path,
        lambda manifest: None,
        **{
            "ridge/coef": npy(signs.astype("f4")),
            "ridge/inverse_temperature": npy(np.full(5, 1e6)),
            "ridge/weight": npy(np.ones((5, 3))),
        },
    )
    with pytest.warns(BackboneDriftWarning):
        proba = load("ridge", path).predict_proba(TEXTS)
    assert np.isfinite(proba).all()


HEADERS: dict[str, bytes] = {
    "more than there is": npy_that_says("(10000000000,)"),
    "sizes without numbers": npy_that_says("(0, 10000000000)", content=b""),
    "a size below 0": npy_that_says("(-1,)"),
    "a size no machine has": npy_that_says(f"({10**40},)"),
    "very many sizes": npy_that_says("(" + "1, " * 60 + ")"),
    "wide letters": npy_that_says("(1,)", "<U500000000"),
    "letters of no width": npy_that_says("(16,)", "<U0"),
    "a type that there is not": npy_that_says("(16,)", "<f3"),
    "Python objects": npy_that_says("(8,)", "|O"),
    "several types": npy_that_says("(16,)", "i4,f8"),
    "source that goes on": npy_that_says("(16,), 'x': (1,)"),
    "brackets that never close": npy_that_says("(" * 3000),
    "a longer header than there is": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
    "a version of tomorrow": b"\x93NUMPY\x07\x00" + bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_header_is_believed_only_where_the_size_agrees(
    saved: Any, content: bytes
) -> None:
    path = saved("words")
    change(path, lambda manifest: None, **{"database/keys": content})
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="is damaged"):
            load("words", path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_letters_that_are_none_are_refused(saved: Any) -> None:
    path = saved("confidence")
    letters = np.full((2, 8), 2**31 - 1, "<u4").view("<U8").ravel()
    change(path, lambda manifest: None, **{"attributes/classes_": npy(letters)})
    with pytest.raises(FileFormatError, match="is damaged"):
        load("confidence", path)


# Each of a fifth of a megabyte.
LARGE: dict[str, Any] = {
    "lists": [[]] * 50_000,
    "objects": [{"": {}}] * 20_000,
    "letters": "\U0001f4a5" * 16_000,
    "numbers": {"array": ["<f8", [0] * 60_000]},
    "wide letters": {"array": ["<U64", ["a"] * 40_000]},
    "one long word": {"array": ["<U50000", ["a" * 50_000, *[""] * 30_000]]},
    "many arrays": [{"array": ["<U60", ["a"]]}] * 7_000,
    "fields": "".join(f"{{a{i}}}" for i in range(20_000)),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_made_of_a_file_is_in_proportion_to_its_size(
    saved: Any, name: str
) -> None:
    path = saved("words")
    place = "sweep.template" if name == "fields" else "parameters.k"
    change(path, at(place, LARGE[name]))
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError):
            load("words", path)
        assert tracemalloc.get_traced_memory()[1] < 100 * path.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_nesting_is_refused(saved: Any, depth: int) -> None:
    path = saved("words")

    def nest(members: dict[str, bytes]) -> None:
        deep = b"[" * depth + b"]" * depth
        text = members["manifest.json"].replace(b'"verbose": 0', b'"verbose": ' + deep)
        assert deep in text
        members["manifest.json"] = text
        members["seal.json"] = sealed(text, None).encode()

    rewrite(path, nest)
    with pytest.raises(FileFormatError, match="is damaged"):
        load("words", path)


def test_members_of_one_name_are_refused(saved: Any) -> None:
    path = saved("words")
    with zipfile.ZipFile(path, "a") as members, pytest.warns(UserWarning, match="Dupl"):
        members.writestr("probes.npy", b"x")
    with pytest.raises(FileFormatError, match="two members have one name"):
        load("words", path)


def test_member_within_another_is_refused(saved: Any) -> None:
    """Both fit in the file, and together they unpack to twice its size."""
    path = saved("words")
    with zipfile.ZipFile(path) as members:
        content = {info.filename: members.read(info) for info in members.infolist()}
    within = io.BytesIO()
    with zipfile.ZipFile(within, "w") as inner:
        inner.writestr(zipfile.ZipInfo("within"), b"w" * len(path.read_bytes()))
        (info,) = inner.infolist()
    with zipfile.ZipFile(path, "w") as members:
        for name, data in content.items():
            members.writestr(zipfile.ZipInfo(name), data)
        members.writestr(zipfile.ZipInfo("outer"), within.getvalue())
        outer = members.getinfo("outer")
        info.header_offset = outer.header_offset + len(outer.FileHeader())
        members.filelist.append(info)
    with path.open("rb") as file, pytest.raises(ValueError, match="members overlap"):
        Members(file).check_sizes()
    with pytest.raises(FileFormatError, match="is damaged"):
        load("words", path)


def test_member_that_says_it_is_larger_than_the_file_takes_no_room(saved: Any) -> None:
    path = saved("words")
    whole = bytearray(path.read_bytes())
    for name in (b"manifest.json", b"probes.npy"):
        start = whole.rindex(name) - 46
        assert whole[start : start + 4] == b"PK\x01\x02"
        whole[start + 20 : start + 28] = (2**31 - 1).to_bytes(4, "little") * 2
    path.write_bytes(whole)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="is larger than the file"):
            load("words", path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_member_that_the_manifest_does_not_name_is_refused(saved: Any) -> None:
    path = saved("words")
    rewrite(path, lambda members: members.update(x=b"1"))
    with pytest.raises(FileFormatError, match="member 'x' stands in no manifest"):
        load("words", path)


# What only the backbone can tell


AT_ODDS: list[tuple[str, str, Any, str]] = [
    ("words", "sweep.token_ids", [1, 10**9], "it reads token 1000000000 of "),
    ("words", "sweep.max_length", 10**6, "max_length must be at most 128"),
    ("words", "sweep.template", "{text}", "mask"),
    ("words", "sweep.template", "{text} {mask} {mask}", "mask"),
]


@pytest.mark.parametrize(("kind", "place", "value", "message"), AT_ODDS)
def test_entry_that_does_not_suit_the_backbone_is_told_at_first_use(
    saved: Any, kind: str, place: str, value: Any, message: str
) -> None:
    path = saved(kind)
    change(path, at(place, value))
    clf = load(kind, path)
    for _ in range(2):
        with pytest.raises(FileFormatError, match=f"does not suit its.*{message}"):
            clf.predict(TEXTS)


def test_sizes_that_do_not_suit_the_backbone_are_told_at_first_use(saved: Any) -> None:
    path = saved("confidence")
    with zipfile.ZipFile(path) as members:
        coef = np.load(io.BytesIO(members.read("ridge/coef.npy")))
    change(path, lambda manifest: None, **{"ridge/coef": npy(coef[:, :, :-1])})
    with pytest.raises(BackboneChangedError, match="reads states of 31 numbers at 5 d"):
        load("confidence", path).predict(TEXTS)
    for kind in ("words", "depth"):
        path = saved(kind)
        with zipfile.ZipFile(path) as members:
            keys = np.load(io.BytesIO(members.read("database/keys.npy")))
        narrow = {"database/keys": npy(keys[:, :-1])}
        if kind == "depth":
            narrow["standardizer/mean"] = npy(np.zeros(31))
            narrow["standardizer/variance"] = npy(np.ones(31))
        change(path, lambda manifest: None, **narrow)
        with pytest.raises(BackboneChangedError, match="have 31 numbers and those of"):
            load(kind, path).predict(TEXTS)


def test_package_that_is_not_known_is_no_reason_of_a_drift(saved: Any) -> None:
    path = saved("words")
    with zipfile.ZipFile(path) as members:
        probes = np.load(io.BytesIO(members.read("probes.npy")))
    other = {"probes": npy(1 - probes)}
    change(path, at("versions", {"skraee": "0.1.0", "x": "1"}), **other)
    clf = load("words", path)
    with pytest.warns(UserWarning, match="answers differently"):
        clf.predict(TEXTS)


def test_save_refuses_what_load_would(tmp_path: Path) -> None:
    clf = early_exit(budget=0.5).fit(*toy.reviews(60))
    clf.note = "of the user's own"
    clf.save(tmp_path / "clf")
    assert not hasattr(EarlyExitClassifier.load(tmp_path / "clf"), "note")
    before = (tmp_path / "clf").read_bytes()
    with pytest.raises(ValueError, match=r"budget was 0\.5 at fit and is 0\.7 now"):
        clf.set_params(budget=0.7).save(tmp_path / "clf")
    with pytest.raises(ValueError, match="min_exit must be at least 0, got -1"):
        clf.set_params(budget=0.5, min_exit=-1).save(tmp_path / "clf")
    assert (tmp_path / "clf").read_bytes() == before
