"""Counts of what ran, which say more than clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules.module import register_module_forward_pre_hook

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.stacks import layers_of


@contextmanager
def counted_rows(backbone: LoadedBackbone) -> Iterator[Counter[int]]:
    """Count the rows that each call of a layer was given, in the order of the calls."""
    rows: Counter[int] = Counter()
    seen = 0
    model, family = backbone.model, backbone.family
    kinds = {
        type(x) for stack in family.stacks for x in layers_of(model, family, stack)
    }

    def count(module: Any, args: Any) -> None:
        nonlocal seen
        if type(module) in kinds:
            rows[seen] = len(args[0])
            seen += 1

    # For all modules: a model with a hook of its own is refused.
    hook = register_module_forward_pre_hook(count)
    yield rows
    hook.remove()
