"""A look before a model is believed to generate: with its cache it says the same.

Once for each backbone a few prompts of several lengths go on for some tokens as they
would in a batch: behind one another, some taken back, some rows gone. What is then said
of the next token must be what the model's own forward says of the whole row, alone and
without a cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.kinds import decoder_start
from skraee.engine.agreement import ROUNDING_BY_BATCH, tolerance_of
from skraee.engine.decoding.cut_model import (
    CutModel,
    begin_rows,
    n_decoder_layers,
    refuse_no_generator,
)
from skraee.engine.probe_prompts import probes_for
from skraee.exceptions import BackboneMismatchError

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

_N_MORE = 3  # tokens that are run at once behind a prompt
# Logits add up what states are off by; those of Qwen2.5 0.5B in float32 were by 7.7e-5.
_OF_LOGITS = 3.0


def believed_to_decode(backbone: LoadedBackbone) -> LoadedBackbone:
    """Return a backbone that went on as it should when it was looked at, once.

    Raises
    ------
    ValueError
        If it is no model that generates text.
    BackboneMismatchError
        If what it says with its cache is something else.
    """
    refuse_no_generator(backbone)
    backbone.derived("decoding", lambda: check_decoding(backbone))
    return backbone


@own_torch_state()
def check_decoding(backbone: LoadedBackbone) -> None:
    """Refuse a model that goes on otherwise in a batch with a cache than alone.

    Raises
    ------
    BackboneMismatchError
        The message has by how much it is off.
    """
    prompts = [prompt.ids for prompt in probes_for(backbone)]
    room = (backbone.position_limit or 10**9) - _N_MORE - 1
    prompts = [ids[: max(1, min(len(ids), room))] for ids in prompts]
    try:
        found, behind = _with_cache(backbone, prompts)
        pairs = zip(prompts[1:], behind, strict=True)
        expected = torch.stack([_alone(backbone, *pair) for pair in pairs])
    except Exception as error:
        raise BackboneMismatchError(
            f"this {type(backbone.model).__name__} cannot generate layer by layer with "
            f"its cache ({type(error).__name__}: {error}); choose a plain model of the "
            "transformers library."
        ) from error
    # Where a model overflows its dtype, a text is generated again in float32.
    finite = expected.isfinite().all(dim=-1)
    if not finite.any():
        return
    found, expected = found[finite], expected[finite]
    gap = (found - expected).norm(dim=-1) / expected.norm(dim=-1).clamp(min=1e-6)
    rounding = max(tolerance_of(backbone), ROUNDING_BY_BATCH)
    worst, most = float(gap.max()), _OF_LOGITS * rounding
    if not worst <= most:
        raise BackboneMismatchError(
            f"this {type(backbone.model).__name__} goes on otherwise in a batch with a "
            f"cache than alone: logits are off by {worst:.2g} of their length, where "
            f"rounding explains {most:g}, so its texts would be wrong; choose a plain "
            "model of the transformers library."
        )


def _with_cache(
    backbone: LoadedBackbone, prompts: list[tuple[int, ...]]
) -> tuple[Tensor, list[list[int]]]:
    """Return logits (n - 1, V) of all but the first row, and what stands behind it."""
    last = n_decoder_layers(backbone)
    model, rows = CutModel(backbone, last), begin_rows(backbone, prompts, last)
    model.next_logits(rows, rows.entering)
    more = [list(ids[:1] * _N_MORE) for ids in prompts]
    rows.append(_N_MORE)
    at_once = torch.tensor(more, device=backbone.device)
    model.next_logits(rows, at_once)
    dropped = torch.zeros(len(prompts), dtype=torch.long, device=backbone.device)
    if backbone.family.kind == "causal":
        dropped = torch.arange(len(prompts), device=backbone.device) % _N_MORE
    rows.drop_last(dropped)
    rows.keep(torch.arange(1, len(prompts), device=backbone.device))
    rows.append(1)
    behind = [
        [*run[: _N_MORE - n], ids[-1]]
        for run, n, ids in zip(more, dropped.tolist(), prompts, strict=True)
    ][1:]
    tokens = torch.tensor([[own[-1]] for own in behind], device=backbone.device)
    return model.next_logits(rows, tokens)[:, 0], behind


def _alone(
    backbone: LoadedBackbone, prompt: tuple[int, ...], behind: list[int]
) -> Tensor:
    """Return the logits (V,) behind a row, by the model's own forward."""
    inputs: dict[str, Any]
    if backbone.family.kind == "seq2seq":
        decoded = [decoder_start(backbone.model), *behind]
        ids = torch.tensor([decoded], device=backbone.device)
        read = torch.tensor([prompt], device=backbone.device)
        inputs = {"input_ids": read, "decoder_input_ids": ids}
    else:
        row = [*prompt, *behind]
        inputs = {"input_ids": torch.tensor([row], device=backbone.device)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    out = backbone.model(**inputs, use_cache=False, return_dict=True)
    logits: Tensor = out.logits[0, -1]
    return logits.float()
