"""Products with packed weights, noted as they are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class NotingPacked(TorchDispatchMode):
    """Tells of what packed weights are multiplied with."""

    def __init__(self, note: Callable[[torch.Tensor], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.mkldnn._linear_pointwise.default:
            self._note(args[0])
        return func(*args, **(kwargs or {}))
