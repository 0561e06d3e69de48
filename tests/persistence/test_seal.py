"""Hashes tell damage, and a signature tells who wrote a file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skraee import EarlyExitClassifier, RAEEClassifier, toy
from skraee.exceptions import FileFormatError, SignatureError
from skraee.persistence import archive
from tests.support.answers import assert_same_answers
from tests.support.classifiers import early_exit, raee
from tests.support.files import change_array, change_manifest, rewrite

X, Y = toy.reviews(60)
KEY = b"sixteen bytes or more of it"
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    path = tmp_path / "model.skraee"
    early_exit(budget=0.5).fit(X, Y).save(path, key=KEY)
    return path


def seal_of(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as members:
        seal: dict[str, str] = json.loads(members.read("seal.json"))
    return seal


@pytest.mark.parametrize("make", [early_exit, raee])
@pytest.mark.parametrize("key", [KEY, KEY.decode(), bytearray(KEY)])
def test_signed_file_loads_with_its_key_and_without(
    make: Any, key: Any, tmp_path: Path
):
    clf = make().fit(X, Y)
    clf.save(tmp_path / "clf", key=KEY)
    for again in (
        type(clf).load(tmp_path / "clf", key=key),
        type(clf).load(tmp_path / "clf"),
    ):
        assert_same_answers(again, clf, X[:5], atol=0)


def test_signature_is_no_secret_and_files_of_one_key_are_equal(signed: Path):
    before = signed.read_bytes()
    assert KEY not in before
    EarlyExitClassifier.load(signed, key=KEY).save(signed, key=KEY)
    assert signed.read_bytes() == before
    assert seal_of(signed).keys() == {"sha256", "hmac_sha256"}


def test_another_key_is_refused(signed: Path):
    with pytest.raises(SignatureError, match=r"another key than .* do not use the fi"):
        EarlyExitClassifier.load(signed, key=b"another key of many bytes")


def test_file_without_a_signature_is_refused_where_a_key_is_given(signed: Path):
    EarlyExitClassifier.load(signed).save(signed)
    assert seal_of(signed).keys() == {"sha256"}
    with pytest.raises(SignatureError, match=r"has no signature and a key was given"):
        EarlyExitClassifier.load(signed, key=KEY)


@pytest.mark.parametrize("name", ["format-1-votes", "format-4-words"])
def test_older_file_has_no_signature(name: str):
    with pytest.raises(SignatureError, match=r"has no signature and a key was given"):
        RAEEClassifier.load(DATA / f"{name}.skraee", key=KEY)


@pytest.mark.parametrize("entry", ["manifest", "array"])
def test_change_with_all_hashes_made_right_is_seen_by_the_signature_alone(
    signed: Path, entry: str
):
    signature = seal_of(signed)["hmac_sha256"]
    if entry == "manifest":
        parameters = archive.read(signed)[0]["parameters"]
        change_manifest(signed, parameters=parameters | {"min_exit": 2})
    else:
        change_array(signed, "ridge/coef", lambda coef: np.negative(coef, out=coef))

    def forge(members: dict[str, bytes]) -> None:
        seal = json.loads(members["seal.json"]) | {"hmac_sha256": signature}
        members["seal.json"] = json.dumps(seal).encode()

    rewrite(signed, forge)
    EarlyExitClassifier.load(signed)
    with pytest.raises(SignatureError, match="or was changed since"):
        EarlyExitClassifier.load(signed, key=KEY)


def test_array_changed_behind_its_hash_is_seen_in_a_signed_file(signed: Path):
    def change(members: dict[str, bytes]) -> None:
        content = members["ridge/coef.npy"]
        members["ridge/coef.npy"] = content[:-1] + bytes([content[-1] ^ 1])

    rewrite(signed, change)
    with pytest.raises(FileFormatError, match="does not match its SHA-256"):
        EarlyExitClassifier.load(signed, key=KEY)


def test_manifest_changed_behind_its_hash_is_refused(signed: Path):
    def change(members: dict[str, bytes]) -> None:
        text = members["manifest.json"].replace(b'"min_exit": 0', b'"min_exit": 1')
        assert text != members["manifest.json"]
        members["manifest.json"] = text

    rewrite(signed, change)
    with pytest.raises(FileFormatError, match="manifest does not match its SHA-256"):
        EarlyExitClassifier.load(signed)


@pytest.mark.parametrize("seal", [b"", b"[]", b"{}", b"3", b"\xff", b'{"sha256": 1}'])
def test_seal_that_is_none_is_damage(signed: Path, seal: bytes):
    rewrite(signed, lambda members: members.update({"seal.json": seal}))
    for key in (None, KEY):
        with pytest.raises(FileFormatError):
            EarlyExitClassifier.load(signed, key=key)


@pytest.mark.parametrize("change", ["without a seal", "of an older format"])
def test_seal_cannot_be_left_out(signed: Path, change: str):
    if change == "of an older format":
        change_manifest(signed, skraee_format=4)
    else:
        rewrite(signed, lambda members: members.pop("seal.json"))
    with pytest.raises(FileFormatError, match=r"seal\.json"):
        EarlyExitClassifier.load(signed)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (b"short", ValueError, r"at least 16 bytes, got 5; make one with secrets\.tok"),
        ("", ValueError, "at least 16 bytes, got 0"),
        (3, TypeError, "key must be bytes or a string, got int"),
        (True, TypeError, "key must be bytes or a string, got bool"),
    ],
)
def test_key_that_is_none_is_told_by_save_and_load(
    signed: Path, key: Any, error: type[Exception], message: str
):
    clf = EarlyExitClassifier.load(signed)
    before = signed.read_bytes()
    with pytest.raises(error, match=message):
        clf.save(signed, key=key)
    with pytest.raises(error, match=message):
        EarlyExitClassifier.load(signed, key=key)
    assert signed.read_bytes() == before
