"""States to class scores: the model's own head, for the label words only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.families import Family
from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.head_view import StackOutput, head_view
from skraee.engine.stacks import module_at
from skraee.engine.views import float32_copy

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What heads are derived under.
_HEAD = ("head",)


class LabelHead:
    """Everything that a model does after its last layer, for some tokens only.

    Final norm, projection, transform, scaling, soft-capping are the model's own
    modules and its own forward; only the output matrix is cut to the rows of the
    label words. The head is a small float32 copy, so that label logits are float32
    whatever the backbone computes in. Over the whole vocabulary the matrix is the
    model's own and stays in its dtype, which is several times as fast in bfloat16.

    Parameters
    ----------
    model : PreTrainedModel
        The model with its head.
    family : Family
        Its row.
    token_ids : sequence of int or None
        Tokens to score, in the order of the columns; None scores the vocabulary.
    """

    @own_torch_state()
    def __init__(
        self, model: PreTrainedModel, family: Family, token_ids: Sequence[int] | None
    ) -> None:
        self._family = family
        self._final_norms = final_norms_of(model, family)
        self._head = head_view(model, family, token_ids)

    @own_torch_state()
    def __call__(self, states: Tensor, stack: int = 0) -> Tensor:
        """Score states.

        Parameters
        ----------
        states : Tensor of shape (n, H)
            States before the final norm.
        stack : int, default=0
            Which stack they come from; its final norm is applied.

        Returns
        -------
        logits : Tensor of shape (n, n_tokens), float32
        """
        normed = self._final_norms[stack](states.float())[:, None, :]
        if self._family.kind == "seq2seq":
            given = StackOutput(last_hidden_state=normed)
            out = self._head(encoder_outputs=given, decoder_inputs_embeds=normed)
        else:
            out = self._head(inputs_embeds=normed)
        logits: Tensor = out.logits[:, 0, :]
        return logits


def label_head(backbone: LoadedBackbone, token_ids: Sequence[int] | None) -> LabelHead:
    """Return a backbone's head for some tokens; made once for each choice of tokens.

    Parameters
    ----------
    backbone : LoadedBackbone
    token_ids : sequence of int or None
        Columns of the scores; None for the whole vocabulary.

    Raises
    ------
    ValueError
        If the checkpoint has no language-model head.
    """
    if not backbone.has_head:
        raise ValueError(
            f"this {backbone.model.config.model_type} checkpoint has no language-model "
            "head to read label words with (readout='lm_head'); set readout='ridge', "
            "or choose a backbone with one."
        )
    ids = None if token_ids is None else tuple(token_ids)

    def make() -> LabelHead:
        return LabelHead(backbone.model, backbone.family, ids)

    return backbone.derived((*_HEAD, ids), make)


def is_head(name: Hashable) -> bool:
    """Whether a head is what was derived of a backbone under a name."""
    return isinstance(name, tuple) and name[: len(_HEAD)] == _HEAD


def final_norms(backbone: LoadedBackbone) -> list[nn.Module]:
    """Return for each stack what follows its last layer, as float32 copies."""
    return backbone.derived(
        "final norms", lambda: final_norms_of(backbone.model, backbone.family)
    )


@own_torch_state()
def final_norms_of(model: nn.Module, family: Family) -> list[nn.Module]:
    """Make such copies for a model with its head, and its row."""
    return [_final_norm(model, family, stack) for stack in family.stacks]


def _final_norm(model: nn.Module, family: Family, stack: str) -> nn.Module:
    shared = model.get_submodule(stack)
    modules = [module_at(shared, name) for name in family.final_norms]
    return float32_copy(nn.Sequential(*[m for m in modules if m is not None]))
