"""The commands: each makes the lines of one table or figure that are not there yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.lines import Lines
from benchmarks.paper.case import Case
from benchmarks.paper.latency import timed, timed_texts
from benchmarks.paper.measure import built, judged, with_k, with_share
from benchmarks.paper.methods import METHODS, PEERS
from benchmarks.paper.neighbors import curves, examples

KS = (2, 4, 8, 12, 16, 20)
SHARES = (0.2, 0.5, 1.0)
BATCHES = (1, 64)
N_TURNS = 8  # methods that share the turns of full depth


@dataclass(frozen=True)
class Run:
    """What was asked for on the command line.

    Attributes
    ----------
    cases : list of Case
        One for each task.
    lines : Lines
    wanted : list of str or None
        Methods; None for all.
    n_rounds : int
        Of timing.
    """

    cases: Sequence[Case]
    lines: Lines
    wanted: Sequence[str] | None
    n_rounds: int

    def methods(self, *usual: str) -> list[str]:
        """Return the methods that a table has and the command line does not drop."""
        wanted = self.wanted
        return [m for m in usual or METHODS if wanted is None or m in wanted]


def table1(run: Run, *usual: str) -> None:
    """Judge every method; Table 8 has its exits."""
    for case in run.cases:
        for method in run.methods(*usual):
            name = case.name_of("table1", method, len(case.test[0]))
            run.lines.once(name, partial(judged, case, method))


def table2(run: Run) -> None:
    """Judge and time RAEE with and without corrective information."""
    for command in (table1, latency):
        command(run, "full", "raee-without", "raee", *PEERS)


def table3(run: Run) -> None:
    """Change k. The peers that know no k stand in Table 1."""
    for case in run.cases:
        for k in KS:
            for method in run.methods("raee", "encoder-knn"):
                name = case.name_of("table3", method, len(case.test[0]), {"k": k})
                run.lines.once(name, partial(with_k, case, method, k))


def table4(run: Run) -> None:
    """Fit on a part of the training texts."""
    for whole in run.cases:
        for share in SHARES:
            case = replace(whole, share=share)
            for method in run.methods("raee", *PEERS):
                setting = {"share": share}
                name = case.name_of("table4", method, len(case.test[0]), setting)
                run.lines.once(name, partial(with_share, case, method))


def table5(run: Run) -> None:
    """Time what a fit takes, and weigh what it leaves."""
    methods = ("raee", "raee-depth0", "hashee", "adainfer-gold", "deebert", *PEERS)
    for case in run.cases:
        for method in run.methods(*methods):
            name = case.name_of("table5", method, 0)
            run.lines.once(name, partial(built, case, method))


def table9(run: Run) -> None:
    """Show test texts and their neighbours: what RAEE mends, and what it breaks."""
    for case in run.cases:
        for table, mends in (("table9", True), ("table10", False)):
            for method in run.methods("raee"):
                name = case.name_of(table, method, len(case.test[0]))
                run.lines.once(name, partial(examples, case, mends))


def figure2(run: Run) -> None:
    """Compare texts with their neighbours, layer by layer."""
    for case in run.cases:
        for method in run.methods("raee"):
            name = case.name_of("figure2", method, len(case.test[0]))
            run.lines.once(name, partial(curves, case))


def latency(run: Run, *usual: str) -> None:
    """Time every method in turns with full depth, all that runs in one dtype."""
    for case in (case.in_one_dtype() for case in run.cases):
        for batch in BATCHES:
            texts = timed_texts(case)
            names = {
                method: case.name_of("latency", method, len(texts), {"batch": batch})
                for method in run.methods(*usual)
            }
            left = [method for method in names if not run.lines.has(names[method])]
            for first in range(0, len(left), N_TURNS):
                turns = left[first : first + N_TURNS]
                found = timed(case, turns, texts, batch, run.n_rounds)
                for method, line in found.items():
                    dtype = {"encoder_dtype": case.encoder_dtype}
                    run.lines.add(**names[method], **dtype, **line)


def everything(run: Run) -> None:
    for command in (table1, table3, table4, table5, table9, figure2, latency):
        command(run)
