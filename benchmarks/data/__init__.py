"""Where the benchmarks find their tasks and their models.

``python -m benchmarks.data`` makes the tasks' files from their public sources, and
``--check`` compares those at hand with the recorded ones.
"""

from benchmarks.data.folders import (
    ALL_TASKS,
    INTENTS,
    TASKS,
    TITLES,
    UNEQUAL,
    Labelled,
    backbone_folder,
    data_folder,
    local_backbones,
    located,
    read_task,
    read_test,
    sample,
    shown_name,
)
from benchmarks.data.recorded import data_hash

__all__ = [
    "ALL_TASKS",
    "INTENTS",
    "TASKS",
    "TITLES",
    "UNEQUAL",
    "Labelled",
    "backbone_folder",
    "data_folder",
    "data_hash",
    "local_backbones",
    "located",
    "read_task",
    "read_test",
    "sample",
    "shown_name",
]
