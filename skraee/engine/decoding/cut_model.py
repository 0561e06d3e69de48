"""A model that ends behind one of its decoder's layers, with its own head.

It is a view (:mod:`skraee.engine.views`) whose layer list is cut: embeddings, masks,
rotary embeddings, final norm and head are the model's own code. Its cache has as many
layers as it runs, so that no later token misses the states of an earlier one.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache

from skraee.backbone.kinds import decoder_start
from skraee.engine.decoding.cached_rows import CachedRows
from skraee.engine.prefix import cache_argument, keeps_keys_and_values
from skraee.engine.rotation import changing_rotations, unused
from skraee.engine.stacks import layers_of
from skraee.engine.views import view_of

if TYPE_CHECKING:
    from skraee.backbone.loaded import LoadedBackbone


class CutModel:
    """A backbone that ends at a depth of its decoder and says the next token there.

    Parameters
    ----------
    backbone : LoadedBackbone
        Shared; never changed.
    depth : int
        Layers of the decoder that run, 0 to `n_decoder_layers`; an encoder beside it
        runs whole.
    """

    def __init__(self, backbone: LoadedBackbone, depth: int) -> None:
        self.backbone = backbone
        self.depth = depth
        model, family = backbone.model, backbone.family
        stack = family.stacks[-1]
        layers = layers_of(model, family, stack)[:depth]
        shared = model.get_submodule(stack)
        inner: dict[str, nn.Module] = {family.layers: nn.ModuleList(layers)}
        for path, rotation in changing_rotations(shared, family).items():
            inner[path] = unused(rotation)
        self._view = view_of(model, {f"{stack}.{p}": m for p, m in inner.items()})
        self._taken = inspect.signature(type(model).forward).parameters
        self._cache_name = cache_argument(type(shared).forward)
        limit = backbone.position_limit
        self._last = None if limit is None else limit - 1  # position that there is

    def next_logits(self, rows: CachedRows, tokens: Tensor, n_read: int = 1) -> Tensor:
        """Run tokens behind those that rows have run, and score what comes next.

        Parameters
        ----------
        rows : CachedRows
            Takes the tokens' keys and values; `rows.append` has been told of them.
        tokens : Tensor of shape (n, t)
            The last t of all that `rows.mask` stands for.
        n_read : int, default=1
            Of how many of the last tokens the scores are wanted.

        Returns
        -------
        logits : Tensor of shape (n, n_read, V), float32
        """
        if self.depth == 0:  # no layer looks back, so there is nothing to keep
            tokens = tokens[:, -n_read:]
        inputs = self._of_tokens(rows, tokens)
        if "logits_to_keep" in self._taken:
            inputs["logits_to_keep"] = n_read
        out = self._view(**inputs, return_dict=True)
        logits: Tensor = out.logits[:, -n_read:]
        return logits.float()

    def _of_tokens(self, rows: CachedRows, tokens: Tensor) -> dict[str, Any]:
        width = tokens.shape[1]
        inputs: dict[str, Any] = {"use_cache": self.depth > 0}
        mask = rows.mask
        if self.depth > 0:
            assert self._cache_name is not None  # as refuse_other_caches has seen
            inputs[self._cache_name] = rows.cache
        else:
            mask = torch.ones_like(tokens, dtype=torch.bool)
        if rows.encoded is not None:
            return inputs | {
                "decoder_input_ids": tokens,
                "decoder_attention_mask": mask.long(),
                "encoder_outputs": (rows.encoded,),
                "attention_mask": rows.encoded_mask,
            }
        inputs |= {"input_ids": tokens, "attention_mask": mask.long()}
        if "position_ids" in self._taken:
            # A draft may reach beyond what a row has room for; that is never kept.
            positions = rows.positions[:, -width:]
            if self._last is not None:
                positions = positions.clamp(max=self._last)
            inputs["position_ids"] = positions
        return inputs


def begin_rows(
    backbone: LoadedBackbone, prompts: list[tuple[int, ...]], depth: int
) -> CachedRows:
    """Return rows that have run nothing yet; an encoder runs here.

    Parameters
    ----------
    backbone : LoadedBackbone
    prompts : list of tuple of int
        Token ids of each prompt.
    depth : int
        Layers of the decoder that will keep something: the most that run.

    Returns
    -------
    CachedRows
        `CachedRows.entering` are the tokens that the decoder is to run first.
    """
    device = backbone.device
    if backbone.family.kind != "seq2seq":
        ids, mask = side_by_side(prompts, at_end=True)
        cache = Cache(layers=_layers(depth))
        return CachedRows(cache, mask.to(device), ids.to(device))
    states, seen = encoded(backbone, prompts)
    start = torch.full((len(prompts), 1), decoder_start(backbone.model), device=device)
    both = EncoderDecoderCache(*[Cache(layers=_layers(depth)) for _ in range(2)])
    whole = torch.ones_like(start, dtype=torch.bool)
    return CachedRows(both, whole, start, states, seen)


def encoded(
    backbone: LoadedBackbone, prompts: list[tuple[int, ...]]
) -> tuple[Tensor, Tensor]:
    """Run the whole encoder of an encoder-decoder.

    Parameters
    ----------
    backbone : LoadedBackbone
    prompts : list of n tuple of int
        Token ids of each prompt.

    Returns
    -------
    states : Tensor of shape (n, S, H)
        What the decoder reads.
    mask : Tensor of shape (n, S), int
        1 where there is a token.
    """
    ids, mask = side_by_side(prompts, at_end=False)
    ids, seen = ids.to(backbone.device), mask.long().to(backbone.device)
    encoder = backbone.model.get_submodule(backbone.family.stacks[0])
    out = encoder(input_ids=ids, attention_mask=seen, return_dict=True)
    return out.last_hidden_state, seen


def n_decoder_layers(backbone: LoadedBackbone) -> int:
    """Return the number of layers that generate: of the only stack, or the decoder.

    Parameters
    ----------
    backbone : LoadedBackbone
    """
    return len(layers_of(backbone.model, backbone.family, backbone.family.stacks[-1]))


def refuse_no_generator(backbone: LoadedBackbone) -> None:
    """Refuse a backbone that does not write text from left to right with a cache.

    Parameters
    ----------
    backbone : LoadedBackbone

    Raises
    ------
    ValueError
        For a masked model, one without a head, and one that keeps other states than
        keys and values.
    """
    model, family = backbone.model, backbone.family
    what = f"this {type(model).__name__} (type {model.config.model_type!r})"
    if family.kind == "masked":
        raise ValueError(
            f"{what} fills masks and generates no text; choose a causal or "
            "encoder-decoder model."
        )
    if not backbone.has_head:
        raise ValueError(
            f"{what} has no language-model head to name tokens with; choose a "
            "checkpoint with one."
        )
    stack = model.get_submodule(family.stacks[-1])
    name = cache_argument(type(stack).forward)
    if name is None or not keeps_keys_and_values(model.config):
        raise ValueError(
            f"{what} keeps other states of earlier tokens than keys and values of each "
            "layer, which cannot be cut at a depth; choose a model with plain "
            "attention, such as Llama, Qwen2, Gemma or T5."
        )


def _layers(n_layers: int) -> list[DynamicLayer]:
    # Plain ones also where the model attends to a window: rows are laid out anew when
    # others leave, and drafts are taken back.
    return [DynamicLayer() for _ in range(n_layers)]


def side_by_side(
    prompts: list[tuple[int, ...]], *, at_end: bool
) -> tuple[Tensor, Tensor]:
    """Lay tokens out as a batch.

    Parameters
    ----------
    prompts : list of n tuple of int
    at_end : bool
        Whether all end in the last column; else they begin in the first.

    Returns
    -------
    ids : Tensor of shape (n, T)
    mask : Tensor of shape (n, T), bool
        Which of these are tokens of a prompt.
    """
    lengths = torch.tensor([[len(ids)] for ids in prompts])
    width = int(lengths.max())
    filled = []
    for ids in prompts:
        more = ids[:1] * (width - len(ids))
        filled.append((*more, *ids) if at_end else (*ids, *more))
    columns = torch.arange(width)
    mask = columns >= width - lengths if at_end else columns < lengths
    return torch.tensor(filled), mask
