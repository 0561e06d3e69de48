"""A model's head alone: a view without layers, its output cut to some tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from skraee.backbone.families import Family
from skraee.engine.views import float32_copy, view_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def head_view(
    model: PreTrainedModel, family: Family, token_ids: Sequence[int] | None
) -> nn.Module:
    """Return a float32 copy of a model's head, behind stacks that hand states on.

    The view is called as the model is, with the states for embeddings.

    Parameters
    ----------
    model, family
        The model with its head, and its row.
    token_ids : sequence of int or None
        Columns of the logits; None is the whole vocabulary.
    """
    given = {stack: _Given(model.get_submodule(stack)) for stack in family.stacks}
    replaced: dict[str, nn.Module | None] = {**given}
    if hasattr(model, "lm_predictions"):  # DeBERTa's head borrows the embedding rows
        weight = model.get_input_embeddings().weight
        borrowed = given[family.stacks[0]].embeddings = nn.Module()
        borrowed.word_embeddings = _rows(weight, None, token_ids)
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
    if token_ids is not None:  # BART keeps a bias of the whole vocabulary beside it
        n_ids = len(model.get_output_embeddings().weight)
        view._buffers = {
            name: _columns(values, n_ids, token_ids)
            for name, values in view._buffers.items()
        }
    embeddings = model.get_input_embeddings()
    for name, module in model.named_children():
        if module is embeddings:  # T5 keeps its vocabulary beside the stacks
            view._modules[name] = None
    return float32_copy(view)


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


def _columns(
    values: Tensor | None, n_ids: int, token_ids: Sequence[int]
) -> Tensor | None:
    """Return the columns of some tokens, where there is one for each token."""
    if values is None or values.ndim == 0 or values.shape[-1] != n_ids:
        return values
    return values[..., list(token_ids)]


class _Given(nn.Module):
    """Stands where a stack was and returns the states that the head was given."""

    def __init__(self, stack: nn.Module) -> None:
        super().__init__()
        # Some heads ask the stack for its settings: a scale of logits, say.
        settings = {
            name: value
            for name, value in vars(stack).items()
            if isinstance(value, (int, float)) or name == "config"
        }
        self.__dict__ = {**settings, **self.__dict__}

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> Any:
        return StackOutput(last_hidden_state=inputs_embeds)


class StackOutput(dict[str | int, Any]):
    """What a stack gives, as the library's classes are read: all else is None."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)

    def __missing__(self, key: str | int) -> Any:
        if key == 0:
            return self["last_hidden_state"]
        raise KeyError(key)
