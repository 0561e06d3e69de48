"""A look before a model is believed: layer by layer it answers as it does whole.

What skraee runs is a view of a model, whose layers stand behind gates. At load a few
prompts go through the view, and through the model's own forward with
``output_hidden_states=True``: they must agree at every position of every depth, where
rows leave on the way, and at the head. So an odd model, or a wrong row in
:mod:`skraee.backbone.families`, is an error and never a wrong answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.output_flags import twin_of
from skraee.engine.batch import Batch
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.gates import GoingOn, layers_of
from skraee.engine.head import LabelHead, final_norms
from skraee.engine.rotation import rotations_of, sides_of
from skraee.engine.row_exits import Scoring
from skraee.exceptions import BackboneMismatchError
from skraee.text.prompt import Prompt

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

# Tokens of the probes: several lengths, so that there is padding.
_LENGTHS = (40, 10, 7, 5, 3)
# So many of them are the same in all, as the words before a template's text.
_N_SHARED = 2
# Tokens that the head scores.
_N_SCORED = 64

# How far states may be apart, in shares of their own length. Other kernels and batches
# moved them by up to 2.3e-6, 1.4e-3 and 2.1e-2 (tiny models of all families, and Gemma
# 3 270M on a CPU).
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
# The names of torch for products of fewer bits within float32.
_PRODUCTS = {"high": torch.float16, "medium": torch.bfloat16}

_WAY_OUT = (
    "so its answers would be wrong; give the plain model of the transformers library, "
    "without what was patched or wrapped around it."
)


def believed(backbone: LoadedBackbone) -> LoadedBackbone:
    """Return a backbone that agreed when it was looked at, which is once.

    Parameters
    ----------
    backbone : LoadedBackbone

    Raises
    ------
    BackboneMismatchError
        As in :func:`check_agreement`.
    """
    backbone.derived("agreement", lambda: check_agreement(backbone))
    return backbone


@own_torch_state()
def check_agreement(backbone: LoadedBackbone) -> None:
    """Refuse a model whose layers, run one by one, are not the model.

    Parameters
    ----------
    backbone : LoadedBackbone
        Left as it is.

    Raises
    ------
    BackboneMismatchError
        If its view and its own forward disagree; the message names the first depth.
    """
    backbone = replace(backbone, _derived={})  # of probes nothing is kept
    with _telling(backbone, "cannot be run layer by layer"):
        prompts = _probes(backbone)
    with _telling(backbone, "cannot be run"):
        own = _own_pass(backbone, prompts)
    # Where a model overflows its dtype, the engine runs a text again in float32.
    finite = [row for row in range(len(prompts)) if own.is_finite(row)]
    if finite:
        prompts = [prompts[row] for row in finite]
        with _telling(backbone, "cannot be run layer by layer"):
            _compare(backbone, prompts, own.take(finite))


def _compare(
    backbone: LoadedBackbone, prompts: Sequence[Prompt], own: _OwnPass
) -> None:
    states = _states(backbone, prompts)
    if len(states) != len(own.states):
        raise BackboneMismatchError(
            f"{_name(backbone)} has {len(own.states) - 1} layers, of which "
            f"{len(states) - 1} were found, {_WAY_OUT}"
        )
    lengths = [len(prompt.ids) for prompt in prompts]
    for depth, (found, expected) in enumerate(zip(states, own.states, strict=True)):
        where = f"the states of depth {depth}"
        _refuse_gap(backbone, where, _real(found, lengths), _real(expected, lengths))
    for depth, found, expected in _ends(backbone, prompts, states, own):
        _refuse_gap(backbone, f"what is read of depth {depth}", found, expected)
    for depth, found, expected in _leaving(backbone, prompts, states):
        where = f"the states of texts that leave at depth {depth}"
        _refuse_gap(backbone, where, found, expected)


def _refuse_gap(
    backbone: LoadedBackbone, what: str, found: Tensor, expected: Tensor
) -> None:
    """Refuse rows (n, width) that are further apart than rounding explains."""
    gap = torch.linalg.vector_norm(found.float() - expected.float(), dim=-1)
    size = torch.linalg.vector_norm(expected.float(), dim=-1)
    worst = float((gap / size.clamp(min=1e-6)).max())
    tolerance = _tolerance(backbone.dtype)
    if not worst <= tolerance:  # also where it is not a number
        raise BackboneMismatchError(
            f"{_name(backbone)} answers otherwise when its layers are run one by one: "
            f"{what} are off by {worst:.2g} of their length, where rounding explains "
            f"{tolerance:g}, {_WAY_OUT}"
        )


def _tolerance(dtype: torch.dtype) -> float:
    products = _PRODUCTS.get(torch.get_float32_matmul_precision(), dtype)
    return max(_TOLERANCE[dtype], _TOLERANCE[products])


def _probes(backbone: LoadedBackbone) -> list[Prompt]:
    """Return prompts of ordinary tokens, without the tokenizer's marks."""
    marks = backbone.tokenizer.control_ids | {backbone.model.config.pad_token_id}
    plain = np.array(sorted(set(range(backbone.n_token_ids)) - marks))
    rng = np.random.default_rng(0)
    ids = [rng.choice(plain, size=length) for length in _lengths(backbone)]
    return [_probe((*ids[0][:_N_SHARED], *own[_N_SHARED:])) for own in ids]


