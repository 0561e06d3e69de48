"""Model files that are changed: behind their checksums, or with them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skraee.persistence import archive
from skraee.persistence.seal import sealed


def rewrite(path: Path, change: Callable[[dict[str, bytes]], Any], **options: Any):
    """Change the members of a ZIP, with a checksum of ZIP's own that is right."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", **options) as new:
        for name, content in members.items():
            new.writestr(name, content)


def change_manifest(path: Path, **entries: Any) -> None:
    """Change entries of a manifest, and make its hash right again."""

    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["manifest.json"]) | entries
        members["manifest.json"] = json.dumps(manifest).encode()
        members["seal.json"] = sealed(members["manifest.json"], None).encode()

    rewrite(path, change)


def change_array(path: Path, name: str, change: Callable[[np.ndarray], None]) -> None:
    """Write a file anew, whole, with an array that was changed in place."""
    manifest, arrays = archive.read(path)
    arrays[name] = arrays[name].copy()
    change(arrays[name])
    archive.write(path, manifest, arrays)


def members_of(content: bytes) -> dict[str, bytes]:
    """Return the members of a ZIP by their names."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
