"""What each method of the paper's tables is, and where its fits are kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from accuracy import CS, UNEQUAL, Vectors, searched
from common import read_task, sample
from paper_lines import Lines
from paper_order import removal_order
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skraee import Backbone, Encoder, RAEEClassifier, templates
from skraee.baselines import (
    AdaInferClassifier,
    CALMClassifier,
    DeeBERTClassifier,
    FullDepthClassifier,
    HashEEClassifier,
    SLEBClassifier,
)
from skraee.sweep_cache import FolderStore

BUDGET = 0.3


@dataclass(frozen=True)
class Case:
    """A backbone, a task and what of its data is used."""

    backbone: str
    task: str
    n_fit: int
    n_test: int | None
    seed: int
    encoder: str
    dtype: str
    device: str
    store: Path
    n_calibration: int
    lines: Lines
    share: float = 1.0  # of the training sample

    @cached_property
    def train(self) -> tuple[list[str], np.ndarray]:
        texts, labels = sample(*read_task(self.task, "train"), self.n_fit, self.seed)
        n = round(self.share * len(texts))
        return texts[:n], labels[:n]

    @cached_property
    def test(self) -> tuple[list[str], np.ndarray]:
        texts, labels = read_task(self.task, "test")
        if self.n_test is None or self.n_test >= len(texts):
            return texts, labels
        return sample(texts, labels, self.n_test, self.seed)

    @cached_property
    def memory(self) -> FolderStore:
        return FolderStore(self.store, 2**35)

    @property
    def shown_backbone(self) -> str:
        return shown_name(self.backbone)

    @property
    def loaded(self) -> Any:
        return self._backbone.load(self.dtype, self.device)

    @cached_property
    def sentence_encoder(self) -> Encoder:
        return Encoder(located(self.encoder), device=self.device)

    @property
    def vectors(self) -> Vectors:
        """Return what makes sentence vectors and keeps them."""
        return Vectors(self, self.sentence_encoder)  # type: ignore[arg-type]

    @property
    def class_weight(self) -> str | None:
        return "balanced" if self.task in UNEQUAL else None

    @property
    def engine(self) -> dict[str, Any]:
        """Return what every classifier of ours is given."""
        return {
            "backbone": self._backbone,
            "device": self.device,
            "dtype": self.dtype,
            "random_state": self.seed,
        }

    @property
    def prompt(self) -> dict[str, Any]:
        """Return the paper's prompt for the kind of the backbone."""
        masked = self.loaded.family.kind == "masked"
        found = (templates.MASKED if masked else templates.CAUSAL)[self.task]
        return {"template": found.template, "label_words": found.label_words}

    @cached_property
    def _backbone(self) -> Backbone:
        return Backbone(located(self.backbone))


def located(name: str) -> str:
    """Return a folder under $SKRAEE_BACKBONES, else a path or hub name as it is."""
    folder = Path(os.environ.get("SKRAEE_BACKBONES", "")) / name
    return str(folder) if folder.is_dir() else name


def shown_name(name: str) -> str:
    """Return what results call a backbone or encoder: no path, but its last part."""
    return Path(name).name if Path(located(name)).is_dir() else name


# The methods


def raee(case: Case, **params: Any) -> RAEEClassifier:
    return RAEEClassifier(**case.engine, **case.prompt, memory=case.memory, **params)


def with_encoder(case: Case, **params: Any) -> RAEEClassifier:
    return raee(case, encoder=case.sentence_encoder, **params)


def ridge(case: Case, exit_by: Any) -> RAEEClassifier:
    return raee(
        case,
        readout="ridge",
        exit_by=exit_by,
        budget=BUDGET,
        class_weight=case.class_weight,
    )


def prompted(baseline: Any, case: Case, **params: Any) -> Any:
    return baseline(**case.engine, **case.prompt, **params)


def sleb(case: Case) -> Any:
    order = removal_order(case, case.lines)
    return prompted(SLEBClassifier, case, removal_order=order)


def words(case: Case) -> Any:
    """TF-IDF and logistic regression, as in accuracy.py."""
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    linear = LogisticRegression(max_iter=2_000, class_weight=case.class_weight)
    return searched(case.class_weight).set_params(
        estimator=make_pipeline(vectors, linear),
        param_grid={"logisticregression__C": CS},
        n_jobs=None,
    )


