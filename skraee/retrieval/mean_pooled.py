"""Plain checkpoints as encoders: the mean of a text's last states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from skraee.backbone.embeddings import n_positions, refuse_tokens_without_embedding
from skraee.backbone.headless import read_headless
from skraee.engine.batching import Cutter, check_batch_tokens, run_batches
from skraee.engine.rotation import changing_rotations_anywhere, sides_of, unused
from skraee.engine.views import view_of
from skraee.text.tokenizer import TextTokenizer
from skraee.threads.locks import fork_safe_lock

# Tokens that an encoder takes, where nothing says.
_USUAL_LIMIT = 512


class MeanPooled:
    """A plain checkpoint, averaged over all its tokens.

    Its parts have the names that sentence-transformers gives them.

    Parameters
    ----------
    folder : Path
        With a model, with or without a head, and its tokenizer.
    device : torch.device
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.transformers_model, self.tokenizer = read_headless(folder)
        self.transformers_model.to(device)
        tokenizer = TextTokenizer.from_hf(self.tokenizer)
        refuse_tokens_without_embedding(self.transformers_model, tokenizer)
        self.limit = self._find_limit()
        self._tokenizing = fork_safe_lock()  # its truncation is shared by threads

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Return the vectors (n, H) of n texts."""
        with self._tokenizing:
            encoded = self.tokenizer(texts, truncation=True, max_length=self.limit)
        ids: list[list[int]] = encoded["input_ids"]
        width = self.transformers_model.config.hidden_size
        vectors = np.zeros((len(texts), width), np.float32)

        def run(rows: npt.NDArray[np.int64]) -> None:
            vectors[rows] = self._mean([ids[i] for i in rows]).cpu().numpy()

        budget = check_batch_tokens("auto", self.transformers_model.device)
        lengths = [len(row) for row in ids]
        rotations = changing_rotations_anywhere(self.transformers_model)
        sides = sides_of(rotations.values(), lengths)
        run_batches(Cutter(lengths, sides=sides), budget, run)
        return vectors

    def _view(self) -> torch.nn.Module:
        """Return the network with rotary embeddings that have seen no text."""
        rotations = changing_rotations_anywhere(self.transformers_model)
        fresh = {path: unused(rotation) for path, rotation in rotations.items()}
        return view_of(self.transformers_model, fresh)

    @torch.no_grad()
    def _mean(self, ids: list[list[int]]) -> torch.Tensor:
        device = self.transformers_model.device
        width = max(len(row) for row in ids)
        lengths = torch.tensor([len(row) for row in ids], device=device)
        mask = torch.arange(width, device=device) < lengths[:, None]
        padded = [row + row[-1:] * (width - len(row)) for row in ids]
        states = self._view()(
            input_ids=torch.tensor(padded, device=device), attention_mask=mask.long()
        ).last_hidden_state
        return torch.einsum("bt,bth->bh", mask / lengths[:, None], states)

    def _find_limit(self) -> int:
        """Return how many tokens of a text are read."""
        said = getattr(self.transformers_model.config, "max_position_embeddings", None)
        limits = (said, n_positions(self.transformers_model), _USUAL_LIMIT)
        known = [int(limit) for limit in limits if limit is not None]
        return min(*known, int(self.tokenizer.model_max_length))
