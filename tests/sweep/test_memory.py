"""What the parameter ``memory`` stands for."""

from __future__ import annotations

from pathlib import Path

import joblib
import pytest

from skraee import clear_sweeps
from skraee.engine.lru_cache import LRUCache
from skraee.sweep.folder_store import FolderStore
from skraee.sweep.memory import store_for


def test_clear_sweeps_forgets_what_fits_share_too(tmp_path: Path) -> None:
    kept = LRUCache()
    assert kept.get("a", lambda: 1) == 1
    clear_sweeps(tmp_path)
    assert kept.get("a", lambda: 2) == 1
    clear_sweeps()
    assert kept.get("a", lambda: 3) == 3


def test_memory_takes_a_joblib_memory_for_its_location(tmp_path: Path) -> None:
    store = store_for(joblib.Memory(tmp_path, verbose=0))
    assert isinstance(store, FolderStore)
    assert store_for(joblib.Memory(None)) is None
    with pytest.raises(TypeError, match="memory must be 'process', None, a folder"):
        store_for(3)
