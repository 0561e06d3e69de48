"""The command line: see ``python -m benchmarks.accuracy --help``."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from benchmarks import accuracy
from benchmarks.accuracy.judge import NAMING, judge
from benchmarks.accuracy.page import write_page
from benchmarks.accuracy.picture import draw_exits
from benchmarks.accuracy.problem import Problem
from benchmarks.accuracy.setfit import judge_set_fit
from benchmarks.accuracy.times import measure_times
from benchmarks.data import TASKS
from benchmarks.lines import RESULTS, Lines, show
from benchmarks.pages import DOCS


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if args.picture:
            print("accuracy", draw_exits(args.docs / "images" / "exits.png"))
            return
        lines = Lines(args.results, NAMING, on_add=show)
        if not args.table:
            measure(args, lines)
        write_page(lines, args.docs)


def measure(args: argparse.Namespace, lines: Lines) -> None:
    work = measure_times if args.times else judge_set_fit if args.setfit else judge
    for seed in args.seeds:
        for task in args.tasks:
            work(Problem(args.backbone, task, seed, args.store), lines)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=accuracy.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backbone", default="gemma3-270m")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--store", type=Path, help="folder for sweeps")
    parser.add_argument("--results", type=Path, default=RESULTS / "accuracy.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--times", action="store_true", help="measure times instead")
    instead.add_argument("--setfit", action="store_true", help="run SetFit instead")
    instead.add_argument("--table", action="store_true", help="only write the tables")
    instead.add_argument("--picture", action="store_true", help="only draw the exits")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
