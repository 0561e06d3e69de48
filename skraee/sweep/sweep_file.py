"""Files of sweeps: the ``.npz`` of numpy, read with suspicion."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from skraee.exceptions import FileFormatError
from skraee.files.damage import refuse_special, telling_damage
from skraee.files.members import Members, put_array
from skraee.files.replacing import replacing
from skraee.text.token_bags import N_BUCKETS, TokenBags

Array = npt.NDArray[Any]

_NEEDED = ("keys", "logits", "token_ids")
_OF_BAGS = ("buckets", "bag_ends")
_NAMES = {*_NEEDED, "states", *_OF_BAGS}
# What `numpy.savez` before numpy 2.1 made of being told to pickle nothing.
_UNREAD = "allow_pickle.npy"
_WRITER, _AGAIN = "LayerSweep.save", "sweep the texts again"


def write_sweep(path: str | os.PathLike[str], parts: Mapping[str, Any]) -> None:
    """Write a sweep's file as a whole or not at all.

    Parameters
    ----------
    path : str or Path
    parts : mapping of str to object
        The attributes of a `LayerSweep`; those that are None are left out.
    """
    arrays = {name: part for name, part in parts.items() if part is not None}
    arrays["token_ids"] = np.asarray(parts["token_ids"], dtype=np.int64)
    if (bags := arrays.pop("bags", None)) is not None:
        arrays["buckets"], arrays["bag_ends"] = bags.buckets, bags.ends
    with (
        replacing(path, streams=False) as beside,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name, array in arrays.items():
            put_array(archive, f"{name}.npy", np.asarray(array))


@contextmanager
def reading_sweep(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Read the attributes of a `LayerSweep`; nothing is unpickled.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    dict of str to object
        What is said against them inside the block is told as damage of the file.

    Raises
    ------
    OSError
        If there is no such file.
    FileFormatError
        If it is no file of a sweep, or damaged.
    """
    refuse_special(path, _WRITER)
    with open(path, "rb") as file, telling_damage(path, _AGAIN):
        members = Members(file)
        found = set(members.names)
        if missing := [name for name in _NEEDED if f"{name}.npy" not in found]:
            raise FileFormatError(
                f"{os.fspath(path)!r} is no file that {_WRITER} wrote, for it holds no "
                f"{', '.join(missing)}; name the file that {_WRITER} wrote."
            )
        if strange := sorted(found - {f"{name}.npy" for name in _NAMES} - {_UNREAD}):
            raise ValueError(f"member {strange[0]!r} belongs to no sweep")
        members.check_sizes()
        arrays = {
            name: members.array(f"{name}.npy")
            for name in sorted(_NAMES)
            if f"{name}.npy" in found
        }
        _check_numbers(arrays)
        yield {
            "keys": arrays["keys"],
            "logits": arrays["logits"],
            "states": arrays.get("states"),
            "token_ids": _tokens(arrays),
            "bags": _bags(arrays),
        }


def _check_numbers(arrays: Mapping[str, Array]) -> None:
    """Refuse what is no float; states may be the bits of bfloat16."""
    for name in ("keys", "logits", "states"):
        array = arrays.get(name)
        if array is None or array.dtype.kind == "f":
            continue
        if name != "states" or array.dtype != np.uint16:
            raise ValueError(f"{name} are of dtype {array.dtype}")


def _tokens(arrays: Mapping[str, Array]) -> tuple[int, ...]:
    ids = arrays["token_ids"]
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or (ids < 0).any():
        raise ValueError("token_ids are no numbers of tokens")
    return tuple(ids.tolist())


def _bags(arrays: Mapping[str, Array]) -> TokenBags | None:
    if not any(name in arrays for name in _OF_BAGS):
        return None
    buckets, ends = (arrays[name] for name in _OF_BAGS)
    if buckets.dtype != np.uint16 or ends.dtype != np.int64:
        raise ValueError(f"bags are of dtype {buckets.dtype} and {ends.dtype}")
    if buckets.ndim != 1 or ends.ndim != 1 or buckets.max(initial=0) >= N_BUCKETS:
        raise ValueError("bags hold what is no bucket")
    starts = np.append(0, ends)
    if (starts[1:] < starts[:-1]).any() or starts[-1] != len(buckets):
        raise ValueError("bags end where there is nothing")
    wide = buckets.astype(np.int64)
    rows = np.repeat(np.arange(len(ends)), np.diff(starts))
    if (np.diff(rows * N_BUCKETS + wide) <= 0).any():
        raise ValueError("a bag is not ascending")
    return TokenBags(buckets, ends)
