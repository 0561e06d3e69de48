"""The command line: see ``python -m benchmarks.paper --help``."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks import paper
from benchmarks.data import TASKS
from benchmarks.lines import RESULTS, Lines, show
from benchmarks.pages import DOCS
from benchmarks.paper import commands
from benchmarks.paper.case import NAMING, Case
from benchmarks.paper.commands import Run
from benchmarks.paper.methods import METHODS
from benchmarks.paper.order import removal_order
from benchmarks.paper.page import write_page


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    if args.data:
        os.environ["SKRAEE_DATA"] = args.data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = run_of(args)
        if args.command == "sleb-order":
            print(removal_order(next(iter(run.cases))))
        elif args.command in COMMANDS:
            COMMANDS[args.command](run)
        if args.command in ("all", "write"):
            write_page(run.lines, args.docs)


COMMANDS: dict[str, Callable[[Run], None]] = {
    "table1": commands.table1,  # and Table 8
    "table2": commands.table2,
    "table3": commands.table3,
    "table4": commands.table4,
    "table5": commands.table5,
    "table9": commands.table9,  # and Table 10
    "figure2": commands.figure2,
    "figure3": commands.latency,
    "latency": commands.latency,  # the same
    "all": commands.everything,
}


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper",
        description=paper.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=[*COMMANDS, "sleb-order", "write"])
    parser.add_argument("--backbone", default="gemma3-270m")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--methods", nargs="*", choices=METHODS)
    parser.add_argument("--data", help="folder of the tasks; default $SKRAEE_DATA")
    parser.add_argument("--store", type=Path, default=Path("~/.cache/skraee-paper"))
    parser.add_argument("--n-fit", type=int, default=2_000)
    parser.add_argument("--n-test", type=int, help="default: the whole test file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoder", default="minilm-l6")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--n-calibration", type=int, default=128, help="texts of SLEB")
    parser.add_argument("--rounds", type=int, default=3, help="of timing")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    parser.add_argument("--results", type=Path, default=RESULTS / "paper.jsonl")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(arguments)


def run_of(args: argparse.Namespace) -> Run:
    """Return what was asked for."""
    lines = Lines(args.results, NAMING, args.retry, on_add=show)
    cases = [
        Case(
            backbone=args.backbone,
            task=task,
            n_fit=args.n_fit,
            n_test=args.n_test,
            seed=args.seed,
            encoder=args.encoder,
            dtype=args.dtype,
            device=args.device,
            store=args.store.expanduser(),
            n_calibration=args.n_calibration,
            lines=lines,
        )
        for task in args.tasks
    ]
    return Run(cases, lines, args.methods, args.rounds)


if __name__ == "__main__":
    main()
