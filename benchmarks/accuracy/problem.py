"""What a method is fitted on and judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.data import UNEQUAL, Labelled, backbone_folder, read_task, sample
from benchmarks.peers import Encode, remembering
from skraee import Backbone, EarlyExitClassifier, Encoder, RAEEClassifier, templates

ELSEWHERE = {"mr": "cr", "sst2": "mpqa"}  # fitted on -> tested on
ENCODER = "minilm-l6"
N_FIT = 2_000


@dataclass(frozen=True)
class Problem:
    """A task, a backbone, and a sample of the training file."""

    backbone: str
    task: str
    seed: int
    store: Path | None

    @cached_property
    def train(self) -> Labelled:
        return sample(*read_task(self.task, "train"), N_FIT, seed=self.seed)

    @property
    def tests(self) -> list[str]:
        other = ELSEWHERE.get(self.task)
        return [self.task, other] if other else [self.task]

    @property
    def weightings(self) -> list[str | None]:
        return [None, "balanced"] if self.task in UNEQUAL else [None]

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder(backbone_folder(ENCODER))

    @cached_property
    def encode(self) -> Encode:
        return remembering(self.encoder.encode)

    @property
    def memory(self) -> Path | str:
        """Return where sweeps are kept: a folder of its own for each task."""
        if self.store is None:
            return "process"
        return self.store / self.backbone / self.task

    def raee(self, **params: Any) -> RAEEClassifier:
        """Fit RAEE with the paper's prompt."""
        words = templates.CAUSAL[self.task].label_words
        clf = RAEEClassifier(**{**self._shared, "label_words": words, **params})
        return clf.fit(*self.train)

    def early_exit(self, **params: Any) -> EarlyExitClassifier:
        """Fit the classifier that stops where it is confident."""
        return EarlyExitClassifier(**{**self._shared, **params}).fit(*self.train)

    def ridge(
        self, exit_by: str, **params: Any
    ) -> EarlyExitClassifier | RAEEClassifier:
        """Fit the closed-form readout; confidence or retrieval chooses the exits."""
        if exit_by == "confidence":
            return self.early_exit(**params)
        return self.raee(readout="ridge", **params)

    @property
    def _shared(self) -> dict[str, Any]:
        return {
            "backbone": Backbone(backbone_folder(self.backbone)),
            "template": templates.CAUSAL[self.task].template,
            "memory": self.memory,
        }
