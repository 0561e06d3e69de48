"""Model files that were damaged, or changed on purpose."""

from __future__ import annotations

import io
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.trust.crafting import blindly_damaged, crafted
from benchmarks.trust.trial import Count, Trial
from skraee import (
    EarlyExitClassifier,
    Encoder,
    RAEEClassifier,
    RAEEClassifierCV,
    exceptions,
    toy,
)
from skraee.backbone import tiny

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

FOREIGN_AT_LOAD = "foreign errors at load"
FOREIGN_AT_USE = "foreign errors at predict or predict_proba"
LARGE = "that took more than 100 MB"
ALTERED = "accepted whose answers are others"
FORGED = "accepted with a key, though signed before the change"
REFUSED = "refused at load"
REFUSED_AT_USE = "refused at first use"
TAKEN = "accepted"

_ROOM = 100 * 10**6
_KEY = b"a secret of the trial, 32 bytes."
# What a file's backbone, which is another's, or not there, ends in at first use.
_OF_BACKBONES = exceptions.BackboneChangedError, exceptions.BackboneMissingError
_TEXTS = ["a lovely film", "the waiter was cold and slow"]

Damage = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Saved:
    """A model's file, and what it answers."""

    cls: Any
    content: bytes
    answers: list[Any]


def blind(tries: int, seed: int) -> dict[str, Count]:
    """Damage files as disks and networks do."""
    return _counts(blindly_damaged, tries, seed, (ALTERED,))


def on_purpose(tries: int, seed: int) -> dict[str, Count]:
    """Change manifests and arrays, and make all hashes right again."""
    return _counts(crafted, tries, seed, (FORGED,))


def _counts(
    damage: Damage, tries: int, seed: int, more: tuple[str, ...]
) -> dict[str, Count]:
    rng = random.Random(seed)
    names = (FOREIGN_AT_LOAD, FOREIGN_AT_USE, LARGE, *more)
    counts: dict[str, Count] = dict.fromkeys(
        (*names, REFUSED, REFUSED_AT_USE, TAKEN, "seconds"), 0
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder, "model.skraee")
        models = [_saved(clf, path) for clf in _fitted(Path(folder))]
        for _ in range(tries):
            model = rng.choice(models)
            content = model.content
            while content == model.content:
                content = damage(content, rng)
            path.write_bytes(content)
            what, answers = _outcome(model.cls, path)
            counts[what] += 1
            if ALTERED in more:
                counts[ALTERED] += what == TAKEN and answers != model.answers
            if FORGED in more:
                counts[FORGED] += _loads_with_key(model.cls, path)
    counts["seconds"] = round(time.monotonic() - began)
    return counts


def _fitted(folder: Path) -> Iterator[Any]:
    """Yield a classifier of each kind of what a file can hold.

    Parameters
    ----------
    folder : Path
        Where the encoder of one of them is put.
    """
    X, y = toy.reviews(40)
    numbers = (y == "positive").astype(int)
    words, given = toy.LABEL_WORDS, (toy.backbone(), toy.TEMPLATES["masked"])
    yield RAEEClassifier(*given, k=5, tau=0.7, label_words=words).fit(X, y)
    listed = list(words.values())
    calibrated = RAEEClassifier(*given, k=5, label_words=listed, calibrate=True)
    yield calibrated.fit(X, numbers)
    correct = RAEEClassifier(*given, label_words=words, database="correct", encoder=2)
    yield correct.fit(X, y)
    yield RAEEClassifier(*given, k=5, readout="ridge", budget=0.5, index="exact").fit(
        X, y
    )
    encoder = _encoder(folder / "encoder")
    yield RAEEClassifier(*given, k=5, label_words=words, encoder=encoder).fit(X, y)
    yield RAEEClassifierCV(*given, ks=(2, 4), taus=(0.5, 0.9), label_words=words).fit(
        X, y
    )
    searched = RAEEClassifierCV(*given, ks=(2,), budgets=(0.4,), readout="ridge")
    yield searched.fit(X, y.astype(object))
    weights = {"positive": 2.0, "negative": 1.0}
    yield EarlyExitClassifier(toy.backbone(), budget=0.5, class_weight=weights).fit(
        X, y
    )
    yield EarlyExitClassifier(toy.backbone("causal"), threshold=0.7).fit(
        X, numbers == 1
    )


def _encoder(folder: Path) -> Encoder:
    """Return an encoder of a folder that has none of a library's modules."""
    model, tokenizer, _ = tiny.read(tiny.name_of("masked", 1), torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Encoder(folder)


def _saved(clf: Any, path: Path) -> Saved:
    clf.save(path, key=_KEY)
    return Saved(type(clf), path.read_bytes(), _answers(clf))


def _answers(clf: Any) -> list[Any]:
    return [clf.predict(_TEXTS).tolist(), clf.predict_proba(_TEXTS).tolist()]


def _outcome(cls: Any, path: Path) -> tuple[str, list[Any]]:
    """Load and use a file; say how that ended, and with which answers."""
    foreign, refused = FOREIGN_AT_LOAD, REFUSED
    with _little_room():
        try:
            clf = cls.load(path)
            foreign, refused = FOREIGN_AT_USE, REFUSED_AT_USE
            clf.set_params(device="auto", compile=False)  # what suits this machine
            return TAKEN, _answers(clf)
        except exceptions.FileFormatError:
            return refused, []
        except _OF_BACKBONES:
            return (refused if foreign == FOREIGN_AT_USE else foreign), []
        except MemoryError:
            return LARGE, []
        except Exception:
            return foreign, []


def _loads_with_key(cls: Any, path: Path) -> bool:
    try:
        cls.load(path, key=_KEY)
    except exceptions.FileFormatError:
        return False
    return True


@contextmanager
def _little_room() -> Iterator[None]:
    """Let this process have no more than 100 MB beyond what it has."""
    statm = Path("/proc/self/statm")
    if resource is None or not statm.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(statm.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _quiet() -> Iterator[None]:
    """Show no warnings and bars, and ask no hub for the names that come up."""
    offline = patch("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), offline:
        warnings.simplefilter("ignore")
        yield


_NEVER = (FOREIGN_AT_LOAD, FOREIGN_AT_USE, LARGE)

TRIALS = (
    Trial(
        "damaged-files",
        "A model file is damaged: bytes flipped, lost, doubled, moved",
        blind,
        10_000,
        none_of=(*_NEVER, ALTERED),
    ),
    Trial(
        "crafted-files",
        "A model file is changed by one who knows the format, its hashes made right",
        on_purpose,
        10_000,
        none_of=(*_NEVER, FORGED),
    ),
)
