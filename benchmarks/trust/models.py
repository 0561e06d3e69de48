"""Folders and files of models that are damaged."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import skraee
from benchmarks.trust.damages import Damage, damages
from benchmarks.trust.trial import Count, Trial
from skraee import EarlyExitClassifier

_SECONDS = 5
_PACKAGE = str(Path(skraee.__file__).parent)

CLEAR = "clear errors that name the file"
SILENT = "models that were fitted all the same"
FOREIGN = "other errors"
SLOW = f"that took more than {_SECONDS} s"
LEFT = "that left something in the cache"
OUTSIDE = "that read what lies outside"
LARGEST = "s for the slowest"


def damage_folders(tries: int, seed: int) -> dict[str, Count]:
    """Fit on models that are damaged, each in a process of its own."""
    drawn = damages()
    random.Random(seed).shuffle(drawn)
    counts: dict[str, Count] = dict.fromkeys(
        (CLEAR, SILENT, FOREIGN, SLOW, LEFT, OUTSIDE), 0
    )
    slowest = 0.0
    with tempfile.TemporaryDirectory() as place:
        for i in range(tries):
            root = Path(place, str(i))
            outcome, seconds = tried(drawn[i % len(drawn)], root)
            counts[outcome] += 1
            counts[LEFT] += any((root / "cache").rglob("*.json"))
            slowest = max(slowest, seconds)
    return {**counts, LARGEST: round(slowest, 1)}


def tried(damage: Damage, root: Path) -> tuple[str, float]:
    """Damage a model that is made below a folder and fit on it; return what came."""
    folder = root / "model"
    damage.whole(folder)
    damage.change(folder)
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(
        target=_fit, args=(damage, root, there)
    )
    began = time.monotonic()
    child.start()
    there.close()
    outcome = SLOW
    if here.poll(_SECONDS):
        try:
            outcome = here.recv()
        except EOFError:  # it died
            outcome = FOREIGN
    seconds = time.monotonic() - began
    child.kill()
    child.join()
    return outcome, seconds


def _fit(damage: Damage, root: Path, pipe: Connection) -> None:
    """In the child: say what a fit comes to."""
    os.environ["SKRAEE_CACHE"] = str(root / "cache")
    os.chdir(root)
    read = _opened_below(root / "outside")
    error = error_of(lambda: fit_on(damage, root / "model"))
    outcome = FOREIGN
    if error is None:
        outcome = SILENT
    elif is_clear(error, damage):
        outcome = CLEAR
    if read:
        outcome = OUTSIDE
    pipe.send(outcome)
    os._exit(0)


def _opened_below(folder: Path) -> list[str]:
    """Return a list to which files below a folder are added once they are opened."""
    opened: list[str] = []

    def note(event: str, args: tuple[object, ...]) -> None:
        if event == "open" and str(args[0]).startswith(str(folder)):
            opened.append(str(args[0]))

    sys.addaudithook(note)
    return opened


def fit_on(damage: Damage, folder: Path) -> None:
    """Fit on a damaged model and answer."""
    source = folder / damage.file if damage.file.endswith(".gguf") else folder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = EarlyExitClassifier(
            str(source), dtype="float32", memory=None, device="cpu"
        )
        texts = ["good film", "bad film", "a good book", "it was bad"] * 3
        clf.fit(texts, [1, 0, 1, 0] * 3).predict_proba(texts)


def error_of(call: Callable[[], None]) -> BaseException | None:
    try:
        call()
    except BaseException as error:
        return error
    return None


def is_clear(error: BaseException, damage: Damage) -> bool:
    """Whether an error is ours, in one sentence that names folder and file."""
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    told = str(error)
    return (
        isinstance(error, ValueError | OSError)
        and raised_in.startswith(_PACKAGE)
        and damage.file.rpartition("/")[2] in told
        and "\n" not in told
    )


TRIALS = (
    Trial(
        "damaged-models",
        "A classifier is fitted on a model whose folder or file is damaged",
        damage_folders,
        len(damages()),
        none_of=(SILENT, FOREIGN, SLOW, LEFT, OUTSIDE),
    ),
)
