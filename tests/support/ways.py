"""All ways of the engine to run prompts, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths, ExitPolicy
from skraee.engine.head import label_head
from skraee.engine.scorer import LabelScorer, Scorer
from skraee.exits.policies import ByConfidence
from skraee.text.prompt import Prompt
from tests.support.prompts import LABEL_IDS
from tests.support.runs import Deciding
from tests.support.scorers import EveryDepthScorer

Answers = dict[str, np.ndarray]
Way = Callable[[Engine, Sequence[Prompt], np.ndarray], Answers]


def swept(engine: Engine, prompts: Sequence[Prompt], exits: np.ndarray) -> Answers:
    found = engine.sweep(
        prompts,
        label_head(engine.backbone, LABEL_IDS),
        text_means=True,
        state_depth=1,
        states=("read", "text", "around"),
    )
    return vars(found)


def collected(engine: Engine) -> Scorer:
    """Score where rows leave, once for a batch."""
    return LabelScorer(label_head(engine.backbone, LABEL_IDS))


def on_the_way(engine: Engine) -> Scorer:
    """Score every depth."""
    factors = np.linspace(0.5, 1.5, engine.n_layers + 1)
    return EveryDepthScorer(label_head(engine.backbone, LABEL_IDS), factors)


def run(scorer: Callable[[Engine], Scorer], policy: Callable[..., ExitPolicy]) -> Way:
    def way(engine: Engine, prompts: Sequence[Prompt], exits: np.ndarray) -> Answers:
        return vars(engine.run(prompts, policy(engine, prompts, exits), scorer(engine)))

    return way


def every_depth(
    engine: Engine, prompts: Sequence[Prompt], exits: np.ndarray
) -> Answers:
    return {"scores": engine.scores_at_every_depth(prompts, on_the_way(engine))}


def given(engine: Engine, prompts: Sequence[Prompt], exits: np.ndarray) -> ExitPolicy:
    return AtGivenDepths(exits)


def confident(*_: Any) -> ExitPolicy:
    return ByConfidence(0.6, 1)


def deciding(
    engine: Engine, prompts: Sequence[Prompt], exits: np.ndarray
) -> ExitPolicy:
    """Know a prompt by its state, whatever batch it comes in."""
    known = engine.keys(prompts, 1)

    def decide(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nearest = np.abs(keys[:, None] - known[None]).max(-1).argmin(1)
        return exits[nearest], exits[nearest] % 2 == 0

    return Deciding(1, decide)


WAYS: dict[str, Way] = {
    "sweep": swept,
    "given": run(collected, given),
    "deciding": run(collected, deciding),
    "confident": run(collected, confident),
    "given, scored on the way": run(on_the_way, given),
    "deciding, scored on the way": run(on_the_way, deciding),
    "confident, scored on the way": run(on_the_way, confident),
    "every depth": every_depth,
}


def assert_alone_as_together(
    backbone: LoadedBackbone, prompts: list[Prompt], exits: np.ndarray, way: Way
) -> None:
    engine = Engine(backbone, batch_tokens=10_000)
    together = way(engine, prompts, exits)
    alone = [way(engine, [p], exits[i : i + 1]) for i, p in enumerate(prompts)]
    for name, found in together.items():
        expected = np.concatenate([one[name] for one in alone])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=5e-6, err_msg=name)
