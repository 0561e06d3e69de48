"""What is measured of a service: its load, and what it stands."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import backbone_folder
from benchmarks.lines import Line, Lines
from benchmarks.serve.clients import Asked, asking, metric
from benchmarks.serve.faults import misbehaving
from benchmarks.serve.service import service
from skraee import EarlyExitClassifier, toy
from skraee.demo import shipped_task

_BUDGET = 0.5
_SIDE = 8  # clients beside which something else happens


@dataclass(frozen=True)
class Options:
    """What a run is asked for.

    Attributes
    ----------
    lines : Lines
    backbone : str
        "toy", or a folder under SKRAEE_BACKBONES.
    clients : list of int
    seconds : float
        Of each load.
    """

    lines: Lines
    backbone: str
    clients: list[int]
    seconds: float


def measure(options: Options) -> None:
    """Fit a model, and measure what its service does."""
    clf, texts = fitted(options.backbone)
    asked = answers(clf, texts)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.skraee")
        clf.save(model)
        for n_clients in options.clients:
            _add(
                options, "load", n_clients, load(clf, model, asked, n_clients, options)
            )
        for name, work in {"junk": junk, "kill": kill, "stop": stop}.items():
            _add(options, name, _SIDE, work(model, asked, options))


def _add(options: Options, figure: str, n_clients: int, found: Line) -> None:
    options.lines.add(
        figure=figure,
        backbone=options.backbone,
        clients=n_clients,
        seconds=options.seconds,
        **found,
    )


def fitted(backbone: str) -> tuple[Any, list[str]]:
    """Return a classifier, and texts that it was not fitted on."""
    if backbone == "toy":
        clf = EarlyExitClassifier(toy.backbone(), budget=_BUDGET, memory=None)
        return clf.fit(*toy.reviews(200)), toy.reviews(200, seed=1)[0]
    task = shipped_task()
    folder = str(backbone_folder(backbone))
    clf = EarlyExitClassifier(folder, budget=_BUDGET, memory=None)
    return clf.fit(task.fit.texts, task.fit.labels), list(task.test.texts)


def answers(clf: Any, texts: list[str]) -> Asked:
    labels, exits = clf.predict(texts, return_exit_layers=True)
    return Asked(texts, labels.tolist(), exits.tolist())


def load(clf: Any, model: Path, asked: Asked, n_clients: int, options: Options) -> Line:
    """Ask as fast as the clients can, beside predict in calls of as many texts."""
    alike = direct(clf, asked.texts, n_clients, options.seconds / 3)
    whole = direct(clf, asked.texts, len(asked.texts), options.seconds / 3)
    with service(model) as (_, port, _):
        start = time.perf_counter()
        with asking(port, n_clients, asked, retry=False) as seen:
            time.sleep(options.seconds)
        found = seen.line(time.perf_counter() - start)
        batches = metric(port, "skraee_batch_texts_count")
        sizes = metric(port, "skraee_batch_texts_sum") / max(batches, 1)
    return {
        **found,
        "texts_a_batch": round(sizes, 2),
        "direct": round(alike, 1),
        "direct_whole": round(whole, 1),
        "of_direct": round(found.get("texts_per_s", 0) / alike, 3),
    }


def direct(clf: Any, texts: list[str], size: int, seconds: float) -> float:
    """Return the texts a second of predict in calls of a number of texts."""
    chunks = [texts[i : i + size] for i in range(0, len(texts), size)]
    clf.predict(chunks[0])
    n_texts, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for chunk in chunks:
            clf.predict(chunk)
            n_texts += len(chunk)
            if time.perf_counter() - start > seconds:
                break
    return n_texts / (time.perf_counter() - start)


def junk(model: Path, asked: Asked, options: Options) -> Line:
    """Ask beside clients that are slow, leave early or send junk."""
    with service(model) as (_, port, _):
        before = _held(port)
        start = time.perf_counter()
        with misbehaving(port, 30), asking(port, _SIDE, asked, retry=False) as seen:
            time.sleep(options.seconds)
        found = seen.line(time.perf_counter() - start)
        time.sleep(8)  # until the last of the slow ones is let go
        after = _held(port)
    return {
        **found,
        "more_files": after[0] - before[0],
        "more_mib": round((after[1] - before[1]) / 2**20, 1),
        "waiting": after[2],
    }


def _held(port: int) -> tuple[float, float, float]:
    """Return open files, resident bytes and texts that wait."""
    names = ("process_open_fds", "process_resident_memory_bytes", "skraee_queue_texts")
    files, size, waiting = (metric(port, name) for name in names)
    return files, size, waiting


def kill(model: Path, asked: Asked, options: Options) -> Line:
    """Kill it under load and start it again on its port; clients ask again."""
    with service(model) as (process, port, _):

        def end() -> tuple[Any, float]:
            process.kill()
            process.wait()
            again = service(model, port)
            return again, again.__enter__()[2]

        return _over(end, port, asked, options, "seconds_until_ready")


def stop(model: Path, asked: Asked, options: Options) -> Line:
    """Stop it by SIGTERM under load; what was taken is answered."""
    with service(model) as (process, port, _):

        def end() -> tuple[Any, float]:
            start = time.perf_counter()
            process.send_signal(signal.SIGTERM)
            process.wait()
            return None, time.perf_counter() - start

        return _over(end, port, asked, options, "seconds_to_stop")


def _over(
    end: Callable[[], tuple[Any, float]],
    port: int,
    asked: Asked,
    options: Options,
    name: str,
) -> Line:
    again = None
    start = time.perf_counter()
    try:
        with asking(port, _SIDE, asked, retry=True) as seen:
            time.sleep(options.seconds / 3)
            again, seconds = end()
            if again is not None:
                time.sleep(options.seconds / 3)
        return {**seen.line(time.perf_counter() - start), name: round(seconds, 2)}
    finally:
        if again is not None:
            again.__exit__(None, None, None)
