"""Model files that are changed behind their checksums."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def rewrite(path: Path, change: Callable[[dict[str, bytes]], Any], **options: Any):
    """Change the members of a ZIP, with a checksum of ZIP's own that is right."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", **options) as new:
        for name, content in members.items():
            new.writestr(name, content)


def change_manifest(path: Path, **entries: Any) -> None:
    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["manifest.json"]) | entries
        members["manifest.json"] = json.dumps(manifest).encode()

    rewrite(path, change)
