"""What an estimator's parameter ``memory`` stands for: a store, or none."""

from __future__ import annotations

import os
from typing import Any

from skraee.engine.lru_cache import clear_caches
from skraee.sweep.folder_store import FolderStore
from skraee.sweep.memory_store import MemoryStore
from skraee.sweep.store import Store

_process_store = MemoryStore()


def store_for(memory: Any) -> Store | None:
    """Return the store that the parameter ``memory`` stands for.

    Parameters
    ----------
    memory : "process", None, str, Path, joblib.Memory or Store
        "process": the one of this process; None: none; a folder, or an object with
        the ``location`` of one.

    Returns
    -------
    Store or None

    Raises
    ------
    TypeError
        If it is something else.
    """
    if memory is None:
        return None
    if isinstance(memory, str) and memory == "process":
        return _process_store
    if isinstance(memory, (str, os.PathLike)):
        return FolderStore(memory)
    if hasattr(memory, "read") and hasattr(memory, "write"):
        return memory  # type: ignore[no-any-return]
    if hasattr(memory, "location"):
        return None if memory.location is None else FolderStore(memory.location)
    raise TypeError(
        "memory must be 'process', None, a folder or a joblib.Memory, got "
        f"{type(memory).__name__}; name a folder to keep sweeps on disk."
    )


def clear_sweeps(memory: Any = "process") -> None:
    """Forget the sweeps and keys that were kept.

    Parameters
    ----------
    memory : "process", str, Path, joblib.Memory or Store, default="process"
        As given to the estimator. "process" also forgets the indexes, neighbours and
        solved readouts that the last fits share, and what was run of templates alone.
    """
    store = store_for(memory)
    if store is not None:
        store.clear()
    if store is _process_store:
        clear_caches()
