"""Model files that are damaged: blindly, or on purpose with all hashes made right."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import zipfile
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from benchmarks.trust.strange_values import Json, Raw, strange_value

MANIFEST, SEAL = "manifest.json", "seal.json"

_NAMES = (
    *("__class__", "__dict__", "_fitted", "predict", "fit", "classes_", "n_layers_"),
    *("", "x", "\ud800", "a/b", "../a", "backbone", "k", "tau", "kept", "parts", "bag"),
)
_DTYPES = ("f2", ">f4", "f4", "f8", "i1", "i4", "i8", "u1", "u2", "c8", "U3", "S3", "?")
_NUMBERS = (
    np.nan,
    np.inf,
    -np.inf,
    -1,
    0,
    1,
    2,
    255,
    1e30,
    1e38,
    1e300,
    2**31,
    -(2**62),
)
_DESCRIPTIONS = (
    *("|O", "<f9", "<U500000000", "<U0", "|V9", "f4", "<M8[ns]", "<M8[xx]", ">f4"),
    *("<U1", "|S1", "(", "<f4', 'x': '", "<f99999999999999", "\0", "é"),
)
_SHAPES = (
    *("()", "(0,)", "(1,)", "(-1,)", "(10000000000,)", "(2, 1000000000000)", "(,)"),
    *(
        f"({10**30},)",
        "(0, 9999999999999)",
        "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)",
        "((",
        "x",
    ),
    *("(99999999999999999999,)", "(1_0,)", "(1e3,)", "(0x1,)", "(" * 200),
)


@dataclass
class ModelFile:
    """What a model file holds, to be changed and packed again.

    Attributes
    ----------
    manifest : dict
    arrays : dict of str to bytes
        By the names of members.
    seal : dict
    """

    manifest: Json
    arrays: dict[str, bytes]
    seal: dict[str, str]

    @classmethod
    def of(cls, content: bytes) -> Self:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            found = {name: members.read(name) for name in members.namelist()}
        manifest, seal = json.loads(found.pop(MANIFEST)), json.loads(found.pop(SEAL))
        return cls(manifest, found, seal)

    def packed(self) -> bytes:
        """Return a file whose hashes are all right; its signature is as it was."""
        sums = {
            name.removesuffix(".npy"): hashlib.sha256(content).hexdigest()
            for name, content in self.arrays.items()
        }
        if isinstance(self.manifest, dict) and isinstance(
            self.manifest.get("members"), dict
        ):
            self.manifest["members"] |= sums
        text = _dumped(self.manifest)
        seal = self.seal | {"sha256": hashlib.sha256(text).hexdigest()}
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as members:
            for name, content in self.arrays.items():
                members.writestr(_entry(name), content)
            members.writestr(_entry(MANIFEST), text)
            members.writestr(_entry(SEAL), json.dumps(seal))
        return file.getvalue()


def blindly_damaged(content: bytes, rng: random.Random) -> bytes:
    """Return a file after an accident: bytes flipped, lost, doubled or moved."""
    whole = bytearray(content)
    start = rng.randrange(len(whole))
    stop = min(len(whole), start + rng.choice((1, 4, 64, 4096)))
    part = whole[start:stop]
    kind = rng.randrange(7)
    if kind == 0:
        for _ in range(rng.randint(1, 8)):
            whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        whole[start:stop] = rng.randbytes(len(part))
    elif kind == 2:
        whole[start:stop] = bytes(len(part))
    elif kind == 3:
        del whole[start:stop]
    elif kind == 4:
        whole[start:start] = rng.randbytes(len(part))
    elif kind == 5:
        del whole[start:]
    else:
        place = rng.randrange(len(whole) - len(part) + 1)
        whole[place : place + len(part)] = part
    return bytes(whole)


def crafted(content: bytes, rng: random.Random) -> bytes:
    """Return a file that somebody changed who knows the format."""
    file = ModelFile.of(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.choice((_change_manifest, _change_manifest, _change_array))
        change(file, rng)
    return file.packed()


def _change_manifest(file: ModelFile, rng: random.Random) -> None:
    """Change one node of the tree, drawn among all."""
    places = list(_places(file.manifest))
    if not places or rng.random() < 0.003:
        file.manifest = strange_value(rng)
        return
    parent, name = rng.choice(places)
    old = parent[name]
    kind = rng.randrange(8)
    if kind == 0:
        del parent[name]
    elif kind == 1 and isinstance(parent, dict):
        parent[rng.choice(_NAMES)] = parent.pop(name)
    elif kind == 2:
        other, its_name = rng.choice(places)
        parent[name] = json.loads(json.dumps(other[its_name]))
    elif kind == 3:
        parent[name] = _nearby(old, rng)
    elif kind == 4 and isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), strange_value(rng))
    elif kind == 4:
        parent[rng.choice(_NAMES)] = strange_value(rng)
    else:
        parent[name] = strange_value(rng)


def _places(tree: Json) -> Any:
    """Yield every node below a tree as its parent and its name there."""
    if not isinstance(tree, dict | list):
        return
    names = list(tree) if isinstance(tree, dict) else range(len(tree))
    for name in names:
        yield tree, name
        if len(names) < 1_000:
            yield from _places(tree[name])


def _nearby(old: Json, rng: random.Random) -> Json:
    """Return a value of the same kind."""
    if isinstance(old, bool):
        return not old
    if isinstance(old, int | float):
        return rng.choice((old + 1, old - 1, -old, old * 2, old * 10**6, [old]))
    if isinstance(old, str):
        place = rng.randrange(len(old) + 1)
        return old[:place] + rng.choice(("", "x", "{", "\0", "9")) + old[place + 1 :]
    if isinstance(old, list):
        return rng.choice((old + old, old[1:], old[::-1], [old], {"tuple": old}))
    return [old] if old is not None else 0


def _change_array(file: ModelFile, rng: random.Random) -> None:
    name = rng.choice(list(file.arrays) or ["x.npy"])
    content = file.arrays.get(name, b"")
    kind = rng.randrange(8)
    if kind == 0:
        file.arrays.pop(name, None)
        if rng.random() < 0.7 and isinstance(file.manifest, dict):
            members = file.manifest.get("members")
            if isinstance(members, dict):
                members.pop(name.removesuffix(".npy"), None)
    elif kind == 1:
        file.arrays[rng.choice(_NAMES) + ".npy"] = content
    elif kind == 2:
        file.arrays[name] = rng.choice(list(file.arrays.values()))
    elif kind == 3:
        file.arrays[name] = _with_other_header(content, rng)
    elif kind == 4:
        file.arrays[name] = blindly_damaged(content, rng) if content else b""
    elif kind == 5 and rng.random() < 0.1:
        file.arrays[name] = pickle.dumps(np.zeros(3))
    else:
        file.arrays[name] = _with_other_numbers(content, rng)


def _with_other_header(content: bytes, rng: random.Random) -> bytes:
    """Let a header say something else of the same bytes."""
    length = int.from_bytes(content[8:10], "little")
    header, rest = content[10 : 10 + length].decode("latin-1"), content[10 + length :]
    shape = header[header.find("(") : header.find(")") + 1]
    dtype = header[11 : header.find("'", 11)]
    if rng.random() < 0.5 and shape:
        header = header.replace(shape, rng.choice(_SHAPES))
    else:
        header = header.replace(dtype, rng.choice(_DESCRIPTIONS))
    if rng.random() < 0.1:
        header = "(" * rng.choice((100, 50_000))
    text = header.encode("utf-8")
    version = rng.choice(
        (b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00")
    )
    n_bytes = 2 if version == b"\x01\x00" else 4
    told = (len(text) % 2 ** (8 * n_bytes)).to_bytes(n_bytes, "little")
    return b"".join((content[:6], version, told, text, rest))


def _with_other_numbers(content: bytes, rng: random.Random) -> bytes:
    """Change the numbers, the dtype or the shape of an array, and save it anew."""
    file = io.BytesIO()
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
        np.save(file, _other_numbers(array, rng), allow_pickle=False)
    except Exception:  # no array any more, or nothing that could become one
        return content
    return file.getvalue()


def _other_numbers(array: Any, rng: random.Random) -> Any:
    kind = rng.randrange(6)
    with np.errstate(all="ignore"):
        if kind == 0:
            array = array.astype(rng.choice(_DTYPES))
        elif kind == 1:
            array = rng.choice(
                (array[:-1], array[:0], array[None], array.T, array[::-1])
            )
        elif kind == 2:
            array = np.concatenate([array, array]) if array.ndim else array
        elif kind == 3:
            array = array.reshape(-1)
        elif array.size and array.dtype.kind in "fiu":
            number = np.array(rng.choice(_NUMBERS)).astype(array.dtype)
            where = ... if rng.random() < 0.3 else rng.randrange(array.size)
            array = array.copy()
            array.reshape(-1)[where] = number
    return array


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name.encode("utf-8", "replace").decode())


def _dumped(manifest: Json) -> bytes:
    """Return JSON in which raw pieces stand as they are."""
    raw: list[str] = []

    def marked(value: Json) -> Json:
        if isinstance(value, Raw):
            raw.append(str(value))
            return f"<raw {len(raw) - 1}>"
        if isinstance(value, dict):
            return {key: marked(item) for key, item in value.items()}
        if isinstance(value, list) and len(value) < 10_000:
            return [marked(item) for item in value]
        return value

    text = json.dumps(marked(manifest))
    for i, piece in enumerate(raw):
        text = text.replace(f'"<raw {i}>"', piece)
    return text.encode()
