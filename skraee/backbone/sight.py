"""Whether a decoder looks ahead: some were turned into encoders, and are read as such.

EmbeddingGemma is a Gemma 3 whose tokens see all others. Which setting says so differs
from model to model, so it is seen from the model itself: does another last token change
the states of the first?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.embeddings import n_token_ids
from skraee.backbone.families import Family
from skraee.backbone.output_flags import takes_option

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from skraee.text.tokenizer import TextTokenizer

# In units of the dtype's rounding. A causal model's first state stays the same to the
# last bit, but where experts share a product with other tokens.
_MORE_THAN_ROUNDING = 16


def as_it_sees(
    model: PreTrainedModel, family: Family, tokenizer: TextTokenizer
) -> Family:
    """Return a family's row, of kind "masked" where its decoder looks ahead.

    Its prompts are closed as an encoder's are, padding is hidden from it by a mask, and
    no first tokens are run apart.

    Parameters
    ----------
    model : PreTrainedModel
    family : Family
        As its type has it.
    tokenizer : TextTokenizer
    """
    if family.kind == "causal" and looks_ahead(model, family, tokenizer):
        return replace(family, kind="masked")
    return family


@own_torch_state()
def looks_ahead(
    model: PreTrainedModel, family: Family, tokenizer: TextTokenizer
) -> bool:
    """Whether the last of two tokens changes the states of the first.

    Parameters
    ----------
    model : PreTrainedModel
        It runs once, on two texts of two tokens.
    family : Family
        Its row.
    tokenizer : TextTokenizer
        Tells ordinary tokens.
    """
    first, *lasts = _ordinary_tokens(n_token_ids(model), tokenizer)
    try:
        stack = model.get_submodule(family.stacks[0])
        one, other = _first_states(stack, [(first, last) for last in lasts])
    except Exception:  # the look at its agreement says what is wrong with it
        return False
    moved = torch.linalg.vector_norm(one - other)
    rounding = _MORE_THAN_ROUNDING * torch.finfo(model.dtype).eps
    return bool(moved > rounding * torch.linalg.vector_norm(one))


def _first_states(stack: nn.Module, ids: Sequence[tuple[int, int]]) -> Tensor:
    device = next(stack.parameters()).device
    options: dict[str, Any] = {}
    if takes_option(stack.forward, "use_cache"):
        options["use_cache"] = False
    out = stack(input_ids=torch.tensor(ids, device=device), **options)
    states: Tensor = out.last_hidden_state[:, 0].float()
    return states


def _ordinary_tokens(n_ids: int, tokenizer: TextTokenizer, n: int = 3) -> list[int]:
    """Return ids far from each other, none of which is a mark."""
    plain = sorted(set(range(n_ids)) - tokenizer.control_ids)
    return [plain[len(plain) * (i + 1) // (n + 1)] for i in range(n)]
