"""A backbone of some shape with prompts to run: all that is measured below predict.

Here alone the benchmarks reach for skraee's engine, which has no public face.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.lines import Line
from benchmarks.speed.options import Options
from benchmarks.speed.shapes import GEMMA, SHAPES, backbone_of, exits_with_mean
from benchmarks.speed.texts import TASKS, mixed_texts, real_shares
from skraee import Template, clear_backbones, templates
from skraee.engine.batching import check_batch_tokens
from skraee.engine.cost import depth_costs
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.head import label_head
from skraee.engine.scorer import LabelScorer
from skraee.text.prompt import Prompt
from skraee.text.prompt_encoder import PromptEncoder


def measure_each(
    options: Options, figures: Callable[[Bench], list[Line]], n_texts: int | None = None
) -> None:
    """Take figures of every shape in every number format, one in memory at a time."""
    for shape in options.shapes:
        for dtype in options.dtypes:
            measure(Bench(shape, dtype, options, n_texts), options, figures)
            clear_backbones()


def measure(
    bench: Bench, options: Options, figures: Callable[[Bench], list[Line]]
) -> None:
    for figure in figures(bench):
        options.lines.add(**bench.name, texts=len(bench.prompts), **figure)


class Bench:
    """A backbone, prompts, and the plain forward over them."""

    def __init__(
        self, shape: str, dtype: str, options: Options, n_texts: int | None = None
    ) -> None:
        n_texts = n_texts or options.n_texts
        self.name = {"shape": shape, "dtype": dtype, "device": options.device}
        self.backbone = backbone_of(shape, dtype, options.device)
        self.kind = self.backbone.family.kind
        self.engine = Engine(self.backbone)
        self.head = label_head(self.backbone, [11, 13])
        if shape == GEMMA:
            self.prompts = prompts_of(mixed_texts(n_texts), self.backbone)
        else:
            self.prompts = made_up_prompts(n_texts, self.kind)

    @property
    def n_layers(self) -> int:
        return self.engine.n_layers

    def exits(self) -> np.ndarray:
        """Return real exits, or for a shape of the paper exits of the paper's mean."""
        shape, n_texts = SHAPES[self.name["shape"]], len(self.prompts)
        if shape is not None and shape.mean_exit is not None:
            return exits_with_mean(shape.mean_exit, n_texts, self.n_layers)
        shares = real_shares(n_texts, self.name["device"])
        return np.round(shares * self.n_layers).astype(np.int64)

    def full(self) -> np.ndarray:
        return np.full(len(self.prompts), self.n_layers)

    def cost(self, depths: np.ndarray) -> float:
        """Return the mean share of a full pass that depths take."""
        return float(depth_costs(self.backbone)[depths].mean())

    def run(self, depths: np.ndarray, size: int | None = None) -> None:
        """Run the prompts to these depths, in batches of a size or of the engine's."""
        batches = [np.arange(len(depths))] if size is None else self.batches(size)
        for rows in batches:
            self.run_rows(rows, depths[rows])

    def run_rows(self, rows: np.ndarray, depths: np.ndarray) -> None:
        prompts = [self.prompts[i] for i in rows]
        self.engine.run(prompts, AtGivenDepths(depths), LabelScorer(self.head))

    def sweep(self) -> None:
        self.engine.sweep(self.prompts, self.head, text_means=True)

    def batches(self, size: int) -> list[np.ndarray]:
        order = np.argsort([-len(p.ids) for p in self.prompts], kind="stable")
        return [order[i : i + size] for i in range(0, len(order), size)]

    @torch.no_grad()
    def plain_forward(self) -> None:
        """Run the base model on the same batches, padded and masked alike."""
        base = self.backbone.model.base_model
        width = max(len(prompt.ids) for prompt in self.prompts)
        tokens = check_batch_tokens("auto", self.backbone.device)
        for rows in self.batches(tokens // width):
            ids, mask = padded([self.prompts[i] for i in rows], self.backbone.device)
            options: dict[str, Any] = {}
            if self.kind != "causal":
                options["attention_mask"] = mask
            if self.kind == "seq2seq":
                options["decoder_input_ids"] = torch.zeros_like(ids[:, :1])
            if self.kind != "masked":
                options["use_cache"] = False
            base(input_ids=ids, **options)

    @torch.no_grad()
    def decode_all(self) -> None:
        """Read every depth the usual way: all of 512 positions, all of the words.

        For RoBERTa.
        """
        model, device = self.backbone.model, self.backbone.device
        for prompt in self.prompts:
            n, rest = len(prompt.ids), 512 - len(prompt.ids)
            out = model.roberta(
                torch.tensor([prompt.ids + (1,) * rest], device=device),
                attention_mask=torch.tensor([[1] * n + [0] * rest], device=device),
                output_hidden_states=True,
            )
            for hidden in out.hidden_states:
                model.lm_head(hidden)


def prompts_of(texts: list[str], backbone: Any) -> list[Prompt]:
    """Return the prompts of texts, all with one template."""
    encoder = PromptEncoder(
        Template(templates.CAUSAL[TASKS[0]].template),
        backbone.tokenizer,
        kind=backbone.family.kind,
        max_length=None,
        position_limit=backbone.position_limit,
    )
    return encoder.encode([(text,) for text in texts])


def made_up_prompts(n_texts: int, kind: str) -> list[Prompt]:
    """Make prompts of random ids with the lengths of short reviews."""
    rng = np.random.default_rng(0)
    prompts = []
    for length in rng.integers(24, 56, size=n_texts):
        ids = tuple(int(i) for i in rng.integers(5, 30_000, size=length))
        read = int(length) - (3 if kind == "masked" else 1)
        prompts.append(Prompt(ids, read, ((9, int(length) - 12),)))
    return prompts


def padded(prompts: list[Prompt], device: torch.device) -> tuple[Tensor, Tensor]:
    width = max(len(p.ids) for p in prompts)
    ids = [p.ids + p.ids[-1:] * (width - len(p.ids)) for p in prompts]
    lengths = torch.tensor([len(p.ids) for p in prompts])
    mask = (torch.arange(width) < lengths[:, None]).long()
    return torch.tensor(ids, device=device), mask.to(device)
