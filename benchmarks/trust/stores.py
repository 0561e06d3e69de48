"""Damage to a folder of sweeps, before it is used and while it is."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trust.releases import PRETENDED, as_release
from benchmarks.trust.trial import Count, Trial
from skraee import EarlyExitClassifier, RAEEClassifier, clear_sweeps, toy
from skraee.exceptions import StoreWarning
from skraee.sweep.folder_store import FolderStore

ERRORS = "errors"
WRONG = "other answers than without a store"
NAMELESS = "warnings without the folder's name"
REPEATED = "calls with more than one warning"
WARNED = "calls that warned"
DEATHS = "processes that died"
FITS = "right fits"
TOLD = "calls of partial_fit that said what the store has lost"

X, Y = toy.reviews(40)
X_NEW, _ = toy.reviews(20, seed=1)
_FIRST = 24  # texts of the first partial_fit

Damage = Callable[[random.Random, Path], None]


def _damaged_bytes(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 10, 200))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)


def _damaged_head(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 4))):
        data[rng.randrange(min(len(data), 200))] = rng.randrange(256)
    path.write_bytes(data)


def _lost_page(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    page = 4096 * rng.randrange(max(1, len(data) // 4096))
    filling = rng.choice((b"\0", b"\xff"))
    data[page : page + 4096] = filling * len(data[page : page + 4096])
    path.write_bytes(data)


def _swapped_pages(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    pages = [4096 * rng.randrange(max(1, len(data) // 4096)) for _ in range(2)]
    first, second = (bytes(data[page : page + 4096]) for page in pages)
    data[pages[0] : pages[0] + 4096], data[pages[1] : pages[1] + 4096] = second, first
    path.write_bytes(data)


def _cut(rng: random.Random, path: Path) -> None:
    os.truncate(path, rng.randrange(path.stat().st_size))


def _emptied(rng: random.Random, path: Path) -> None:
    os.truncate(path, 0)


def _replaced(rng: random.Random, path: Path) -> None:
    path.write_bytes(rng.randbytes(rng.choice((1, 100, 10_000))))


def _removed(rng: random.Random, path: Path) -> None:
    path.unlink()


def _a_folder(rng: random.Random, path: Path) -> None:
    path.unlink()
    path.mkdir()


def _beside(rng: random.Random, path: Path) -> None:
    suffix = rng.choice(("-wal", "-shm", "-journal"))
    beside = path.with_name(path.name + suffix)
    if rng.random() < 0.2:
        beside.mkdir()
    else:
        beside.write_bytes(rng.randbytes(rng.choice((0, 31, 5_000, 40_000))))


def _mixed_up(rng: random.Random, path: Path) -> None:
    """Give texts each other's records, by SQL as an odd program would."""
    change = rng.choice(
        (
            "UPDATE records SET value = (SELECT value FROM records"
            " ORDER BY rowid DESC LIMIT 1)",
            "UPDATE records SET value = substr(value, 1, length(value) - 1)",
            "UPDATE records SET value = 7",
            "UPDATE records SET value = NULL",
            "DROP TABLE records",
            "PRAGMA user_version = 77",
        )
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)


EVERY_DAMAGE: tuple[Damage, ...] = (
    *(_damaged_bytes, _damaged_head, _lost_page, _swapped_pages, _cut, _emptied),
    *(_replaced, _removed, _a_folder, _beside, _mixed_up),
)


def _makers(memory: Any) -> list[Any]:
    raee = {"k": 5, "label_words": toy.LABEL_WORDS, "memory": memory}
    backbone, template = toy.backbone(), toy.TEMPLATES["masked"]
    return [
        EarlyExitClassifier(backbone, budget=0.5, memory=memory),
        RAEEClassifier(backbone, template, **raee),
        RAEEClassifier(backbone, template, readout="ridge", **raee),
    ]


def damage_stores(tries: int, seed: int) -> dict[str, Count]:
    """Damage a folder, use it with each operation in turn, compare the answers."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter(
        dict.fromkeys((ERRORS, WRONG, NAMELESS, REPEATED, WARNED, TOLD), 0)
    )
    began = time.monotonic()
    expected = [_expected(clf) for clf in _makers(None)]
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "kept")
        for clf in _makers(kept):
            clf.fit(X, Y)
        for n in range(tries):
            used = Path(folder, f"used-{n}")
            shutil.copytree(kept, used)
            which = n % 3
            _try(rng, _makers(used)[which], expected[which], used, counts)
            shutil.rmtree(used)
    return {**counts, "seconds": round(time.monotonic() - began)}


def _expected(clf: Any) -> dict[str, Any]:
    clf.fit(X, Y)
    return _answers(clf)


def _try(
    rng: random.Random, clf: Any, expected: dict[str, Any], folder: Path, counts: Any
) -> None:
    """Use a damaged folder: one call, and one more on what the first has left."""
    damage, operation = rng.choice(EVERY_DAMAGE), rng.choice(_OPERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if operation not in (_fit, _clear):
            first = _FIRST if operation is _partial_fit else len(X)
            clf.partial_fit(X[:first], Y[:first], classes=sorted(set(Y)))
        damage(rng, FolderStore(folder).path)
    for call in (operation, _fit):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                call(clf)
            except _Lost:
                counts[TOLD] += 1
            except Exception as error:
                counts[ERRORS] += 1
                sys.stderr.write(f"{damage.__name__}, {call.__name__}: {error!r}\n")
        said = [w for w in caught if issubclass(w.category, StoreWarning)]
        counts[WARNED] += bool(said)
        counts[REPEATED] += len(said) > 1
        counts[NAMELESS] += any(str(folder) not in str(w.message) for w in said)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counts[WRONG] += call is not _clear and not _is_right(clf, expected)


class _Lost(Exception):
    """partial_fit has said that what it needs is not in the store."""


def _is_right(clf: Any, expected: dict[str, Any]) -> bool:
    found = _answers(clf)
    if clf.n_samples_fit_ < len(X):  # partial_fit could not go on
        return True
    return all(np.allclose(found[name], expected[name], atol=1e-5) for name in found)


def _answers(clf: Any) -> dict[str, Any]:
    return {"proba": clf.predict_proba(X_NEW), "layers": clf.layer_proba(X)}


def _fit(clf: Any) -> None:
    clf.fit(X, Y)


def _predict(clf: Any) -> None:
    clf.predict_proba(X)


def _layers(clf: Any) -> None:
    clf.layer_proba(X)


def _clear(clf: Any) -> None:
    clear_sweeps(clf.memory)


def _partial_fit(clf: Any) -> None:
    before = clf._fitted
    try:
        clf.partial_fit(X[_FIRST:], Y[_FIRST:])
    except ValueError as error:
        if "not in the memory any more" not in str(error) or clf._fitted is not before:
            raise
        raise _Lost from error


_OPERATIONS = (_fit, _predict, _layers, _clear, _partial_fit)


# Fits without end; a line says how each one went.
_FITS = """
import sys, warnings
import numpy as np
from skraee import EarlyExitClassifier, toy
from benchmarks.trust.stores import X, Y, X_NEW
warnings.simplefilter("ignore")
expected = np.load(sys.argv[2])
while True:
    clf = EarlyExitClassifier(toy.backbone(), budget=0.5, memory=sys.argv[1])
    try:
        found = clf.fit(X, Y).predict_proba(X_NEW)
        said = "right" if np.allclose(found, expected, atol=1e-5) else "other"
    except Exception as error:
        said = f"error {error!r}"
    print(said, flush=True)
