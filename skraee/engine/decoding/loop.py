"""Token after token, until each row has ended."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from skraee.engine.decoding.cached_rows import CachedRows
from skraee.engine.decoding.choice import Choice
from skraee.engine.decoding.cut_model import CutModel
from skraee.engine.decoding.ending import Ending


@dataclass
class Generated:
    """The tokens of one text.

    Attributes
    ----------
    tokens : list of int
        The end token included, if there is one.
    is_finite : bool
        Whether all numbers that chose them were.
    n_drafted : int
        Tokens that a shallower depth has proposed.
    n_accepted : int
        Those of them that the full depth would have said itself.
    n_passes : int
        Passes of the deepest model.
    """

    tokens: list[int] = field(default_factory=list)
    is_finite: bool = True
    n_drafted: int = 0
    n_accepted: int = 0
    n_passes: int = 0


def decode(
    model: CutModel, rows: CachedRows, choice: Choice, ending: Ending
) -> list[Generated]:
    """Generate the texts of a batch; a row leaves when its text has ended.

    Parameters
    ----------
    model : CutModel
    rows : CachedRows
        That have run nothing yet; they are used up.
    choice : Choice
        For as many rows.
    ending : Ending

    Returns
    -------
    list of Generated
        In the order of the rows.
    """
    every = [Generated() for _ in range(len(rows))]
    here, tokens = every, rows.entering
    while here:
        logits = model.next_logits(rows, tokens)[:, 0]
        note_finite(here, logits)
        chosen = choice(logits, [one.tokens for one in here])
        for one, token in zip(here, chosen.tolist(), strict=True):
            one.tokens.append(token)
            one.n_passes += 1
        going = [i for i, one in enumerate(here) if not ending.has_come(one.tokens)]
        if 0 < len(going) < len(here):
            choice.leave(going)
            kept = torch.tensor(going, device=chosen.device)
            rows.keep(kept)
            chosen = chosen[kept]
        here, tokens = [here[i] for i in going], chosen[:, None]
        rows.append(1)
    return every


def note_finite(here: list[Generated], logits: Tensor) -> None:
    """Note which rows have been given numbers that are none.

    Parameters
    ----------
    here : list of n Generated
    logits : Tensor of shape (n, ...)
    """
    finite = torch.isfinite(logits).flatten(1).all(dim=1).tolist()
    for one, is_finite in zip(here, finite, strict=True):
        one.is_finite &= is_finite
