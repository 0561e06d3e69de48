"""Fits that are kept in --store, so that none is made twice."""

from __future__ import annotations

import os
import time
from typing import Any

import joblib

from benchmarks.data import shown_name
from benchmarks.paper.case import Case, is_sleb
from benchmarks.paper.chosen import Chosen
from benchmarks.paper.methods import METHODS
from benchmarks.peers import encoding_by


def fitted(case: Case, method: str) -> tuple[Any, float]:
    """Return a fitted method and the seconds of its fit."""
    path = case.store / "fitted" / f"{_file_name(case, method)}.joblib"
    if path.is_file():
        kept: tuple[Any, float] = joblib.load(path)
        return kept
    model = METHODS[method].make(case)
    start = time.perf_counter()
    model.fit(*case.train)
    seconds = time.perf_counter() - start
    without_store(model, case)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    joblib.dump((model, seconds), beside)
    beside.replace(path)
    return model, seconds


def without_store(model: Any, case: Case) -> Any:
    """Let a method read every text anew."""
    if isinstance(model, Chosen):
        model.chosen_ = without_store(model.chosen_, case)
        return model
    params = model.get_params()
    if "functiontransformer__func" in params:
        return encoding_by(model, case.sentence_encoder.encode)
    if "backbone" in params and "memory" in params:
        return model.set_params(memory=None)
    return model


def _file_name(case: Case, method: str) -> str:
    parts = [case.shown_backbone, case.task, method, len(case.train[0]), case.seed]
    parts += [shown_name(case.encoder), case.dtype]
    if case.encoder_dtype and method.startswith(("raee", "encoder")):
        parts.append(f"encoder-{case.encoder_dtype}")
    if is_sleb(method):
        parts.append(case.n_calibration)
    return "_".join(str(part).replace("/", "--") for part in parts)