def _lengths(backbone: LoadedBackbone) -> list[int]:
    """Return the probes' lengths: such that they may share a batch."""
    longest = min(backbone.position_limit or max(_LENGTHS), max(_LENGTHS))
    lengths = [min(length, longest) for length in _LENGTHS]
    sides = sides_of(rotations_of(backbone.model, backbone.family), lengths)
    if sides is None:
        return lengths
    pairs = zip(lengths, sides, strict=True)
    return [length for length, side in pairs if side == sides[-1]]


def _probe(ids: Sequence[np.int64]) -> Prompt:
    n_prefix = min(_N_SHARED, len(ids) - 1)
    spans = ((n_prefix, len(ids)),)
    return Prompt(tuple(map(int, ids)), len(ids) - 1, spans, n_prefix=n_prefix)


@dataclass
class _OwnPass:
    """What a model's own forward gives.

    Attributes
    ----------
    states : list of Tensor of shape (n, T, H)
        Of every depth, before what closes a stack; of a decoder T is 1.
    closed : list of Tensor of shape (n, T, H)
        For each stack its output.
    logits : Tensor of shape (n, T, V) or None
    """

    states: list[Tensor]
    closed: list[Tensor]
    logits: Tensor | None

    def is_finite(self, row: int) -> bool:
        """Whether all states of a row are numbers."""
        return all(bool(states[row].isfinite().all()) for states in self.states)

    def take(self, rows: Sequence[int]) -> _OwnPass:
        """Return some rows."""
        logits = None if self.logits is None else self.logits[rows]
        states, closed = ([x[rows] for x in y] for y in (self.states, self.closed))
        return _OwnPass(states, closed, logits)


@torch.no_grad()
def _own_pass(backbone: LoadedBackbone, prompts: Sequence[Prompt]) -> _OwnPass:
    # Hooks, ours and the library's, are put on a copy that shares the weights.
    model, family = twin_of(backbone.model), backbone.family
    lasts = [_Output(layers_of(model, family, stack)[-1]) for stack in family.stacks]
    stacks = [_Output(model.get_submodule(stack)) for stack in family.stacks]
    out = model(**_inputs(backbone, prompts))
    if family.kind == "seq2seq":  # a decoder's embedding is no depth of its own
        listed = [out.encoder_hidden_states, out.decoder_hidden_states[1:]]
    else:
        listed = [out.hidden_states]
    states: list[Tensor] = []
    for of_stack, last in zip(listed, lasts, strict=True):
        # The library's last one is that behind the final norm.
        states += [*of_stack[:-1], last.tensor]
    closed = [stack.tensor for stack in stacks]
    return _OwnPass(states, closed, out.logits if backbone.has_head else None)


class _Output:
    """The last output of a module."""

    def __init__(self, module: nn.Module) -> None:
        self.tensor = torch.empty(0)
        module.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, args: Any, out: Any) -> None:
        self.tensor = out if isinstance(out, Tensor) else out[0]