"""


def damage_while_two_fit(tries: int, seed: int) -> dict[str, Count]:
    """Damage a folder at random moments while two processes fit with it."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter({ERRORS: 0, WRONG: 0, DEATHS: 0, FITS: 0})
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        kept, expected = Path(folder, "kept"), Path(folder, "expected.npy")
        clf = EarlyExitClassifier(toy.backbone(), budget=0.5, memory=kept)
        np.save(expected, clf.fit(X, Y).predict_proba(X_NEW))
        command = [sys.executable, "-c", _FITS, str(kept), str(expected)]
        fitting = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for process in fitting:
            _heard(process, counts)
        for _ in range(tries):
            damage = rng.choice(_LIVE_DAMAGE)
            with contextlib.suppress(OSError, ValueError, sqlite3.Error):
                damage(rng, FolderStore(kept).path)
            for process in fitting:
                _heard(process, counts)
            time.sleep(rng.uniform(0.0, 0.05))
        for process in fitting:
            process.kill()
            process.communicate()
    return {**counts, "seconds": round(time.monotonic() - began)}


def _heard(process: Any, counts: Counter[str]) -> None:
    said = process.stdout.readline().strip()
    counts[FITS] += said == "right"
    counts[WRONG] += said == "other"
    counts[ERRORS] += said.startswith("error")
    counts[DEATHS] += not said
    if said not in ("right", "other"):
        sys.stderr.write(f"{said or process.wait()}\n")


def _beside_in_use(rng: random.Random, path: Path) -> None:
    """Damage what SQLite keeps beside a database that is in use."""
    beside = path.with_name(path.name + rng.choice(("-wal", "-shm")))
    if rng.random() < 0.3:
        beside.unlink()
    else:
        with beside.open("r+b") as file:
            file.seek(rng.randrange(beside.stat().st_size))
            file.write(rng.randbytes(rng.choice((1, 30, 5_000))))


_LIVE_DAMAGE: tuple[Damage, ...] = (*EVERY_DAMAGE, *[_beside_in_use] * 4)


def use_as_two_releases(tries: int, seed: int) -> dict[str, Count]:
    """Let this release and pretended ones use a folder in turn, drawn at random."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter({ERRORS: 0, WRONG: 0, NAMELESS: 0, WARNED: 0})
    began = time.monotonic()
    expected = [_expected(clf) for clf in _makers(None)]
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(tries):
            which, release = rng.randrange(3), rng.choice((None, *PRETENDED))
            clf = _makers(Path(folder))[which]
            with (
                warnings.catch_warnings(record=True) as caught,
                as_release(release) if release else contextlib.nullcontext(),
            ):
                warnings.simplefilter("always")
                try:
                    clf.fit(X, Y)
                    counts[WRONG] += not _is_right(clf, expected[which])
                except Exception as error:
                    counts[ERRORS] += 1
                    sys.stderr.write(f"{release}: {error!r}\n")
            said = [w for w in caught if issubclass(w.category, StoreWarning)]
            counts[WARNED] += bool(said)
            counts[NAMELESS] += any(folder not in str(w.message) for w in said)
    return {**counts, "seconds": round(time.monotonic() - began)}


TRIALS = (
    Trial(
        "damaged-stores",
        "A folder of `memory` is damaged, then used by fit, predict, layer_proba, "
        "partial_fit or clear_sweeps, and by fit again",
        damage_stores,
        690,
        none_of=(ERRORS, WRONG, NAMELESS, REPEATED),
    ),
    Trial(
        "stores-damaged-in-use",
        "A folder of `memory` is damaged while two processes fit with it",
        damage_while_two_fit,
        100,
        none_of=(ERRORS, WRONG, DEATHS),
    ),
    Trial(
        "stores-of-two-releases",
        "Releases that lay records out otherwise, older and newer, fit with one folder",
        use_as_two_releases,
        200,
        none_of=(ERRORS, WRONG, NAMELESS, WARNED),
    ),
)
