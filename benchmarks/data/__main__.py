"""Makes the tasks' files under $SKRAEE_DATA, or checks those that are there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data.rebuild import kept_in, rebuild
from benchmarks.data.recorded import PARTS, complaint, data_hash, record
from benchmarks.data.sources import SOURCES


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.record:
        record()
        return 0
    fetch = kept_in(options.raw)
    n_wrong = 0
    for task in options.tasks:
        wrong = checked(task) if options.check else rebuild(task, fetch)
        n_wrong += len(wrong)
        said = wrong or [f"{task}: as recorded, data {data_hash(task)}"]
        print(*said, f"{task}: licence: {SOURCES[task].licence}", sep="\n")
    return int(n_wrong > 0)


def checked(task: str) -> list[str]:
    """Say what is wrong with a task's files at hand."""
    found = [complaint(task, part) for part in PARTS]
    return [sentence for sentence in found if sentence]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m benchmarks.data", description=__doc__)
    made.add_argument(
        "--tasks", nargs="+", choices=SOURCES, default=list(SOURCES), metavar="TASK"
    )
    made.add_argument(
        "--check", action="store_true", help="compare only, make and download nothing"
    )
    made.add_argument(
        "--raw",
        type=Path,
        metavar="FOLDER",
        help="where public files lie or are kept, as FOLDER/TASK/NAME",
    )
    made.add_argument(
        "--record",
        action="store_true",
        help="for developers: record the files at hand as those of the results",
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