def _inputs(backbone: LoadedBackbone, prompts: Sequence[Prompt]) -> dict[str, Any]:
    lengths = torch.tensor([[len(prompt.ids)] for prompt in prompts])
    width = int(lengths.max())
    ids = [p.ids + p.ids[-1:] * (width - len(p.ids)) for p in prompts]
    inputs: dict[str, Any] = {
        "input_ids": torch.tensor(ids, device=backbone.device),
        "attention_mask": (torch.arange(width) < lengths).long().to(backbone.device),
        "output_hidden_states": True,
        "return_dict": True,
    }
    if backbone.family.kind != "masked":
        inputs["use_cache"] = False
    if backbone.family.kind == "seq2seq":
        start = backbone.model.config.decoder_start_token_id
        first = torch.full((len(prompts), 1), start, device=backbone.device)
        inputs["decoder_input_ids"] = first
    return inputs


def _states(backbone: LoadedBackbone, prompts: Sequence[Prompt]) -> list[Tensor]:
    """Return the view's states of every depth: (n, T, H)."""
    found: list[Tensor] = []

    def visit(depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
        found.append(hidden)
        return None

    Engine(backbone, reuse_prefix=False).visit(prompts, visit)
    return found


def _real(states: Tensor, lengths: Sequence[int]) -> Tensor:
    """Return the states (N, H) of all tokens that are no padding."""
    return torch.cat([row[:n] for row, n in zip(states, lengths, strict=True)])


def _ends(
    backbone: LoadedBackbone,
    prompts: Sequence[Prompt],
    states: Sequence[Tensor],
    own: _OwnPass,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield what closes each stack, and what the head makes of the last."""
    lengths = [len(prompt.ids) for prompt in prompts]
    last = len(states) - 1
    depths = [Engine(backbone).n_encoder_layers, last][-len(own.closed) :]
    for stack, depth in enumerate(depths):
        closed = final_norms(backbone)[stack](_real(states[depth], lengths).float())
        yield depth, closed, _real(own.closed[stack], lengths)
    if own.logits is not None:
        whole = _read(prompts, own.logits)
        ids = np.linspace(0, whole.shape[1] - 1, _N_SCORED).astype(int).tolist()
        head = LabelHead(backbone.model, backbone.family, ids)
        scores = head(_read(prompts, states[last]), len(own.closed) - 1)
        yield last, scores, whole[:, ids]


def _leaving(
    backbone: LoadedBackbone, prompts: Sequence[Prompt], states: Sequence[Tensor]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield what is read of texts that leave one after the other."""
    last = len(states) - 1
    depths = np.linspace(last, 0, len(prompts)).astype(int)
    run = Engine(backbone).run(prompts, AtGivenDepths(depths), _StatesAsScores())
    for row, depth in enumerate(depths):
        expected = _read(prompts, states[depth])[row]
        yield int(depth), torch.from_numpy(run.scores[row]), expected.float().cpu()


class _StatesAsScores:
    """In place of a head: the states as they are."""

    def begin(self, batch: Batch) -> Scoring:
        """Start a batch."""
        return _ReadStates(batch)


class _ReadStates:
    sees_every_depth = False

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def read(self, depth: int, hidden: Tensor, rows: Tensor) -> Tensor:
        return self._batch.read(depth, hidden, rows)

    def scores(self, read: Tensor, *, in_decoder: bool) -> Tensor:
        return read.float()


def _read(prompts: Sequence[Prompt], states: Tensor) -> Tensor:
    """Return what stands at the read positions, of a decoder at its only one."""
    width = states.shape[1]
    return torch.stack(
        [row[min(p.read, width - 1)] for row, p in zip(states, prompts, strict=True)]
    )


@contextmanager
def _telling(backbone: LoadedBackbone, what: str) -> Iterator[None]:
    """Turn whatever a model raises into one error that names it."""
    try:
        yield
    except (BackboneMismatchError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise BackboneMismatchError(
            f"{_name(backbone)} {what} ({type(error).__name__}: {error}), {_WAY_OUT}"
        ) from error


def _name(backbone: LoadedBackbone) -> str:
    return f"the {type(backbone.model).__name__} of the backbone"
