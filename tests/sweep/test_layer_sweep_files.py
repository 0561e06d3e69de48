"""Files of sweeps are whole or not there, and replace nothing but files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from skraee import LayerSweep


@pytest.fixture
def sweep() -> LayerSweep:
    return LayerSweep(np.ones((3, 2), "f4"), np.zeros((3, 5, 2), "f4"), (4, 7))


def test_file_is_kept_as_it_was_where_the_next_cannot_be_written(
    sweep: LayerSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sweep.npz"
    sweep.save(path)

    def fail(file: object, **arrays: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="no space left"):
        sweep.save(path)
    assert LayerSweep.load(path).token_ids == (4, 7)
    assert os.listdir(tmp_path) == ["sweep.npz"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_is_refused_and_stays(sweep: LayerSweep, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a named pipe, which a file must not replace"):
        sweep.save(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
