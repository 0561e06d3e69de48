"""What stands beside a manifest: its hash and, if wanted, a signature.

The manifest holds the hashes of all arrays, so what vouches for it vouches for the
whole file. A hash tells damage. Whoever can change a file can make its hashes right
again; a signature can be made only by who has the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import Any

from skraee.exceptions import SignatureError

_SHORTEST_KEY = 16
_NEW_KEY = "secrets.token_bytes(32)"


def checked_key(key: Any) -> bytes | None:
    """Return a key as bytes.

    Parameters
    ----------
    key : bytes, str or None

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If it is so short that it could be guessed.
    """
    if key is None:
        return None
    if not isinstance(key, bytes | bytearray | str):
        raise TypeError(
            f"key must be bytes or a string, got {type(key).__name__}; make one with "
            f"{_NEW_KEY}."
        )
    found = key.encode() if isinstance(key, str) else bytes(key)
    if len(found) < _SHORTEST_KEY:
        raise ValueError(
            f"key must have at least {_SHORTEST_KEY} bytes, got {len(found)}; make one "
            f"with {_NEW_KEY}."
        )
    return found


def sealed(manifest: bytes, key: bytes | None) -> str:
    """Return the seal of a manifest, as JSON.

    Parameters
    ----------
    manifest : bytes
        As it stands in the file.
    key : bytes or None
        Signs it (HMAC-SHA-256).
    """
    seal = {"sha256": hashlib.sha256(manifest).hexdigest()}
    if key is not None:
        seal["hmac_sha256"] = _signature(manifest, key)
    return json.dumps(seal, indent=1)


def check_seal(manifest: bytes, seal: bytes) -> None:
    """Refuse a manifest that is not the one that was sealed.

    Raises
    ------
    ValueError
        If its hash is another.
    """
    if _entries(seal).get("sha256") != hashlib.sha256(manifest).hexdigest():
        raise ValueError("the manifest does not match its SHA-256")


def check_signature(
    manifest: bytes, seal: bytes | None, key: bytes, path: str | os.PathLike[str]
) -> None:
    """Refuse a manifest that was not signed with this key.

    Parameters
    ----------
    manifest : bytes
    seal : bytes or None
        What the file has beside it.
    key : bytes
    path : str or Path
        The file, for the message.

    Raises
    ------
    SignatureError
        If it was signed with another key, not signed, or changed since.
    """
    found = None if seal is None else _entries(seal).get("hmac_sha256")
    if not isinstance(found, str):
        raise SignatureError(
            f"{os.fspath(path)!r} has no signature and a key was given to load; take "
            "the file that save(path, key=...) wrote, or leave key out if you trust "
            "this one."
        )
    expected = _signature(manifest, key)
    if not hmac.compare_digest(found.encode(errors="replace"), expected.encode()):
        raise SignatureError(
            f"{os.fspath(path)!r} was signed with another key than the one given to "
            "load, or was changed since; give the key of save(path, key=...), and do "
            "not use the file if that is the one."
        )


def _signature(manifest: bytes, key: bytes) -> str:
    return hmac.new(key, manifest, hashlib.sha256).hexdigest()


def _entries(seal: bytes) -> dict[str, Any]:
    found = json.loads(seal)
    if not isinstance(found, dict):
        raise ValueError("the seal is no JSON object")
    return found
