"""Memory that is free within the process, given back to the system."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress


def give_back_free_memory() -> None:
    """Let malloc give back what it holds free, where it has a call for that (glibc).

    It keeps holes between what is in use for later, which large tensors do not fit:
    94 MB where Gemma's tokenizer was read.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # other C libraries have none
            ctypes.CDLL(None).malloc_trim(0)
