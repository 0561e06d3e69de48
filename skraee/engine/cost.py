"""What each depth costs, counted: floating-point operations of one short text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.engine import Engine
from skraee.engine.products import flop_counter
from skraee.engine.rows import GoingOn
from skraee.text.prompt import Prompt

# A short sentence with its template. Where all layers are alike any length gives the
# same shares; a decoder that reads one position costs less beside a longer text.
_N_TOKENS = 32


def depth_costs(backbone: LoadedBackbone) -> npt.NDArray[np.float64]:
    """Return the share of a full pass that it takes to come to each depth.

    Parameters
    ----------
    backbone : LoadedBackbone

    Returns
    -------
    costs : ndarray of shape (m + 1,)
        From 0 at depth 0 to 1 at depth m, of the layers' matrix products. Counted once.
        Where torch counts none, as in some fused kernels, all layers cost the same.
    """
    return backbone.derived("costs", lambda: _counted(backbone))


def _counted(backbone: LoadedBackbone) -> npt.NDArray[np.float64]:
    engine = Engine(backbone)
    counted = np.zeros(engine.n_layers + 1)
    prompt = Prompt((5,) * _N_TOKENS, _N_TOKENS - 1, ((0, _N_TOKENS),))
    with flop_counter() as counter:

        def visit(depth: int, hidden: Tensor, rows: Tensor) -> GoingOn:
            counted[depth] = counter.get_total_flops()
            return None

        engine.visit([prompt], visit)
    counted -= counted[0]
    if counted[-1] == 0:
        counted = np.arange(len(counted), dtype=np.float64)
    shares: npt.NDArray[np.float64] = counted / counted[-1]
    return shares
