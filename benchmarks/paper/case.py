"""A backbone and a task: what every method of the paper's tables is given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.data import UNEQUAL, Labelled, located, read_task, sample, shown_name
from benchmarks.lines import Line, Lines
from benchmarks.paper.encoders import InDtype
from benchmarks.peers import Encode, remembering
from skraee import Backbone, Encoder, templates

#: What names a line of results/paper.jsonl.
NAMING = (
    "table",
    "backbone",
    "task",
    "method",
    "setting",
    "n_fit",
    "n_test",
    "seed",
    "encoder",
    "dtype",
    "n_calibration",  # of SLEB's rows alone
)


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
    encoder_dtype: str | None = None  # in which the encoder computes; None: its own

    @cached_property
    def train(self) -> Labelled:
        texts, labels = sample(*read_task(self.task, "train"), self.n_fit, self.seed)
        n = round(self.share * len(texts))
        return texts[:n], labels[:n]

    @cached_property
    def test(self) -> Labelled:
        texts, labels = read_task(self.task, "test")
        if self.n_test is None or self.n_test >= len(texts):
            return texts, labels
        return sample(texts, labels, self.n_test, self.seed)

    def name_of(
        self, table: str, method: str, n_test: int, setting: Line | None = None
    ) -> Line:
        """Return the fields that name a line, and how many texts were asked for."""
        return {
            "table": table,
            "backbone": self.shown_backbone,
            "task": self.task,
            "method": method,
            "setting": setting,
            "n_fit": len(self.train[0]),
            "n_test": n_test,
            "seed": self.seed,
            "encoder": shown_name(self.encoder),
            "dtype": self.dtype,
            "n_calibration": self.n_calibration if is_sleb(method) else None,
            "asked": {"n_fit": self.n_fit, "n_test": self.n_test},
        }

    @property
    def shown_backbone(self) -> str:
        return shown_name(self.backbone)

    @property
    def memory(self) -> Path:
        """Return where sweeps are kept: a folder of its own for each task."""
        backbone = self.shown_backbone.replace("/", "--")
        return self.store / "sweeps" / backbone / self.task

    @property
    def loaded(self) -> Any:
        return self._backbone.load(self.dtype, self.device)

    def in_one_dtype(self) -> Case:
        """Return the same, but that the encoder computes in the backbone's dtype."""
        dtype = str(self.loaded.dtype).removeprefix("torch.")
        return replace(self, encoder_dtype=dtype)

    @cached_property
    def encoder_by_name(self) -> Encoder:
        return Encoder(located(self.encoder), device=self.device)

    @property
    def sentence_encoder(self) -> Encoder | InDtype:
        if self.encoder_dtype is None:
            return self.encoder_by_name
        return InDtype(located(self.encoder), self.encoder_dtype, self.device)

    @property
    def key_encoder(self) -> Any:
        """Return what makes RAEE's keys."""
        encoder = self.sentence_encoder
        return encoder if isinstance(encoder, Encoder) else encoder.encode

    @cached_property
    def encode(self) -> Encode:
        return remembering(self.sentence_encoder.encode)

    @property
    def class_weight(self) -> str | None:
        return "balanced" if self.task in UNEQUAL else None

    @property
    def scoring(self) -> str:
        """Return what the paper's Table 1 has of the task."""
        return "matthews_corrcoef" if self.task == "cola" else "accuracy"

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


def is_sleb(method: str) -> bool:
    """Whether a method depends on the calibration texts of SLEB's search."""
    return method.startswith("sleb")
