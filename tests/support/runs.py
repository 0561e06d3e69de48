"""Ways to run prompts that tests name shortly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths, ExitPolicy, Exits
from skraee.engine.head import label_head
from skraee.engine.run import Run
from skraee.engine.scorer import LabelScorer
from skraee.text.prompt import Prompt
from tests.support.prompts import LABEL_IDS, prompts_for
from tests.support.references import soft


class Deciding(ExitPolicy):
    """Exits chosen from the states at a depth, by a function."""

    def __init__(self, at: int, decide: Callable[[Any], tuple[Any, Any]]) -> None:
        self.decide_at = at
        self._decide = decide

    def depths(self, keys: Any, last: int) -> Exits:
        return Exits(*self._decide(keys))


def run_to(engine: Engine, prompts: Any, depths: np.ndarray, head: Any) -> np.ndarray:
    """Run each prompt to its own depth: label-word logits (n, n_tokens)."""
    return engine.run(prompts, AtGivenDepths(depths), LabelScorer(head)).scores


def run_deciding(engine: Engine, prompts: Any, at: int, decide: Any, head: Any) -> Run:
    """Choose the exits from the states at a depth, and go on to them."""
    return engine.run(prompts, Deciding(at, decide), LabelScorer(head))


def label_proba(
    backbone: LoadedBackbone, prompts: list[Prompt] | None = None, **engine: Any
) -> np.ndarray:
    """Sweep a few prompts: label probabilities at every depth."""
    if prompts is None:
        prompts = prompts_for(backbone.family.kind)
    head = label_head(backbone, LABEL_IDS)
    return soft(Engine(backbone, **engine).sweep(prompts, head).logits)