def on_vectors(case: Case, classifier: Any) -> Any:
    """Put a classifier of scikit-learn on the sentence encoder's vectors."""
    # While fitting they are kept; `forget` lets predict make them anew.
    return make_pipeline(FunctionTransformer(case.vectors), classifier)


@dataclass(frozen=True)
class Method:
    """A row of Table 1.

    Attributes
    ----------
    title : str
        As the tables show it.
    make : callable
        Makes the estimator, not fitted.
    """

    title: str
    make: Callable[[Case], Any]


METHODS = {
    "full": Method("full depth", lambda c: prompted(FullDepthClassifier, c)),
    "deebert": Method(
        "DeeBERT", lambda c: DeeBERTClassifier(**c.engine, memory=c.memory)
    ),
    "adainfer": Method(
        "AdaInfer", lambda c: prompted(AdaInferClassifier, c, memory=c.memory)
    ),
    "calm": Method(
        "CALM, threshold 0.9", lambda c: prompted(CALMClassifier, c, memory=c.memory)
    ),
    "calm-calibrated": Method(
        "CALM, calibrated",
        lambda c: prompted(CALMClassifier, c, memory=c.memory, threshold="calibrated"),
    ),
    "hashee": Method("HashEE", lambda c: prompted(HashEEClassifier, c)),
    "sleb": Method("SLEB", sleb),
    "raee-without": Method(
        "RAEE w/o corrective information",
        lambda c: with_encoder(c, database="correct"),
    ),
    "raee-depth0": Method("RAEE, depth-0 keys", raee),
    "raee": Method("RAEE, encoder keys", with_encoder),
    "raee-exit1": Method(
        "RAEE, encoder keys, exits from 1", lambda c: with_encoder(c, min_exit=1)
    ),
    "ridge-retrieval": Method(
        f"ridge, exit by retrieval, budget {BUDGET}", lambda c: ridge(c, "retrieval")
    ),
    "ridge-confidence": Method(
        f"ridge, exit by confidence, budget {BUDGET}", lambda c: ridge(c, "confidence")
    ),
    "tfidf": Method("TF-IDF + logistic regression", words),
    "encoder-knn": Method(
        "encoder + k-NN vote",
        lambda c: on_vectors(c, KNeighborsClassifier(12, weights="distance")),
    ),
    "encoder-linear": Method(
        "encoder + logistic regression",
        lambda c: on_vectors(c, searched(c.class_weight).set_params(n_jobs=None)),
    ),
}
PEERS = ("tfidf", "encoder-knn", "encoder-linear")


# Fits that are kept


def fitted(case: Case, name: str) -> tuple[Any, float]:
    """Return a fitted method and the seconds of its fit; no fit is made twice."""
    path = case.store / "fitted" / f"{_file_name(case, name)}.joblib"
    if path.is_file():
        kept: tuple[Any, float] = joblib.load(path)
        return kept
    model = METHODS[name].make(case)
    start = time.perf_counter()
    model.fit(*case.train)
    seconds = time.perf_counter() - start
    forget(model, case)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    joblib.dump((model, seconds), beside)
    beside.replace(path)
    return model, seconds


def forget(model: Any, case: Case) -> None:
    """Let predict find nothing that was read or searched before."""
    without_store(model, case)
    if isinstance(model, RAEEClassifier):
        model._fitted.database.shared = False


def without_store(model: Any, case: Case) -> Any:
    """Let a method read every text anew."""
    params = model.get_params()
    if "functiontransformer__func" in params:
        encode = case.sentence_encoder.encode
        return model.set_params(functiontransformer__func=encode)
    if "backbone" in params and "memory" in params:
        return model.set_params(memory=None)
    return model


def _file_name(case: Case, name: str) -> str:
    parts = [case.shown_backbone, case.task, name, len(case.train[0]), case.seed]
    parts += [shown_name(case.encoder), case.dtype]
    if name == "sleb":
        parts.append(case.n_calibration)
    return "_".join(str(part).replace("/", "--") for part in parts)
