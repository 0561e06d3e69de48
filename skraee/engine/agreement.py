"""A look before a model is believed: layer by layer it answers as it does whole.

What skraee runs is a view of a model, whose layers stand behind gates. At load a few
prompts go through the view, and through the model's own forward with
``output_hidden_states=True``: they must agree at every position of every depth, where
rows leave on the way, and at the head. What the model says of a prompt in a batch must
be what it says of it alone, and none of its settings may change on the way. So an odd
model, or a wrong row in :mod:`skraee.backbone.families`, is an error and never a wrong
answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from skraee.backbone.ambient import own_torch_state
from skraee.backbone.settings_hash import settings_hash_of
from skraee.engine.engine import Engine
from skraee.engine.exit_policy import AtGivenDepths
from skraee.engine.head import LabelHead, final_norms
from skraee.engine.own_pass import OwnForward, OwnPass
from skraee.engine.probe_prompts import probes_for
from skraee.engine.products import PACKED_WEIGHTS, PackedWeights
from skraee.engine.rows import GoingOn
from skraee.engine.scorer import LabelScorer
from skraee.exceptions import BackboneMismatchError
from skraee.text.prompt import Prompt

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone

# Tokens that the head scores.
_N_SCORED = 64

# How far states may be apart, in shares of their own length. Other kernels and batches
# moved them by up to 2.3e-6, 1.4e-3 and 2.1e-2 (tiny models of all families, and Gemma
# 3 270M on a CPU).
_TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 1e-1}
# In batches of other lengths or numbers of rows sums are taken in other orders: of all
# types made tiny, those that ignore padding were off by up to 1.6e-5 in float32, those
# that see it by 0.25 or more; of Qwen2.5 0.5B by 3.4e-5, or 1.7e-5 where rows leave.
ROUNDING_BY_BATCH = 1e-4
# The names of torch for products of fewer bits within float32.
_PRODUCTS = {"high": torch.float16, "medium": torch.bfloat16}

_IN_A_BATCH = "in a batch, whose padding it sees"

_WAY_OUT = (
    "so its answers would be wrong; give the plain model of the transformers library, "
    "without what was patched or wrapped around it."
)


def believed(backbone: LoadedBackbone) -> LoadedBackbone:
    """Return a backbone that agreed when it was looked at, which is once.

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

    Raises
    ------
    BackboneMismatchError
        If its view and its own forward disagree; the message names the first depth.
    """
    # Of probes nothing is kept, and weights are not laid out twice for them: products
    # of those are others by rounding, which some models make much larger.
    plain: dict[Hashable, Any] = {PACKED_WEIGHTS: PackedWeights(room=0)}
    backbone = replace(backbone, _derived=plain)
    settings = settings_hash_of(backbone.model)
    with _telling(backbone, "cannot be run layer by layer"):
        prompts = probes_for(backbone)
    with _telling(backbone, "cannot be run"):
        own_forward = OwnForward(backbone)
        own = own_forward(prompts)
    # Where a model overflows its dtype, the engine runs a text again in float32.
    finite = [row for row in range(len(prompts)) if own.is_finite(row)]
    if finite:
        prompts, own = [prompts[row] for row in finite], own.take(finite)
        with _telling(backbone, "cannot be run"):
            _compare_with_alone(backbone, prompts, own, own_forward)
        with _telling(backbone, "cannot be run layer by layer"):
            _compare(backbone, prompts, own)
    if settings_hash_of(backbone.model) != settings:
        raise BackboneMismatchError(
            f"{_name(backbone)} changes its own settings while it runs, {_WAY_OUT}"
        )


def _compare_with_alone(
    backbone: LoadedBackbone,
    prompts: Sequence[Prompt],
    own: OwnPass,
    own_forward: OwnForward,
) -> None:
    """Refuse a model whose answer for a text hangs on the texts beside it."""
    for row in sorted({len(prompts) - 1, len(prompts) // 2} - {0}):
        n = len(prompts[row].ids)
        alone = own_forward([prompts[row]])
        pairs = zip(alone.states, own.states, strict=True)
        for depth, (found, batched) in enumerate(pairs):
            what = f"of a text alone and beside longer ones the states of depth {depth}"
            gap = batched[row][:n], found[0][:n]
            _refuse_gap(backbone, what, *gap, _IN_A_BATCH, ROUNDING_BY_BATCH)


def _compare(backbone: LoadedBackbone, prompts: Sequence[Prompt], own: OwnPass) -> None:
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
        _refuse_gap(backbone, where, found, expected, rounding=ROUNDING_BY_BATCH)


def _refuse_gap(
    backbone: LoadedBackbone,
    what: str,
    found: Tensor,
    expected: Tensor,
    when: str = "when its layers are run one by one",
    rounding: float = 0.0,
) -> None:
    """Refuse rows (n, width) that are further apart than rounding explains."""
    gap = torch.linalg.vector_norm(found.float() - expected.float(), dim=-1)
    size = torch.linalg.vector_norm(expected.float(), dim=-1)
    worst = float((gap / size.clamp(min=1e-6)).max())
    tolerance = max(tolerance_of(backbone), rounding)
    if not worst <= tolerance:  # also where it is not a number
        raise BackboneMismatchError(
            f"{_name(backbone)} answers otherwise {when}: "
            f"{what} are off by {worst:.2g} of their length, where rounding explains "
            f"{tolerance:g}, {_WAY_OUT}"
        )


def tolerance_of(backbone: LoadedBackbone) -> float:
    """Return how far rounding may move a backbone's states, in shares of their length.

    Parameters
    ----------
    backbone : LoadedBackbone
    """
    dtype = backbone.dtype
    products = _PRODUCTS.get(torch.get_float32_matmul_precision(), dtype)
    return max(_TOLERANCE[dtype], _TOLERANCE[products])


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
    own: OwnPass,
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield what closes each stack, and what the head makes of the last."""
    lengths = [len(prompt.ids) for prompt in prompts]
    last = len(states) - 1
    depths = [Engine(backbone).n_encoder_layers, last][-len(own.closed) :]
    for stack, depth in enumerate(depths):
        closed = final_norms(backbone)[stack](_real(states[depth], lengths).float())
        yield depth, closed, _real(own.closed[stack], lengths)
    if own.logits is not None:
        ids = np.linspace(0, own.logits.shape[1] - 1, _N_SCORED).astype(int).tolist()
        head = LabelHead(backbone.model, backbone.family, ids)
        scores = head(_read(prompts, states[last]), len(own.closed) - 1)
        yield last, scores, own.logits[:, ids]


def _leaving(
    backbone: LoadedBackbone, prompts: Sequence[Prompt], states: Sequence[Tensor]
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield what is read of texts that leave one after the other.

    Long ones go deepest, then short ones, which see most of the first tokens; then each
    beside copies, of which half leave first: those that go on are packed again.
    """
    last = len(states) - 1
    falling = np.linspace(last, 0, len(prompts)).astype(int)
    as_they_are = LabelScorer(lambda states, stack: states.float())
    together = Engine(backbone)
    fours = Engine(backbone, batch_tokens=4 * max(len(p.ids) for p in prompts))
    rising = np.linspace(0, last, 4 * len(prompts)).astype(int)
    for engine, depths in (
        (together, falling),
        (together, falling[::-1]),
        (fours, rising),
    ):
        n_times = len(depths) // len(prompts)
        policy = AtGivenDepths(depths)
        run = engine.run([*prompts] * n_times, policy, as_they_are)
        for row, depth in enumerate(depths):
            expected = _read(prompts, states[depth])[row % len(prompts)]
            yield int(depth), torch.from_numpy(run.scores[row]), expected.float().cpu()


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
