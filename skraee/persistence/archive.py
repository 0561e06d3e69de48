"""One file of JSON and arrays: checked, replaced as a whole, and free of code.

A ZIP holds ``.npy`` members, ``manifest.json`` with their SHA-256, and ``seal.json``
with that of the manifest. It is stored, not deflated: float32 numbers hardly shrink,
reading goes at the disk's speed, a file that unpacks to its own size can be no bomb,
and arrays can be used where they lie: each begins at a multiple of 64 bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy.typing as npt

from skraee.exceptions import FileFormatError
from skraee.files.damage import refuse_special, telling_damage
from skraee.files.members import Members, put_array
from skraee.files.replacing import replacing
from skraee.persistence.seal import check_seal, check_signature, sealed
from skraee.versions import installed

#: Number of the format that `write` writes, and the newest that `read` reads.
FORMAT = 5

#: The first whose manifest is hashed.
_FIRST_SEALED = 5

Arrays = dict[str, npt.NDArray[Any]]
Manifest = dict[str, Any]

_MANIFEST = "manifest.json"
_SEAL = "seal.json"
_WRITER = "an estimator's save"
#: What to do about a damaged file.
AGAIN = "save the fitted estimator again"
_ZIP = b"PK\x03\x04"


def write(
    path: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    arrays: Arrays,
    key: bytes | None = None,
) -> None:
    """Write a file beside the target, check it, and put it in the target's place.

    Parameters
    ----------
    path : str or Path
        A file that is there is replaced, or kept as it is if anything fails; nothing
        else is replaced.
    manifest : mapping
        Plain JSON values.
    arrays : dict of str to ndarray
        Of any dtype but object.
    key : bytes, optional
        Signs the file.

    Raises
    ------
    OSError
        If there is no such folder, no room in it, or something that is no file.
    FileFormatError
        If what was written cannot be read back.
    """
    with replacing(path, streams=False) as temporary:
        written = _write_new(temporary, manifest, arrays, key)
        with open(temporary, "rb") as file, telling_damage(temporary, AGAIN):
            Members(file).check(written)
    _sync_folder(temporary.parent)


def read(
    path: str | os.PathLike[str],
    key: bytes | None = None,
    mapped: Collection[str] = (),
) -> tuple[dict[str, Any], Arrays]:
    """Read what `write` wrote; nothing in it is unpickled or run.

    Parameters
    ----------
    path : str or Path
    key : bytes, optional
        With which it must be signed.
    mapped : collection of str, optional
        Arrays that stay in the file. They are held to their hashes as all others.

    Returns
    -------
    manifest : dict
    arrays : dict of str to ndarray

    Raises
    ------
    OSError
        If there is no such file.
    FileFormatError
        If it is none of ours, damaged, not signed with the key, or of a newer format.
    """
    refuse_special(path, _WRITER)
    with open(path, "rb") as file, telling_damage(path, AGAIN):
        if file.read(len(_ZIP)) != _ZIP:
            raise FileFormatError(
                f"{os.fspath(path)!r} is no file that an estimator's save wrote; what "
                "joblib.dump wrote is read by joblib.load."
            )
        members = Members(file)
        manifest = _manifest(members, path, key)
        sums = _sums(manifest, members)
        return manifest, {
            name: members.array(_member(name), found, mapped=name in mapped)
            for name, found in sums.items()
        }


def _write_new(
    path: Path, manifest: Mapping[str, Any], arrays: Arrays, key: bytes | None
) -> dict[str, str]:
    """Write the file, down to the disk; return the SHA-256 of its members."""
    with open(path, "wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            sums = {
                name: put_array(archive, _member(name), arrays[name]) for name in arrays
            }
            first = {"skraee_format": FORMAT}
            whole = first | {**manifest, **first, "members": sums}
            text = json.dumps(whole, indent=1).encode()
            archive.writestr(zipfile.ZipInfo(_MANIFEST), text)
            archive.writestr(zipfile.ZipInfo(_SEAL), sealed(text, key))
        file.flush()
        os.fsync(file.fileno())
    return {
        **{_member(name): found for name, found in sums.items()},
        _MANIFEST: hashlib.sha256(text).hexdigest(),
    }


def _manifest(
    members: Members, path: str | os.PathLike[str], key: bytes | None
) -> Manifest:
    """Return the manifest, after its format, its seal and its signature were seen."""
    if _MANIFEST not in members.names:
        raise FileFormatError(
            f"{os.fspath(path)!r} is a ZIP but no file that an estimator's save wrote, "
            f"for it holds no {_MANIFEST}; name the file that save wrote."
        )
    text = members.read(_MANIFEST)
    seal = members.read(_SEAL) if _SEAL in members.names else None
    if key is not None:
        check_signature(text, seal, key, path)
    manifest: Any = json.loads(text)
    if not isinstance(manifest, dict):
        raise ValueError(f"{_MANIFEST} is no JSON object")
    found = manifest["skraee_format"]
    if type(found) is not int or found < 1:
        raise ValueError(f"{found!r} is no number of a format")
    if found > FORMAT:
        writer = manifest.get("versions", {})["skraee"]
        raise FileFormatError(
            f"{os.fspath(path)!r} has format {found}, written by skraee {writer}, and "
            f"skraee {_version()} reads formats up to {FORMAT}; update it: "
            "pip install --upgrade skraee."
        )
    if found >= _FIRST_SEALED:
        check_seal(text, members.read(_SEAL))
    return manifest


def _sums(manifest: Manifest, members: Members) -> dict[str, str]:
    """Return the hashes of all arrays, by their names, and see that there is room."""
    sums: dict[str, str] = manifest["members"]
    expected = {_MANIFEST, *map(_member, sums)}
    if manifest["skraee_format"] >= _FIRST_SEALED:
        expected.add(_SEAL)
    if missing := sorted(expected.difference(members.names)):
        raise ValueError(f"member {missing[0]!r} is missing")
    if strange := sorted(set(members.names) - expected):
        raise ValueError(f"member {strange[0]!r} stands in no manifest")
    members.check_sizes()
    return sums


def _member(name: str) -> str:
    return f"{name}.npy"


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _version() -> str:
    return installed(("skraee",))["skraee"]
