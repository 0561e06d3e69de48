"""Files of sweeps are whole or not there, and replace nothing but files."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from skraee import LayerSweep
from skraee.exceptions import FileFormatError
from skraee.text.token_bags import TokenBags


@pytest.fixture
def sweep() -> LayerSweep:
    return LayerSweep(np.ones((3, 2), "f4"), np.zeros((3, 5, 2), "f4"), (4, 7))


def test_file_is_kept_as_it_was_where_the_next_cannot_be_written(
    sweep: LayerSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sweep.npz"
    sweep.save(path)

    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="no space left"):
        sweep.save(path)
    assert LayerSweep.load(path).token_ids == (4, 7)
    assert os.listdir(tmp_path) == ["sweep.npz"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_is_refused_and_stays(sweep: LayerSweep, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a named pipe, which a file must not replace"):
        sweep.save(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def whole() -> LayerSweep:
    bags = TokenBags(np.array([3, 9, 4], "u2"), np.array([2, 2, 3]))
    rng = np.random.default_rng(0)
    return LayerSweep(
        rng.random((3, 2), "f4"),
        rng.random((3, 5, 2), "f4"),
        (4, 7),
        rng.random((3, 5, 2, 6), "f4").astype("f2"),
        bags,
    )


def test_what_was_saved_is_what_is_loaded(tmp_path: Path) -> None:
    sweep = whole()
    sweep.save(tmp_path / "sweep.npz")
    loaded = LayerSweep.load(tmp_path / "sweep.npz")
    assert loaded.token_ids == sweep.token_ids
    assert loaded.bags is not None
    assert loaded.bags.buckets.tolist() == [3, 9, 4]
    for name in ("keys", "logits", "states"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(sweep, name))
        assert getattr(loaded, name).dtype == getattr(sweep, name).dtype


def test_wider_numbers_come_back_as_they_are(tmp_path: Path) -> None:
    sweep = LayerSweep(np.ones((3, 2)), np.zeros((3, 5, 2)), (4, 7))
    sweep.save(tmp_path / "sweep.npz")
    loaded = LayerSweep.load(tmp_path / "sweep.npz")
    np.testing.assert_array_equal(loaded.keys, sweep.keys)
    assert loaded.logits.dtype == np.float64


def test_file_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    # numpy.savez before numpy 2.1 took allow_pickle=False for an array of that name.
    whole().save(tmp_path / "sweep.npz")
    with (
        zipfile.ZipFile(tmp_path / "sweep.npz", "a") as archive,
        archive.open("allow_pickle.npy", "w") as member,
    ):
        np.lib.format.write_array(member, np.array(False))
    assert LayerSweep.load(tmp_path / "sweep.npz").token_ids == (4, 7)


# What is put in the place of an array, or None to leave it out.
CRAFTED = {
    "no keys": {"keys": None},
    "no logits": {"logits": None},
    "no tokens": {"token_ids": None},
    "an array more": {"more": np.zeros(3)},
    "fewer keys": {"keys": np.zeros((2, 2), "f4")},
    "flat keys": {"keys": np.zeros(3, "f4")},
    "keys that are words": {"keys": np.array([["a", "b"]] * 3)},
    "fewer words than logits": {"token_ids": np.array([4])},
    "a token twice": {"token_ids": np.array([4, 4])},
    "keys that are bits": {"keys": np.zeros((3, 2), "u2")},
    "logits that are counts": {"logits": np.zeros((3, 5, 2), "i8")},
    "tokens below 0": {"token_ids": np.array([4, -1])},
    "tokens that are shares": {"token_ids": np.array([0.5, 1])},
    "tokens in rows": {"token_ids": np.array([[4, 7]])},
    "states of other depths": {"states": np.zeros((3, 4, 2, 6), "f2")},
    "states that are dates": {"states": np.zeros((3, 5, 2, 6), "M8[s]")},
    "ends alone": {"buckets": None},
    "buckets alone": {"bag_ends": None},
    "bags of fewer texts": {"bag_ends": np.array([2, 3])},
    "bags beyond the end": {"bag_ends": np.array([2, 2, 4])},
    "bags that go back": {"bag_ends": np.array([2, 1, 3])},
    "bags from below 0": {"bag_ends": np.array([-1, 2, 3])},
    "bags with ends of another kind": {"bag_ends": np.array([2.0, 2, 3])},
    "bags that do not ascend": {"buckets": np.array([9, 3, 4], "u2")},
    "a bucket twice in a bag": {"buckets": np.array([3, 3, 4], "u2")},
    "buckets beyond the last": {"buckets": np.array([3, 2**15, 4], "u2")},
    "buckets of another kind": {"buckets": np.array([3, 9, 4])},
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_file_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    whole().save(tmp_path / "sweep.npz")
    with np.load(tmp_path / "sweep.npz") as arrays:
        parts = {**arrays, **CRAFTED[name]}
    kept = {key: part for key, part in parts.items() if part is not None}
    np.savez(tmp_path / "crafted.npz", **kept)
    with pytest.raises(FileFormatError, match=r"'.*crafted\.npz' is (damaged|no file)"):
        LayerSweep.load(tmp_path / "crafted.npz")


def test_array_that_claims_to_be_huge_takes_no_room(tmp_path: Path) -> None:
    whole().save(tmp_path / "sweep.npz")
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 2)}
    np.lib.format.write_array_header_1_0(header, claim)
    with (
        zipfile.ZipFile(tmp_path / "sweep.npz") as old,
        zipfile.ZipFile(tmp_path / "huge.npz", "w") as new,
    ):
        for member in old.namelist():
            is_key = member == "keys.npy"
            new.writestr(member, header.getvalue() if is_key else old.read(member))
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="damaged"):
            LayerSweep.load(tmp_path / "huge.npz")
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("at", range(0, 1500, 37))
def test_file_with_a_byte_changed_is_refused_or_the_same(
    at: int, tmp_path: Path
) -> None:
    whole().save(tmp_path / "sweep.npz")
    raw = bytearray((tmp_path / "sweep.npz").read_bytes())
    raw[at % len(raw)] ^= 0x55
    (tmp_path / "other.npz").write_bytes(raw)
    try:
        loaded = LayerSweep.load(tmp_path / "other.npz")
    except FileFormatError:
        return
    np.testing.assert_array_equal(loaded.logits, whole().logits)
    np.testing.assert_array_equal(loaded.keys, whole().keys)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match="no regular file"):
        LayerSweep.load(tmp_path / "pipe")


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", keys=np.array([{}], dtype=object))
    with pytest.raises(FileFormatError):
        LayerSweep.load(tmp_path / "objects.npz")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"keys": np.zeros((2, 2))}, r"logits of a sweep .* got \(3, 5, 2\) where"),
        ({"token_ids": (4,)}, "W is 1"),
        ({"token_ids": (4, 4)}, "name each token once"),
        ({"states": np.zeros((3, 5, 6))}, r"states of a sweep has the shape \(n, D, P"),
        (
            {"bags": TokenBags(np.zeros(0, "u2"), np.zeros(1, int))},
            "has 1 bags",
        ),
    ],
)
def test_sweep_of_parts_that_do_not_fit_is_refused(parts: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LayerSweep(**{**vars(whole()), **parts})


def test_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    whole().save(tmp_path / "sweep.npz")
    with zipfile.ZipFile(tmp_path / "sweep.npz", "a") as file:
        file.writestr("keys", b"beside keys.npy")
    with pytest.raises(FileFormatError, match="member 'keys' belongs to no sweep"):
        LayerSweep.load(tmp_path / "sweep.npz")


def test_file_that_unpacks_to_more_than_its_size_is_refused(tmp_path: Path) -> None:
    parts = {"keys": np.zeros((3, 2), "f4"), "logits": np.zeros((3, 5, 2), "f4")}
    states = np.zeros((3, 5, 2, 60_000), "f2")
    np.savez_compressed(
        tmp_path / "small.npz", token_ids=np.array([4, 7]), states=states, **parts
    )
    with pytest.raises(FileFormatError, match=r"member '.*' is compressed"):
        LayerSweep.load(tmp_path / "small.npz")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    whole().save(tmp_path / "sweep.npz")
    with (
        zipfile.ZipFile(tmp_path / "sweep.npz", "a") as file,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        file.writestr("keys.npy", file.read("keys.npy"))
    with pytest.raises(FileFormatError, match="two members have one name"):
        LayerSweep.load(tmp_path / "sweep.npz")
