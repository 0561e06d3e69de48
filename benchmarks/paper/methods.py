"""What each method of the paper's tables is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.paper.case import Case
from benchmarks.paper.chosen import BestByLeaveOneOut, DeeBERTByFolds
from benchmarks.paper.encoders import OfPrompts
from benchmarks.paper.order import SHARE, n_layers, removal_order
from benchmarks.peers import on_vectors, regression, votes, words_and_regression
from skraee import EarlyExitClassifier, RAEEClassifier, RAEEClassifierCV
from skraee.baselines import (
    AdaInferClassifier,
    CALMClassifier,
    DeeBERTClassifier,
    FullDepthClassifier,
    HashEEClassifier,
    SLEBClassifier,
)

BUDGET = 0.3


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


def raee(case: Case, **params: Any) -> RAEEClassifier:
    return RAEEClassifier(**case.engine, **case.prompt, memory=case.memory, **params)


def with_encoder(case: Case, **params: Any) -> RAEEClassifier:
    return raee(case, encoder=case.key_encoder, **params)


def of_prompts(case: Case) -> RAEEClassifier:
    template = case.prompt["template"]
    return raee(case, encoder=OfPrompts(case.encoder_by_name, template))


def best_raee(case: Case) -> BestByLeaveOneOut:
    """Return RAEE with k, tau, exits and votes chosen on the training texts."""
    shared = {**case.engine, **case.prompt, "memory": case.memory}
    return BestByLeaveOneOut(
        [
            RAEEClassifierCV(
                **shared,
                encoder=case.key_encoder,
                min_exit=min_exit,
                below_tau=below_tau,
                scoring=case.scoring,
            )
            for min_exit in (0, 1)
            for below_tau in ("top3", "skip")
        ]
    )


def ridge(case: Case) -> RAEEClassifier:
    weight = case.class_weight
    return raee(case, readout="ridge", budget=BUDGET, class_weight=weight)


def early_exit(case: Case) -> EarlyExitClassifier:
    engine = {n: v for n, v in case.engine.items() if n != "random_state"}
    weight: Any = case.class_weight
    return EarlyExitClassifier(
        **engine,
        template=case.prompt["template"],
        memory=case.memory,
        budget=BUDGET,
        class_weight=weight,
    )


def prompted(baseline: Any, case: Case, **params: Any) -> Any:
    return baseline(**case.engine, **case.prompt, **params)


def deebert(case: Case) -> DeeBERTClassifier:
    return DeeBERTClassifier(**case.engine, memory=case.memory)


def by_folds(case: Case, **params: Any) -> DeeBERTByFolds:
    folder = case.store / "folds"
    return DeeBERTByFolds(deebert(case), scoring=case.scoring, folder=folder, **params)


def adainfer(case: Case, target: str) -> Any:
    return prompted(AdaInferClassifier, case, memory=case.memory, target=target)


def hashee_ridge(case: Case, **params: Any) -> HashEEClassifier:
    return HashEEClassifier(**case.engine, template="{text}", readout="ridge", **params)


def sleb(case: Case, share: float) -> Any:
    order = removal_order(case, share)
    return prompted(SLEBClassifier, case, removal_order=order, n_remove=len(order))


def calm(case: Case, measure: str, threshold: float | str = "calibrated") -> Any:
    params = {"measure": measure, "threshold": threshold}
    return prompted(CALMClassifier, case, memory=case.memory, **params)


METHODS = {
    "full": Method("full depth", lambda c: prompted(FullDepthClassifier, c)),
    "deebert": Method("DeeBERT", deebert),
    "deebert-folds": Method("DeeBERT, tuned by folds", by_folds),
    "deebert-folds-budget": Method(
        f"DeeBERT, tuned by folds, cost within {BUDGET}",
        lambda c: by_folds(c, budget=BUDGET),
    ),
    "adainfer-gold": Method("AdaInfer", lambda c: adainfer(c, "gold")),
    "adainfer": Method(
        "AdaInfer, trained on the final answer", lambda c: adainfer(c, "final")
    ),
    "calm-vocab": Method("CALM, threshold 0.9", lambda c: calm(c, "vocab", 0.9)),
    "calm-vocab-calibrated": Method("CALM, calibrated", lambda c: calm(c, "vocab")),
    "calm-state": Method("CALM by states, calibrated", lambda c: calm(c, "state")),
    "calm-classifier": Method(
        "CALM by a classifier, calibrated", lambda c: calm(c, "classifier")
    ),
    "calm": Method(
        "CALM on label words, threshold 0.9", lambda c: calm(c, "labels", 0.9)
    ),
    "calm-calibrated": Method(
        "CALM on label words, calibrated", lambda c: calm(c, "labels")
    ),
    "hashee": Method("HashEE", lambda c: prompted(HashEEClassifier, c)),
    "hashee-ridge": Method("HashEE, closed-form readout", hashee_ridge),
    "full-ridge": Method(
        "full depth, closed-form readout", lambda c: hashee_ridge(c, n_buckets=1)
    ),
    "sleb-20": Method("SLEB, 20 % of the blocks removed", lambda c: sleb(c, 0.2)),
    "sleb": Method("SLEB, 60 % of the blocks removed", lambda c: sleb(c, SHARE)),
    "raee-without": Method(
        "RAEE w/o corrective information",
        lambda c: with_encoder(c, database="correct"),
    ),
    "raee-depth0": Method("RAEE, depth-0 keys", raee),
    "raee": Method("RAEE, encoder keys", with_encoder),
    "raee-exit1": Method(
        "RAEE, encoder keys, exits from 1", lambda c: with_encoder(c, min_exit=1)
    ),
    "raee-skip": Method(
        "RAEE, encoder keys, no vote below tau",
        lambda c: with_encoder(c, below_tau="skip"),
    ),
    "raee-text": Method(
        "RAEE, encoder keys, exits from 1, no vote below tau",
        lambda c: with_encoder(c, min_exit=1, below_tau="skip"),
    ),
    "raee-prompt": Method("RAEE, encoder keys of the prompt", of_prompts),
    "raee-state": Method(
        "RAEE, keys of the layer at a quarter of the depth",
        lambda c: raee(c, encoder=max(1, round(n_layers(c) / 4))),
    ),
    "raee-cv": Method("RAEE, encoder keys, tuned by leave-one-out", best_raee),
    "ridge-retrieval": Method(f"ridge, exit by retrieval, budget {BUDGET}", ridge),
    "ridge-confidence": Method(
        f"ridge, exit by confidence, budget {BUDGET}", early_exit
    ),
    "tfidf": Method(
        "TF-IDF + logistic regression", lambda c: words_and_regression(c.class_weight)
    ),
    "encoder-knn": Method(
        "encoder + k-NN vote", lambda c: on_vectors(c.encode, votes())
    ),
    "encoder-linear": Method(
        "encoder + logistic regression",
        lambda c: on_vectors(c.encode, regression(c.class_weight)),
    ),
}
PEERS = ("tfidf", "encoder-knn", "encoder-linear")
