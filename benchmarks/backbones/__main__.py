"""The command line: see ``python -m benchmarks.backbones --help``."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

from benchmarks import backbones
from benchmarks.backbones.measure import NAMING, measure
from benchmarks.backbones.page import write_page
from benchmarks.backbones.problem import Problem
from benchmarks.backbones.prompts import PAPER, PLAIN, names_for
from benchmarks.data import ALL_TASKS, local_backbones
from benchmarks.lines import RESULTS, Lines, reason_of, show
from benchmarks.pages import DOCS


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    lines = Lines(args.results, NAMING, on_add=show)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not args.table:
            for name in args.backbones or local_backbones():
                measure_backbone(name, args, lines)
        write_page(lines, args.docs)


def measure_backbone(name: str, args: argparse.Namespace, lines: Lines) -> None:
    """Measure a backbone; where it cannot be, say why and leave it."""
    try:
        for problem in problems(name, args):
            measure(problem, lines)
    except Exception as error:
        lines.add(backbone=name, failed=reason_of(error))


def problems(name: str, args: argparse.Namespace) -> Iterator[Problem]:
    for seed in args.seeds:
        for task in args.tasks or ALL_TASKS:
            templates = names_for(task, args.templates, only=args.tasks)
            sizes = args.train, args.test
            if templates:
                yield Problem(name, task, seed, templates, *sizes, args.dtype)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.backbones",
        description=backbones.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--backbones", nargs="*", help="folders under $SKRAEE_BACKBONES (all)"
    )
    parser.add_argument(
        "--templates",
        nargs="*",
        default=[PLAIN, PAPER],
        help="templates with {text}, or paper; all but {text} on two tasks only, "
        "unless --tasks names others (%(default)s)",
    )
    parser.add_argument("--tasks", nargs="*", choices=ALL_TASKS, help="(all)")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--train", type=int, default=2_000, help="(%(default)s)")
    parser.add_argument(
        "--test", type=int, help="(the whole test file; of the intents 1000)"
    )
    parser.add_argument("--dtype", default="auto", help="(%(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS / "backbones.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--table", action="store_true", help="only write the tables")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
