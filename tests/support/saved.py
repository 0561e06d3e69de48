"""Saved classifiers of each kind, and what somebody changes in their files."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from skraee import RAEEClassifier, RAEEClassifierCV, toy
from skraee.persistence.seal import sealed
from tests.support.classifiers import early_exit, raee, raee_cv
from tests.support.files import rewrite

X, Y = toy.reviews(60)
MADE: dict[str, Callable[[], Any]] = {
    "words": lambda: raee(calibrate=True).fit(X, Y),
    "depth": lambda: raee(encoder=1, database="correct", index="exact").fit(X, Y),
    "ridge": lambda: raee(readout="ridge", budget=0.5).fit(X, Y),
    "search": lambda: raee_cv(ks=(2, 4)).fit(X, Y),
    "confidence": lambda: early_exit(budget=0.5).fit(X, Y),
    "objects": lambda: early_exit(budget=0.5).fit(X, Y.astype(object)),
}
CLASSES = {"search": RAEEClassifierCV, "words": RAEEClassifier, "depth": RAEEClassifier}
CLASSES |= {"ridge": RAEEClassifier}


@cache
def content_of(kind: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "model")
        MADE[kind]().save(path)
        return path.read_bytes()


def change(path: Path, edit: Callable[[Any], Any], **arrays: bytes | None) -> None:
    """Edit a manifest, put members in the place of others, make all hashes right."""

    def in_members(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["manifest.json"])
        for name, content in arrays.items():
            if content is None:
                del members[f"{name}.npy"], manifest["members"][name]
            else:
                members[f"{name}.npy"] = content
                manifest["members"][name] = hashlib.sha256(content).hexdigest()
        manifest = edit(manifest) or manifest
        members["manifest.json"] = json.dumps(manifest).encode()
        members["seal.json"] = sealed(members["manifest.json"], None).encode()

    rewrite(path, in_members)


def at(place: str, value: Any) -> Callable[[Any], None]:
    """Return an edit that puts a value at a place such as "sweep.encoder"."""

    def edit(manifest: Any) -> None:
        *parents, last = place.split(".")
        for name in parents:
            manifest = manifest[name]
        if value is ...:
            del manifest[last]
        else:
            manifest[last] = value

    return edit


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
