"""Whether a sweep holds numbers only: one that was made elsewhere may hold others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skraee.engine.states import States, unpacked
from skraee.sweep.layer_sweep import LayerSweep


def refuse_not_finite(sweep: LayerSweep) -> None:
    """Refuse a sweep with numbers that are NaN or infinite.

    Parameters
    ----------
    sweep : LayerSweep
        Ours run such texts again in float32, so only one that was made elsewhere, or
        damaged, has any.

    Raises
    ------
    ValueError
        The message says of which text, and at which depth.
    """
    for where, numbers in _parts(sweep):
        rows = unpacked(numbers).reshape(len(sweep), -1)
        lost = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(lost):
            raise ValueError(
                f"the sweep holds numbers that are not finite, {where} of the text at "
                f"position {lost[0]} ({len(lost)} of {len(sweep)} texts); sweep these "
                "texts again, in float32."
            )


def _parts(sweep: LayerSweep) -> Iterator[tuple[str, States]]:
    """Yield keys, and a depth at a time of what may be large."""
    yield "in the key", sweep.keys
    for depth in range(sweep.n_layers + 1):
        yield f"in the logits of depth {depth}", sweep.logits[:, depth]
        if sweep.states is not None:
            yield f"in the states of depth {depth}", sweep.states[:, depth]
