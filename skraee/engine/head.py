"""States to class scores: the model's own head, for the label words only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.families import Family
from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.views import view_of

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
        self._head = _head_view(model, family, token_ids)

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
            out = self._head(encoder_outputs=(normed,), decoder_inputs_embeds=normed)
        else:
            out = self._head(inputs_embeds=normed)
        logits: Tensor = out.logits[:, 0, :]
        return logits


class _Given(nn.Module):
    """Stands where a stack was and returns the states that the head was given."""

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> Any:
        from transformers.modeling_outputs import (
            BaseModelOutputWithPastAndCrossAttentions,
        )

        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=inputs_embeds
        )


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
    """Return for each stack what follows its last layer, as float32 copies.

    Parameters
    ----------
    backbone : LoadedBackbone
    """
    return backbone.derived(
        "final norms", lambda: final_norms_of(backbone.model, backbone.family)
    )


@own_torch_state()
def final_norms_of(model: nn.Module, family: Family) -> list[nn.Module]:
    """Return for each stack what follows its last layer, as float32 copies.

    Parameters
    ----------
    model : nn.Module
    family : Family
        Its row.
    """
    return [_final_norm(model, family, stack) for stack in family.stacks]


def _final_norm(model: nn.Module, family: Family, stack: str) -> nn.Module:
    shared = model.get_submodule(stack)
    modules = [getattr(shared, name) for name in family.final_norms]
    return _float32(nn.Sequential(*[m for m in modules if m is not None]))


def _head_view(
    model: PreTrainedModel, family: Family, token_ids: Sequence[int] | None
) -> nn.Module:
    given = _Given()
    replaced: dict[str, nn.Module | None] = dict.fromkeys(family.stacks, given)
    if hasattr(model, "lm_predictions"):  # DeBERTa's head borrows the embedding rows
        weight = model.get_input_embeddings().weight
        given.embeddings = nn.Module()
        given.embeddings.word_embeddings = _rows(weight, None, token_ids)
        lm_head = view_of(model.lm_predictions.lm_head, {})
        bias = lm_head.get_parameter("bias")
        lm_head._parameters = {"bias": _parameter(bias, token_ids)}
        replaced["lm_predictions.lm_head"] = lm_head
    else:
        output = model.get_output_embeddings()
        (path,) = [name for name, m in model.named_modules() if m is output]
        if token_ids is None or type(output) is not nn.Linear:
            replaced[path] = _Whole(output, token_ids)
        else:
            replaced[path] = _rows(output.weight, output.bias, token_ids)
    view = view_of(model, replaced)
    embeddings = model.get_input_embeddings()
    for name, module in model.named_children():
        if module is embeddings:  # T5 keeps its vocabulary beside the stacks
            view._modules[name] = None
    return _float32(view)


class _Whole(nn.Module):
    """What a model ends in as it is: not copied, and in its own dtype.

    Where that is no plain matrix (one with an adapter, say), all of it runs for some
    tokens, too.
    """

    def __init__(self, output: nn.Module, token_ids: Sequence[int] | None) -> None:
        super().__init__()
        self._output = (output,)  # no submodule: the view around it is made float32
        self._tokens = slice(None) if token_ids is None else list(token_ids)

    def forward(self, states: Tensor) -> Tensor:
        (output,) = self._output
        logits: Tensor = output(states.to(next(output.parameters()).dtype))
        return logits[..., self._tokens].float()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Whole:
        return self


def _rows(
    weight: Tensor, bias: Tensor | None, token_ids: Sequence[int] | None
) -> nn.Linear:
    linear = nn.Linear(1, 1, bias=bias is not None, device="meta")
    linear.weight = _parameter(weight, token_ids)
    if bias is not None:
        linear.bias = _parameter(bias, token_ids)
    linear.out_features, linear.in_features = linear.weight.shape
    return linear


def _parameter(values: Tensor, token_ids: Sequence[int] | None) -> nn.Parameter:
    rows = values.detach() if token_ids is None else values.detach()[list(token_ids)]
    return nn.Parameter(rows, requires_grad=False)


def _float32(module: nn.Module) -> nn.Module:
    return deepcopy(module).float().eval().requires_grad_(False)
