"""Whole blocks left out: a backbone without some of its layers, as a view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from weakref import WeakKeyDictionary

from torch import nn

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.head import is_head
from skraee.engine.stacks import layers_of
from skraee.engine.views import view_of

# Backbone -> blocks left out -> the rest, with what it keeps for calls.
_without: WeakKeyDictionary[LoadedBackbone, dict[tuple[int, ...], LoadedBackbone]]
_without = WeakKeyDictionary()


def blocks_of(backbone: LoadedBackbone) -> list[range]:
    """Return for each stack the numbers of its blocks; a decoder's count on.

    Parameters
    ----------
    backbone : LoadedBackbone
    """
    stacks: list[range] = []
    for stack in backbone.family.stacks:
        first = stacks[-1].stop if stacks else 0
        n_blocks = len(layers_of(backbone.model, backbone.family, stack))
        stacks.append(range(first, first + n_blocks))
    return stacks


def removable_blocks(backbone: LoadedBackbone) -> list[int]:
    """Return the blocks that may go: all but the first and the last of each stack.

    Parameters
    ----------
    backbone : LoadedBackbone
    """
    return [block for stack in blocks_of(backbone) for block in stack[1:-1]]


def without_blocks(backbone: LoadedBackbone, removed: Iterable[int]) -> LoadedBackbone:
    """Return a backbone in which some blocks return their input.

    It is a view: weights and modules are the shared model's, which stays as it is.

    Parameters
    ----------
    backbone : LoadedBackbone
    removed : iterable of int
        Numbers of blocks, of :func:`removable_blocks`.

    Returns
    -------
    LoadedBackbone
        For any engine; it has as many layers as blocks are left.
    """
    wanted = tuple(sorted(removed))
    if not wanted:
        return backbone
    known = _without.setdefault(backbone, {})
    if wanted not in known:
        view = _view_without(backbone, set(wanted))
        # The head is that of the whole model; what was run before is not.
        heads = {n: made for n, made in backbone._derived.items() if is_head(n)}
        known[wanted] = replace(backbone, model=view, _derived=heads)
    return known[wanted]


def _view_without(backbone: LoadedBackbone, removed: set[int]) -> nn.Module:
    model, family = backbone.model, backbone.family
    kept: dict[str, list[int]] = {}  # path of a layer list -> places that are kept
    replaced: dict[str, nn.Module | None] = {}
    for stack, blocks in zip(family.stacks, blocks_of(backbone), strict=True):
        path = f"{stack}.{family.layers}"
        layers = layers_of(model, family, stack)
        kept[path] = [i for i, block in enumerate(blocks) if block not in removed]
        replaced[path] = nn.ModuleList(
            _numbered(layers[place], number) for number, place in enumerate(kept[path])
        )
    view = view_of(model, replaced)
    for path, places in kept.items():
        _configure(view, path, places)
    return view


def _numbered(layer: nn.Module, number: int) -> nn.Module:
    """Return a view of a layer that finds its keys and values under a number."""
    inner = {
        path: view_of(module, {})
        for path, module in layer.named_modules()
        if path and "layer_idx" in vars(module)
    }
    for module in inner.values():
        module.layer_idx = number  # type: ignore[assignment]
    return view_of(layer, inner)


def _configure(view: nn.Module, path: str, places: Sequence[int]) -> None:
    """Tell a view's modules on the way to a layer list of the layers that are left."""
    names = path.split(".")
    owners = [".".join(names[:depth]) for depth in range(len(names))]
    for owner in map(view.get_submodule, owners):
        if (config := vars(owner).get("config")) is None:
            continue
        config = copy(config)
        config.num_hidden_layers = len(places)
        kinds = getattr(config, "layer_types", None)
        if kinds is not None:
            config.layer_types = [kinds[place] for place in places]
        owner.config = config
