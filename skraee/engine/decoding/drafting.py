"""Self-speculative decoding: a few layers draft, all layers verify.

The first layers of a model propose some tokens, one after the other; the whole model
reads them in one pass and keeps those that it would have said itself, and one of its
own behind them. So the text is that of the whole model, token by token, and the whole
model makes fewer passes.

References
----------
Zhang et al., "Draft & Verify: Lossless Large Language Model Acceleration via
Self-Speculative Decoding", ACL 2024. Elhoushi et al., "LayerSkip: Enabling Early Exit
Inference and Self-Speculative Decoding", ACL 2024.
"""

from __future__ import annotations

from itertools import takewhile

import torch
from torch import Tensor

from skraee.engine.decoding.cached_rows import CachedRows
from skraee.engine.decoding.cut_model import CutModel
from skraee.engine.decoding.ending import Ending
from skraee.engine.decoding.loop import Generated, note_finite


def decode_verified(
    draft: CutModel, whole: CutModel, rows: CachedRows, n_draft: int, ending: Ending
) -> list[Generated]:
    """Generate what the whole model says, with drafts of its first layers.

    Parameters
    ----------
    draft, whole : CutModel
        Of the same backbone, to a depth and to the last.
    rows : CachedRows
        That have run nothing yet; they are used up.
    n_draft : int
        Tokens of a draft, at least 1.
    ending : Ending

    Returns
    -------
    list of Generated
        In the order of the rows.
    """
    every = [Generated() for _ in range(len(rows))]
    first = whole.next_logits(rows, rows.entering)[:, 0]
    note_finite(every, first)
    last = first.argmax(dim=-1)
    for one, token in zip(every, last.tolist(), strict=True):
        one.tokens.append(token)
        one.n_passes += 1
    here, last = _leave(every, rows, last, ending)
    while here:
        room = max(ending.max_new_tokens - len(one.tokens) for one in here) - 1
        drafted = _drafted(draft, rows, last, min(n_draft, room))
        said = _verified(whole, rows, torch.cat([last[:, None], drafted], 1), here)
        kept = [
            _taken_over(*row, ending) for row in zip(here, drafted, said, strict=True)
        ]
        n_kept = torch.tensor(kept, device=last.device)
        rows.drop_last(drafted.shape[1] + 1 - n_kept)
        last = said.gather(1, n_kept[:, None] - 1)[:, 0]
        here, last = _leave(here, rows, last, ending)
    return every


def _drafted(draft: CutModel, rows: CachedRows, last: Tensor, n_draft: int) -> Tensor:
    """Return the draft (n, n_draft), of which nothing is kept."""
    tokens = [last]
    for _ in range(n_draft):
        rows.append(1)
        logits = draft.next_logits(rows, tokens[-1][:, None])[:, 0]
        tokens.append(logits.argmax(dim=-1))
    rows.take_back(n_draft, draft.depth)
    return torch.stack(tokens[1:], 1) if n_draft else last.new_zeros(len(last), 0)


def _verified(
    whole: CutModel, rows: CachedRows, tokens: Tensor, here: list[Generated]
) -> Tensor:
    """Return what the whole model says behind each of the tokens (n, t)."""
    n_tokens = tokens.shape[1]
    rows.append(n_tokens)
    logits = whole.next_logits(rows, tokens, n_tokens)
    note_finite(here, logits)
    return logits.argmax(dim=-1)


def _taken_over(one: Generated, drafted: Tensor, said: Tensor, ending: Ending) -> int:
    """Take over what draft and model agree on, and one more; return how many."""
    pairs = zip(drafted.tolist(), said.tolist(), strict=False)
    n_agreed = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    one.n_passes += 1
    one.n_drafted += len(drafted)
    one.n_accepted += n_agreed
    for token in said.tolist()[: n_agreed + 1]:
        one.tokens.append(token)
        if ending.has_come(one.tokens):  # the row leaves, and what it keeps with it
            break
    return n_agreed + 1


def _leave(
    here: list[Generated], rows: CachedRows, last: Tensor, ending: Ending
) -> tuple[list[Generated], Tensor]:
    """Return the rows that go on, and their last tokens."""
    going = [i for i, one in enumerate(here) if not ending.has_come(one.tokens)]
    if 0 < len(going) < len(here):
        kept = torch.tensor(going, device=last.device)
        rows.keep(kept)
        last = last[kept]
    return [here[i] for i in going], last
