"""The templates that are compared, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.data import TASKS
from skraee import templates

PLAIN = "{text}"
PAPER = "paper"  # one for each of its tasks, of which there are two kinds

#: Tasks on which prompts are compared with the plain text.
COMPARED = ("sst2", "trec")


def names_for(
    task: str, names: Sequence[str], only: Sequence[str] | None
) -> tuple[str, ...]:
    """Return those of the templates that a task is measured with.

    `only` are the tasks that were asked for; without them a prompt takes just those on
    which prompts are compared.
    """
    prompted = COMPARED if only is None else only
    return tuple(
        name
        for name in names
        if name == PLAIN
        or (task in prompted and not (name == PAPER and task not in TASKS))
    )


def template_of(name: str, task: str, loaded: Any) -> str:
    """Return a template by its name; the paper's is that of the kind of model.

    `loaded` is the model: one that reads a mask, or one that goes on writing.
    """
    if name != PAPER:
        return name
    has_mask = loaded.family.kind == "masked" and loaded.tokenizer.mask_token
    prompts = templates.MASKED if has_mask else templates.CAUSAL
    return prompts[task].template
