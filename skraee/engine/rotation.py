"""Rotary embeddings that turn faster or slower with the longest text of a batch.

Two kinds of the transformers library do. "longrope" has one set of frequencies up to a
length and another beyond it; "dynamic" computes new ones for every length beyond it.
The library keeps what it computed in the module, for the next call to find. Here a text
shares a batch only with texts that it could stand in for, and every pass has a module
that has seen no other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from skraee.backbone.families import Family

# Where a module keeps its kind: of one kind for all layers, or of one for each type.
_KIND = "rope_type"


def changing_rotations(stack: nn.Module, family: Family) -> dict[str, nn.Module]:
    """Return by its path each module of a stack whose frequencies change with lengths.

    Parameters
    ----------
    stack : nn.Module
    family : Family
        Its row.
    """
    return _changing(_beside_layers(stack, family.layers))


def changing_rotations_anywhere(model: nn.Module) -> dict[str, nn.Module]:
    """Return by its path each module of a model whose frequencies change with lengths.

    Parameters
    ----------
    model : nn.Module
        Of any layout.
    """
    return _changing(model.named_modules())


def rotations_of(model: nn.Module, family: Family) -> list[nn.Module]:
    """Return those of all stacks of a model with its head."""
    stacks = map(model.get_submodule, family.stacks)
    return [r for s in stacks for r in changing_rotations(s, family).values()]


def sides_of(
    rotations: Iterable[nn.Module], lengths: Sequence[int]
) -> list[Hashable] | None:
    """Say which texts may share a batch: those whose sides are equal.

    Parameters
    ----------
    rotations : iterable of nn.Module
        Those of the model whose frequencies change.
    lengths : sequence of n int
        All tokens of each text.

    Returns
    -------
    list of n hashable values, or None
        None where all may. Texts of one side lie together when they are sorted by
        length.
    """
    limits = [limit for rotation in rotations for limit in _limits(rotation)]
    if not limits:
        return None
    return [
        tuple(_side(kind, limit, length) for kind, limit in limits)
        for length in lengths
    ]


def unused(rotation: Any) -> nn.Module:
    """Return a copy of such a module as if no text had been run.

    Parameters
    ----------
    rotation : nn.Module
        Left as it is.
    """
    config = rotation.config
    copy: Any = deepcopy(rotation, {id(config): config})
    first = copy.original_max_seq_len
    copy.max_seq_len_cached = first
    for layer_type in _kinds(rotation):
        of_type = f"{layer_type}_" if layer_type else ""
        frequencies = getattr(copy, f"{of_type}original_inv_freq").clone()
        setattr(copy, f"{of_type}inv_freq", frequencies)
        if layer_type:
            setattr(copy, f"{of_type}max_seq_len_cached", first)
    return copy  # type: ignore[no-any-return]


def _changing(modules: Iterable[tuple[str, nn.Module]]) -> dict[str, nn.Module]:
    return {
        path: module
        for path, module in modules
        if any(map(_changes, _kinds(module).values()))
    }


def _beside_layers(stack: nn.Module, layers: str) -> Iterable[tuple[str, nn.Module]]:
    """Yield the modules that no layer holds, and their paths."""
    for name, module in stack.named_children():
        if name == layers:
            continue
        yield name, module
        inner = layers.removeprefix(f"{name}.")
        for path, part in _beside_layers(module, inner):
            yield f"{name}.{path}", part


def _kinds(module: nn.Module) -> dict[str | None, str]:
    """Return the kind of rotation for each type of layers; None stands for all."""
    kinds = getattr(module, _KIND, None)
    if isinstance(kinds, str):
        return {None: kinds}
    return dict(kinds) if isinstance(kinds, dict) else {}


def _changes(kind: str) -> bool:
    return "dynamic" in kind or kind == "longrope"


def _limits(rotation: Any) -> list[tuple[str, int]]:
    """Return each kind that changes, and up to which length it does not."""
    found = []
    for layer_type, kind in _kinds(rotation).items():
        if kind == "longrope":
            parameters = rotation.config.rope_parameters
            own = parameters[layer_type] if layer_type else parameters
            found.append((kind, int(own["original_max_position_embeddings"])))
        elif _changes(kind):
            found.append((kind, int(rotation.original_max_seq_len)))
    return found


def _side(kind: str, limit: int, length: int) -> int:
    if kind == "longrope":
        return int(length > limit)
    return max(length, limit)
