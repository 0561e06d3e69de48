"""The command line: see ``python -m benchmarks.accuracy --help``."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from benchmarks import accuracy
from benchmarks.accuracy.judge import judge
from benchmarks.accuracy.page import write_page
from benchmarks.accuracy.picture import draw_exits
from benchmarks.accuracy.problem import NONE, Problem
from benchmarks.accuracy.results import Results
from benchmarks.accuracy.setfit import N_ITERATIONS, judge_set_fit
from benchmarks.accuracy.times import measure_times
from benchmarks.data import ALL_TASKS
from benchmarks.lines import RESULTS
from benchmarks.pages import DOCS

SEEDS = (0, 1, 2, 3, 4)
TIMED = ("sst2", "mpqa", "subj", "trec", "cola")
TRAINED, TRAINED_SEEDS = ("sst2", "trec"), (0, 1, 2)


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if args.picture:
            print("accuracy", draw_exits(args.docs / "images" / "exits.png"))
            return
        results = Results.at(args.results)
        if not args.table:
            measure(args, results)
        write_page(results, args.docs)


def measure(args: argparse.Namespace, results: Results) -> None:
    """Do what was asked for, or go on with it: seed by seed of each backbone."""
    if args.times:
        for problem in problems(args, args.backbone, (0,), TIMED):
            measure_times(problem, results)
    elif args.setfit:
        for problem in problems(args, [NONE], TRAINED_SEEDS, TRAINED):
            judge_set_fit(problem, results, args.setfit_pairs)
    else:
        for problem in problems(args, [NONE, *args.backbone], SEEDS, ALL_TASKS):
            judge(problem, results)


def problems(
    args: argparse.Namespace,
    backbones: Iterable[str],
    seeds: Iterable[int],
    tasks: Iterable[str],
) -> Iterable[Problem]:
    """Yield the problems; seeds and tasks are those that no option names."""
    for backbone in backbones:
        for seed in seeds if args.seeds is None else args.seeds:
            for task in args.tasks or tasks:
                yield Problem(backbone, task, seed, args.store)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=accuracy.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = partial(parser.add_argument, nargs="*")
    add("--backbone", default=["mpnet-base", "gemma3-270m"], help="(%(default)s)")
    add(
        "--tasks",
        choices=ALL_TASKS,
        help=f"(all ten; with --times {' '.join(TIMED)}; with --setfit "
        f"{' '.join(TRAINED)})",
    )
    add("--seeds", type=int, help="(0 to 4; with --times 0; with --setfit 0 to 2)")
    parser.add_argument("--store", type=Path, help="folder for sweeps")
    parser.add_argument("--results", type=Path, default=RESULTS / "accuracy.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument(
        "--setfit-pairs",
        type=int,
        default=N_ITERATIONS,
        metavar="N",
        help="SetFit's num_iterations: a text is in N pairs of equal and N of unequal "
        "classes (%(default)s, as published)",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--times", action="store_true", help="measure times instead")
    instead.add_argument("--setfit", action="store_true", help="run SetFit instead")
    instead.add_argument("--table", action="store_true", help="only write the tables")
    instead.add_argument("--picture", action="store_true", help="only draw the exits")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
