"""A backbone opened to generate: room for new tokens, and what probes will read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from skraee.engine.cost import depth_costs
from skraee.engine.decoding.agreement import believed_to_decode
from skraee.sweep.probes import probe_samples
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper

Float64Array = npt.NDArray[np.float64]


def open_to_generate(
    settings: SweepSettings,
    max_new_tokens: int,
    open_sweeper: Callable[[SweepSettings], Sweeper],
) -> Sweeper:
    """Open a backbone whose prompts leave room for what is generated.

    Parameters
    ----------
    settings : SweepSettings
        As an estimator was given them.
    max_new_tokens : int
        The most tokens of a text.
    open_sweeper : callable
        Opens settings.

    Returns
    -------
    Sweeper

    Raises
    ------
    ValueError
        If the backbone generates no text, or has fewer positions.
    """
    sweeper = open_sweeper(settings)
    believed_to_decode(sweeper.backbone)
    limit = positions_for_prompts(sweeper, max_new_tokens)
    if limit is None or (sweeper.prompts.limit or limit + 1) <= limit:
        return sweeper
    return open_sweeper(replace(settings, max_length=limit))


def positions_for_prompts(sweeper: Sweeper, max_new_tokens: int) -> int | None:
    """Return how long a prompt may be; None where new tokens take nothing of it.

    Parameters
    ----------
    sweeper : Sweeper
    max_new_tokens : int
        The most tokens of a text.

    Raises
    ------
    ValueError
        If nothing is left for a prompt.
    """
    backbone = sweeper.backbone
    if backbone.position_limit is None or backbone.family.kind == "seq2seq":
        return None
    limit = backbone.position_limit - max_new_tokens
    if limit < 1:
        raise ValueError(
            f"max_new_tokens must leave room for a prompt, got {max_new_tokens} of "
            f"{backbone.position_limit} positions; lower it."
        )
    return limit


def check_room(sweeper: Sweeper, max_new_tokens: int) -> None:
    """Refuse more new tokens than prompts of the fit leave room for.

    Parameters
    ----------
    sweeper : Sweeper
        As the fit read its texts.
    max_new_tokens : int

    Raises
    ------
    ValueError
        If they do not fit.
    """
    limit = positions_for_prompts(sweeper, max_new_tokens)
    longest = sweeper.prompts.limit
    if limit is not None and longest is not None and longest > limit:
        raise ValueError(
            f"max_new_tokens={max_new_tokens} is more than this fit leaves room for: "
            f"prompts have up to {longest} of {sweeper.backbone.position_limit} "
            "positions; lower it, or fit again."
        )


def probe_tokens(sweeper: Sweeper) -> tuple[int, int]:
    """Return two tokens by whose probabilities a change of the backbone is noticed.

    Parameters
    ----------
    sweeper : Sweeper
    """
    n_fields = len(sweeper.prompts.template.fields)
    prompts = sweeper.prompts.encode(probe_samples(n_fields), warn=False)
    marks = sweeper.backbone.tokenizer.control_ids
    seen = [token for p in prompts for token in p.ids if token not in marks]
    several = [*dict.fromkeys(seen), 0, 1]
    return several[0], next(token for token in several if token != several[0])


def generation_costs(sweeper: Sweeper) -> Float64Array:
    """Return the share of the generating layers' work at each depth: (m + 1,).

    Parameters
    ----------
    sweeper : Sweeper
        An encoder before a decoder runs whole at any depth, and does not count.
    """
    costs = depth_costs(sweeper.backbone)[sweeper.engine.n_encoder_layers :]
    shares: Float64Array = (costs - costs[0]) / (costs[-1] - costs[0])
    return shares
