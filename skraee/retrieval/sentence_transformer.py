"""Models of the sentence-transformers library (extra ``encoder``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from skraee.backbone.embeddings import n_positions
from skraee.backbone.objects import refuse_patched
from skraee.backbone.quiet import quiet_loading

_LIBRARY = "sentence_transformers"
# Whose classes compute what their attributes say.
_KNOWN = {_LIBRARY, "transformers", "torch"}


def read_sentence_transformer(folder: Path, device: torch.device) -> Any:
    """Read a folder with that library, its length cut to the positions it has.

    Raises
    ------
    ImportError
        If the library is missing.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ImportError(
            f"{str(folder)!r} is a sentence-transformers model; install the library "
            "that runs it with: pip install 'skraee[encoder]'"
        ) from error
    # A pooler that is lacking is drawn first.
    with quiet_loading(), torch.random.fork_rng(devices=[]):
        model = SentenceTransformer(
            str(folder),
            device=str(device),
            trust_remote_code=False,
            local_files_only=True,
        )
    if (limit := _too_long(model)) is not None:
        model.max_seq_length = limit
    return model


def refuse_long_texts(model: Any) -> None:
    """Refuse an object that takes texts of more tokens than it has positions for.

    Raises
    ------
    ValueError
        The message has both numbers. Objects of other libraries are let through.
    """
    if is_sentence_transformer(model) and (limit := _too_long(model)) is not None:
        raise ValueError(
            f"the encoder takes texts of {model.max_seq_length} tokens and has "
            f"positions for {limit}; set its max_seq_length to at most {limit}."
        )


def _too_long(model: Any) -> int | None:
    """Return the positions that an encoder has, if it takes texts of more tokens."""
    network = getattr(model, "transformers_model", None)
    positions = n_positions(network) if isinstance(network, torch.nn.Module) else None
    taken = getattr(model, "max_seq_length", None)
    is_too_long = positions is not None and (taken is None or taken > positions)
    return positions if is_too_long else None


def is_of_library(model: Any) -> bool:
    """Whether only code of the libraries computes an encoder's vectors."""
    if not is_sentence_transformer(model):
        return False
    try:
        refuse_patched(model)
    except ValueError:
        return False
    kinds = {type(module).__module__.partition(".")[0] for module in model.modules()}
    return kinds <= _KNOWN


def is_sentence_transformer(model: Any) -> bool:
    """Whether an object, or a parent of its class, comes from that library."""
    return any(parent.__module__.startswith(_LIBRARY) for parent in type(model).__mro__)
