"""What a method is fitted on and judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from benchmarks.data import (
    UNEQUAL,
    Labelled,
    backbone_folder,
    read_task,
    read_test,
    sample,
)
from benchmarks.peers import Encode, remembering, sentence_encoder
from skraee import Backbone, EarlyExitClassifier, RAEEClassifier, templates

#: What stands in the place of a backbone for the peers that have none.
NONE = "none"

ELSEWHERE = {"mr": "cr", "sst2": "mpqa"}  # fitted on -> tested on
N_FIT = 2_000


@dataclass(frozen=True)
class Problem:
    """A task, a sample of its training file, and a backbone or none."""

    backbone: str
    task: str
    seed: int
    store: Path | None

    @cached_property
    def train(self) -> Labelled:
        return sample(*read_task(self.task, "train"), N_FIT, seed=self.seed)

    def test(self, name: str) -> Labelled:
        return read_test(name)

    @property
    def tests(self) -> list[str]:
        other = ELSEWHERE.get(self.task)
        return [self.task, other] if other else [self.task]

    @property
    def weightings(self) -> list[str | None]:
        return [None, "balanced"] if self.task in UNEQUAL else [None]

    @property
    def memory(self) -> Path | str:
        """Return where sweeps are kept: a folder of its own for each task."""
        if self.store is None:
            return "process"
        return self.store / self.backbone / self.task

    @cached_property
    def prompt(self) -> templates.TaskPrompt | None:
        """Return the paper's prompt; None for a sentence encoder, and without one."""
        if (backbone_folder(self.backbone) / "modules.json").is_file():
            return None
        return templates.CAUSAL.get(self.task)

    @property
    def template(self) -> str:
        return "{text}" if self.prompt is None else self.prompt.template

    @property
    def label_words(self) -> dict[str, str] | None:
        return None if self.prompt is None else self.prompt.label_words

    def dtype_of(self, encoder: str | None) -> str | None:
        """Return the number format of what reads the texts, None where no model does.

        Parameters
        ----------
        encoder : str or None
            The model folder that is read in the place of a backbone.
        """
        name = encoder if self.backbone == NONE else self.backbone
        if name is None:
            return None
        dtype = Backbone(backbone_folder(name)).load("auto").dtype
        return str(dtype).removeprefix("torch.")

    def read_ahead(self) -> None:
        """Run the texts once in the form that every method finds in the store."""
        # With words and keys beside the states, for the readouts that need them.
        reader = self.unfitted_raee(readout="ridge")
        for texts in (self.train[0], *(self.test(name)[0] for name in self.tests)):
            reader.sweep(texts)

    def reader(self) -> EarlyExitClassifier:
        """Return what reads texts for a linear probe."""
        return EarlyExitClassifier(**self._shared)

    def early_exit(self, **params: Any) -> EarlyExitClassifier:
        """Fit the classifier that stops where it is confident."""
        return EarlyExitClassifier(**self._shared, **params).fit(*self.train)

    def raee(self, **params: Any) -> RAEEClassifier:
        """Fit the classifier that stops where similar texts were answered rightly."""
        return self.unfitted_raee(**params).fit(*self.train)

    def unfitted_raee(self, **params: Any) -> RAEEClassifier:
        return RAEEClassifier(**self._shared, label_words=self.label_words, **params)

    @property
    def _shared(self) -> dict[str, Any]:
        return {
            "backbone": Backbone(backbone_folder(self.backbone)),
            "template": self.template,
            "memory": self.memory,
        }


def encode_anew(name: str) -> Encode:
    """Return what makes vectors of texts, in the dtype that a backbone would have."""
    folder = backbone_folder(name)
    loaded = Backbone(folder).load("auto")
    return sentence_encoder(folder, loaded.dtype, loaded.device)


def encode_once(name: str) -> Encode:
    """Return the same, which makes the vector of each text once."""
    return _remembering(encode_anew(name))


@cache
def _remembering(encode: Encode) -> Encode:
    return remembering(encode)
