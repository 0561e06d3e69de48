"""What is fitted on, and judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmarks.data import (
    UNEQUAL,
    Labelled,
    backbone_folder,
    read_task,
    read_test,
    sample,
)
from benchmarks.lines import Line
from benchmarks.peers import Encode, sentence_encoder
from skraee import Backbone


@dataclass(frozen=True)
class Problem:
    """A backbone and a task, with the templates that take turns on it."""

    backbone: str
    task: str
    seed: int
    templates: tuple[str, ...]
    n_train: int
    n_test: int | None
    dtype: str

    @property
    def name(self) -> Line:
        """Return what its lines have in common."""
        return {
            "backbone": self.backbone,
            "dtype": str(self.loaded.dtype).removeprefix("torch."),
            "task": self.task,
            "seed": self.seed,
            "n_train": self.n_train,
            "n_test": len(self.test[0]),
        }

    @cached_property
    def train(self) -> Labelled:
        return sample(*read_task(self.task, "train"), self.n_train, self.seed)

    @cached_property
    def test(self) -> Labelled:
        return read_test(self.task, self.n_test)

    @property
    def class_weight(self) -> Literal["balanced"] | None:
        return "balanced" if self.task in UNEQUAL else None

    @property
    def folder(self) -> Path:
        return backbone_folder(self.backbone)

    @property
    def loaded(self) -> Any:
        """Return the model in memory, which the process loads once."""
        return Backbone(self.folder).load(self.dtype)

    @property
    def is_sentence_encoder(self) -> bool:
        return (self.folder / "modules.json").is_file()

    @property
    def encode(self) -> Encode:
        """Return what makes vectors of texts, as the encoder's folder says."""
        return sentence_encoder(self.folder, self.loaded.dtype, self.loaded.device)
