"""The tables and figures of the RAEE paper, on any backbone.

    python benchmarks/paper.py table1 --backbone gemma3-270m --store FOLDER
    python benchmarks/paper.py latency --backbone gemma3-270m --store FOLDER
    python benchmarks/paper.py all --backbone FacebookAI/roberta-large --store FOLDER
    python benchmarks/paper.py write

A backbone is a folder under $SKRAEE_BACKBONES, a path, or a hub name. Results are lines
of results/paper.jsonl; what has its line is not run again, so that a run that was ended
goes on, and several with other tasks or methods may run side by side. `write` makes
docs/paper.md of them. README.md has the commands for the paper's backbones.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from accuracy import TASKS
from accuracy_table import DOCS
from common import RESULTS, read_task, sample
from paper_lines import Line, Lines
from paper_measure import (
    built,
    curves,
    examples,
    judged,
    timed,
    with_k,
    with_share,
)
from paper_methods import METHODS, PEERS, Case, shown_name
from paper_order import removal_order
from paper_page import write_page

KS = (2, 4, 8, 12, 16, 20)
SHARES = (0.2, 0.5, 1.0)
BATCHES = (1, 64)
N_ALONE = 16  # texts that are timed one by one
N_TURNS = 8  # methods that share the turns of full depth


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    if args.data:
        os.environ["SKRAEE_DATA"] = args.data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        COMMANDS[args.command](Run(args))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=COMMANDS)
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


@dataclass(frozen=True)
class Run:
    """What was asked for on the command line."""

    args: argparse.Namespace

    @property
    def lines(self) -> Lines:
        return Lines(self.args.results, self.args.retry)

    @property
    def cases(self) -> Iterator[Case]:
        args = self.args
        for task in args.tasks:
            yield Case(
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
                lines=self.lines,
            )

    def methods(self, *usual: str) -> list[str]:
        """Return the methods that a table has and the command line does not drop."""
        wanted = self.args.methods
        return [m for m in usual or METHODS if wanted is None or m in wanted]


def name_of(
    table: str, case: Case, method: str, n_test: int, setting: Line | None = None
) -> Line:
    return {
        "table": table,
        "backbone": case.shown_backbone,
        "task": case.task,
        "method": method,
        "setting": setting,
        "n_fit": len(case.train[0]),
        "n_test": n_test,
        "seed": case.seed,
        "encoder": shown_name(case.encoder),
        "dtype": case.dtype,
        "asked": {"n_fit": case.n_fit, "n_test": case.n_test},
    }


# The commands, in the order of `all`


def table1(run: Run, *usual: str) -> None:
    """Judge every method; Table 8 has its exits."""
    for case in run.cases:
        for method in run.methods(*usual):
            name = name_of("table1", case, method, len(case.test[0]))
            run.lines.once(name, partial(judged, case, method))


def table3(run: Run) -> None:
    """Change k. The peers that know no k stand in Table 1."""
    for case in run.cases:
        for k in KS:
            for method in run.methods("raee", "encoder-knn"):
                name = name_of("table3", case, method, len(case.test[0]), {"k": k})
                run.lines.once(name, partial(with_k, case, method, k))


def table4(run: Run) -> None:
    """Fit on a part of the training texts."""
    for whole in run.cases:
        for share in SHARES:
            case = replace(whole, share=share)
            for method in run.methods("raee", *PEERS):
                setting = {"share": share}
                name = name_of("table4", case, method, len(case.test[0]), setting)
                run.lines.once(name, partial(with_share, case, method))


def table5(run: Run) -> None:
    """Time what a fit takes, and weigh what it leaves."""
    methods = ("raee", "raee-depth0", "hashee", "adainfer", "deebert", *PEERS)
    for case in run.cases:
        for method in run.methods(*methods):
            name = name_of("table5", case, method, 0)
            run.lines.once(name, partial(built, case, method))


def table9(run: Run) -> None:
    """Show test texts and their neighbours: what RAEE mends, and what it breaks."""
    for case in run.cases:
        for table, mends in (("table9", True), ("table10", False)):
            for method in run.methods("raee"):
                name = name_of(table, case, method, len(case.test[0]))
                run.lines.once(name, partial(examples, case, mends))


def figure2(run: Run) -> None:
    """Compare texts with their neighbours, layer by layer."""
    for case in run.cases:
        for method in run.methods("raee"):
            name = name_of("figure2", case, method, len(case.test[0]))
            run.lines.once(name, partial(curves, case))


def latency(run: Run, *usual: str) -> None:
    """Time every method in turns with full depth."""
    for case in run.cases:
        for batch in BATCHES:
            texts = timed_texts(case, batch)
            name = partial(
                name_of, "latency", case, n_test=len(texts), setting={"batch": batch}
            )
            left = [m for m in run.methods(*usual) if not run.lines.has(name(m))]
            for first in range(0, len(left), N_TURNS):
                turns = left[first : first + N_TURNS]
                found = timed(case, turns, texts, batch, run.args.rounds)
                for method, line in found.items():
                    run.lines.add(**name(method), **line)


def timed_texts(case: Case, batch: int) -> list[str]:
    return sample(*read_task(case.task, "test"), max(batch, N_ALONE), case.seed)[0]


def everything(run: Run) -> None:
    for command in (table1, table3, table4, table5, table9, figure2, latency):
        command(run)
    write(run)


def table2(run: Run) -> None:
    """Judge and time RAEE with and without corrective information."""
    for command in (table1, latency):
        command(run, "full", "raee-without", "raee", *PEERS)


def sleb_order(run: Run) -> None:
    print(removal_order(next(run.cases), run.lines))


def write(run: Run) -> None:
    write_page(run.lines, run.args.docs)


COMMANDS: dict[str, Callable[[Run], None]] = {
    "table1": table1,  # and Table 8
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table9": table9,  # and Table 10
    "figure2": figure2,
    "figure3": latency,
    "latency": latency,  # the same
    "sleb-order": sleb_order,
    "all": everything,
    "write": write,
}

if __name__ == "__main__":
    main()
