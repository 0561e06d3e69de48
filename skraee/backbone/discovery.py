"""Where a model's layers are, read off the model itself: no row is needed.

A few tokens go through the model's own forward, and every module's call is noted. The
layers are the module list whose members are called, one after the other, with the
states that the model itself calls its hidden states; what is called behind the last of
them, each with what the one before gave, closes the stack. Nothing is believed for
that: like any other backbone, the model is looked at depth by depth before it answers
(:mod:`skraee.engine.agreement`).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.claims import refuse_no_layers
from skraee.backbone.families import FAMILIES, SUCH_AS, Family, Kind
from skraee.backbone.kinds import decoder_start
from skraee.backbone.output_flags import takes_option, twin_of
from skraee.backbone.trace import Call, Trace, is_within, tracing

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_N_TEXTS, _N_TOKENS = 2, 7
# What configurations call the number of positions.
_LIMITS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")


class UndiscoveredError(Exception):
    """Nothing in a model looks like a stack of layers that reads token ids."""


def family_in(model: PreTrainedModel, kind: Kind) -> Family:
    """Return how a model is laid out: by its type's row, or as it is found to be.

    Parameters
    ----------
    model : PreTrainedModel
        With its head, or the stack alone; left as it is.
    kind : {"masked", "causal", "seq2seq"}
        Which prompt it reads.

    Raises
    ------
    ValueError
        If it has no layers, or its type has no row and it does not show them.
    """
    refuse_no_layers(model)
    row = FAMILIES.get(model.config.model_type)
    if row is not None and row.kind == kind:
        return _as_in(model, row)
    _refuse_block_sparse(model)
    try:
        return discovered(model, kind)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, UndiscoveredError) else repr(error)
        raise ValueError(
            f"backbones like this {type(model).__name__} (type "
            f"{model.config.model_type!r}) are not supported: {reason}; choose a plain "
            f"model of the transformers library, {SUCH_AS}."
        ) from error


def _refuse_block_sparse(model: PreTrainedModel) -> None:
    if getattr(model.config, "attention_type", None) == "block_sparse":
        raise ValueError(
            f"this {type(model).__name__} has attention_type='block_sparse', with "
            "which a text's answer hangs on the length of its batch; set it to "
            "'original_full' in its configuration (config.json), of which block_sparse "
            "is an approximation."
        )


def _as_in(model: PreTrainedModel, row: Family) -> Family:
    """Return a row with the paths as a model has them that may be the stack alone."""
    prefix = model.base_model_prefix
    if row.kind == "seq2seq" or hasattr(model, prefix):
        return row
    stacks = [stack.removeprefix(prefix).removeprefix(".") for stack in row.stacks]
    return replace(row, stacks=tuple(stacks))


def discovered(model: PreTrainedModel, kind: Kind) -> Family:
    """Return the row that a model would have among the families.

    Parameters
    ----------
    model : PreTrainedModel
        With its head or without one; left as it is.
    kind : {"masked", "causal", "seq2seq"}
        Which prompt it reads.

    Raises
    ------
    UndiscoveredError
        If no list of layers makes the states that the model says it makes, or what
        follows the last layer is no chain of modules.
    """
    trace, states_of_stacks = _traced(model, kind)
    stacks = [_Stack.of(model, trace, states) for states in states_of_stacks]
    first = stacks[0]
    if any(stack.layout != first.layout for stack in stacks):
        raise UndiscoveredError("its encoder and its decoder differ in their layout")
    limit = _limit_of_tables(model, trace)
    return Family(
        kind,
        tuple(stack.path for stack in stacks),
        first.layers,
        first.final_norms,
        positions=lambda config: _least(limit, _limit_that_is_said(config)),
        between=first.between,
        is_discovered=True,
    )


@dataclass(frozen=True)
class _Stack:
    """A stack of layers, by paths; all but its own are paths within it."""

    path: str
    layers: str
    final_norms: tuple[str, ...]
    between: tuple[str, ...]

    @property
    def layout(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        return self.layers, self.final_norms, self.between

    @classmethod
    def of(cls, model: nn.Module, trace: Trace, states: Sequence[Tensor]) -> _Stack:
        layers, calls = _layers(model, trace, states)
        stack = _reading_ids(model, layers)
        inner = f"{stack}." if stack else ""

        def inside(paths: Sequence[str]) -> tuple[str, ...]:
            return tuple(path.removeprefix(inner) for path in paths)

        return cls(
            stack,
            layers.removeprefix(inner),
            inside(_closing(trace, stack, calls[-1])),
            inside(_between(trace, stack, calls)),
        )


def _layers(
    model: nn.Module, trace: Trace, states: Sequence[Tensor]
) -> tuple[str, list[Call]]:
    """Find the list whose members are called with these states, in their order."""
    n_layers = len(states) - 1
    for path, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or len(module) != n_layers:
            continue
        calls = [call for i in range(n_layers) for call in trace.of(f"{path}.{i}")]
        if len(calls) == n_layers and all(
            _is_equal(call.given, state)
            for call, state in zip(calls, states[:-1], strict=True)
        ):
            return path, calls
    raise UndiscoveredError(
        f"no list of {n_layers} layers is called with the states of its depths, one "
        "layer after the other"
    )


def _reading_ids(model: nn.Module, layers: str) -> str:
    """Return the innermost module around the layers that is called with token ids."""
    parts = layers.split(".")[:-1]
    for n in range(len(parts), -1, -1):
        path = ".".join(parts[:n])
        taken = inspect.signature(type(model.get_submodule(path)).forward).parameters
        if {"input_ids", "attention_mask"} <= taken.keys():
            return path
    raise UndiscoveredError(
        "no module around its layers is called with token ids and a mask of padding"
    )


def _closing(trace: Trace, stack: str, last: Call) -> list[str]:
    """Return what closes a stack: each is called with what the one before gave."""
    state, output, found = last.made, trace.of(stack)[-1].made, []
    for call in trace.within(stack):
        if _is_equal(state, output):
            break
        is_next = call.begun > last.ended and state is not None and call.given is state
        if is_next and call.made is not None:
            found.append(call.path)
            state = call.made
    if not _is_equal(state, output):
        raise UndiscoveredError("what follows its last layer is no chain of modules")
    return found


def _between(trace: Trace, stack: str, calls: Sequence[Call]) -> list[str]:
    """Return the modules that are called between two layers, outermost ones only."""
    pauses = [(a.ended, b.begun) for a, b in pairwise(calls)]
    found = dict.fromkeys(
        call.path
        for call in trace.within(stack)
        if any(before < call.begun < after for before, after in pauses)
    )
    return [path for path in found if not any(is_within(path, o) for o in found)]


def _limit_of_tables(model: nn.Module, trace: Trace) -> int | None:
    """Return how many positions the tables have that are read from place to place."""
    limits = []
    for call in trace.calls:
        module, places = model.get_submodule(call.path), call.given
        if isinstance(module, nn.Embedding) and places is not None:
            first = int(places.flatten()[0])
            row = torch.arange(first, first + _N_TOKENS, device=places.device)
            if places.shape[-1] == _N_TOKENS and bool((places == row).all()):
                limits.append(module.num_embeddings - first)
    return min(limits, default=None)


def _limit_that_is_said(config: Any) -> int | None:
    text = config.get_text_config()
    said = (getattr(text, name, None) for name in _LIMITS)
    return next((n for n in said if isinstance(n, int) and n > 0), None)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


@own_torch_state()
def _traced(model: PreTrainedModel, kind: Kind) -> tuple[Trace, list[list[Tensor]]]:
    """Run a few tokens; return all calls, and the states of each stack's depths."""
    twin = twin_of(model)  # it gets hooks, and shares the weights
    inputs = _inputs(model, kind)
    with tracing(twin) as trace:
        out = twin(**inputs, output_hidden_states=True, return_dict=True)
    of_stacks = ("encoder_", "decoder_") if kind == "seq2seq" else ("",)
    listed = [getattr(out, f"{name}hidden_states", None) or () for name in of_stacks]
    if any(len(states) < 2 for states in listed):
        raise UndiscoveredError("it does not say what its hidden states are")
    return trace, [list(states) for states in listed]


def _inputs(model: PreTrainedModel, kind: Kind) -> dict[str, Any]:
    n_ids = model.config.get_text_config().vocab_size
    # No two neighbours are alike, and none counts on as positions do.
    ids = 3 + 2 * torch.arange(_N_TEXTS * _N_TOKENS, device=model.device)
    ids = (ids % n_ids).view(_N_TEXTS, _N_TOKENS)
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if kind == "seq2seq":
        inputs["decoder_input_ids"] = torch.full_like(ids[:, :1], decoder_start(model))
    if kind != "masked" and takes_option(model.forward, "use_cache"):
        inputs["use_cache"] = False
    return inputs


def _is_equal(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return False
    return a is b or (a.shape == b.shape and torch.equal(a, b))
