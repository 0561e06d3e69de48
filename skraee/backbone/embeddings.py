"""What a model's embeddings have room for: so many tokens, so many positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from skraee.text.tokenizer import TextTokenizer

# What models call the table of their positions.
_POSITIONS = ("position_embeddings", "embed_positions", "wpe")


def n_token_ids(model: PreTrainedModel) -> int:
    """Return the number of token ids that a model has an embedding for."""
    weight = getattr(model.get_input_embeddings(), "weight", None)
    return int(model.config.vocab_size if weight is None else len(weight))


def n_positions(model: nn.Module) -> int | None:
    """Return the number of positions that a model's own table has.

    Its rows count, whatever its configuration says. RoBERTa's positions begin behind
    that of padding, and OPT's behind two that nothing uses.

    Returns
    -------
    int or None
        None where positions need no table.
    """
    tables = [
        module
        for path, module in model.named_modules()
        if path.rpartition(".")[2] in _POSITIONS and isinstance(module, nn.Embedding)
    ]
    return min(map(_n_usable, tables), default=None)


def _n_usable(table: nn.Embedding) -> int:
    before = 0 if table.padding_idx is None else table.padding_idx + 1
    return table.num_embeddings - int(getattr(table, "offset", before))


def refuse_tokens_without_embedding(
    model: PreTrainedModel, tokenizer: TextTokenizer, source: str = ""
) -> None:
    """Refuse a tokenizer that makes ids which a model has no embedding for.

    Special tokens that no text produces may be among them (Gemma 3 has one for images
    in its models of text).

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : TextTokenizer
    source : str, default=""
        Where the tokenizer comes from, for the error.

    Raises
    ------
    ValueError
        The message has both numbers.
    """
    largest, n_ids = tokenizer.largest_id, n_token_ids(model)
    if largest >= n_ids:
        raise ValueError(
            f"the tokenizer{source} makes {largest + 1} token ids (the last is "
            f"{tokenizer.token(largest)!r}) and the model has embeddings for {n_ids}; "
            "give the tokenizer that belongs to it, or call "
            "model.resize_token_embeddings and train the new ones."
        )
