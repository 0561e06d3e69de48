"""Classifiers with a database as large as one likes, of keys that were drawn."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.databases.apart import Case, resident, size_of
from benchmarks.databases.keys import drawn
from benchmarks.lines import Line
from skraee import RAEEClassifier, toy
from skraee.demo import shipped_task
from skraee.retrieval.database import Database
from skraee.retrieval.lance_index import LanceIndex

N_TEXTS = 256

LOADS = ("held", "mapped", "mapped, float16")


def file(case: Case) -> Line:
    """Load a model file and ask its database 1,000 times, one query at a time."""
    _, queries = drawn(case.n, case.folder)
    is_half = case.way.endswith("float16")
    path = case.folder / f"model-{case.n}{'-half' if is_half else ''}.skraee"
    if not path.exists():
        _save(case, path, "float16" if is_half else "float32")
    before, started = resident(), perf_counter()
    mode: Any = None if case.way == "held" else "r"
    clf = RAEEClassifier.load(path, mmap_mode=mode)
    load_s = perf_counter() - started
    loaded = resident()
    database = clf._fitted.database
    database.build_index(12)
    started = perf_counter()
    for query in queries:
        database.neighbors(query[None], 12)
    return {
        "file_mib": round(size_of(path)),
        "load_s": round(load_s, 2),
        "loaded_mib": round(loaded - before),
        "alone_ms": round(1e3 * (perf_counter() - started) / len(queries), 2),
        "searched_mib": round(resident() - before),
        "own_mib": round(resident("RssAnon")),
    }


def _save(case: Case, path: Path, key_dtype: Any) -> None:
    X, y = toy.reviews(60)
    clf = RAEEClassifier(
        toy.backbone(),
        toy.TEMPLATES["masked"],
        label_words=toy.LABEL_WORDS,
        index="exact",
        key_dtype=key_dtype,
        memory=None,
    ).fit(X, y)
    enlarge(clf, drawn(case.n, case.folder)[0])
    clf.save(path)


def enlarge(clf: Any, keys: Any) -> None:
    """Give a fitted classifier other keys, with its own sweeps again and again.

    Parameters
    ----------
    clf : RAEEClassifier
    keys : ndarray of shape (n, d)
    """
    fitted = clf._fitted
    rows = np.arange(len(keys)) % len(fitted.database)
    database = Database.build(
        keys,
        fitted.database.proba[rows],
        fitted.database.labels[rows],
        metric=clf.metric,
        method=clf.index,
        n_jobs=clf.n_jobs,
        key_dtype=clf.key_dtype,
    )
    clf._fitted = replace(fitted, database=database)
    clf.n_samples_fit_ = len(keys)


def share(case: Case) -> Line:
    """Return which part of predict is retrieval, with a sentence encoder's backbone."""
    backbone = Path(os.environ["SKRAEE_BACKBONES"]) / "minilm-l6"
    task = shipped_task()
    index: Any = case.way
    if case.way == "lancedb":
        index = LanceIndex(case.folder / f"tables-of-minilm-{case.n}")
    clf = RAEEClassifier(
        str(backbone), "{text}", readout="ridge", index=index, memory=None
    ).fit(list(task.fit.texts), list(task.fit.labels))
    enlarge(clf, _around(clf._fitted.database.keys, case.n))
    started = perf_counter()
    clf._fitted.database.build_index(clf.k)
    build_s = perf_counter() - started
    texts = _texts(task)
    clf.timings(texts)
    timings = [clf.timings(texts) for _ in range(3)]
    found = min(timings, key=lambda timing: timing.total)
    return {
        "backbone": backbone.name,
        "build_s": round(build_s, 1),
        "n_texts": len(texts),
        "predict_ms": round(1e3 * found.total / len(texts), 3),
        "search_ms": round(1e3 * found.seconds["search"] / len(texts), 3),
        "share": round(found.shares["search"], 4),
        "mean_exit": round(float(clf.exit_layers(texts).mean()), 2),
    }


def _around(keys: Any, n: int) -> Any:
    """Return n keys around those of texts, half as far from them as texts are apart."""
    rng = np.random.default_rng(0)
    deviation = 0.5 * keys.std(axis=0)
    many = np.empty((n, keys.shape[1]), dtype=np.float32)
    for start in range(0, n, 100_000):
        rows = many[start : start + 100_000]
        near = keys[rng.integers(len(keys), size=len(rows))]
        rows[:] = near + deviation * rng.normal(size=rows.shape)
    return many


def _texts(task: Any) -> list[str]:
    texts = [*task.test.texts, *task.fit.texts]
    return [f"{text} {i}" for i, text in enumerate(texts[:N_TEXTS])]
