"""The README's first command: RAEE with Gemma 3 270M, measured and explained.

The weights come from the package index (extra ``demo``), under the Gemma Terms of Use
(https://ai.google.dev/gemma/terms); the texts are synthetic reviews written for this
project. :func:`run` is the whole story.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

from skraee.demo import report
from skraee.demo.experiment import Experiment
from skraee.demo.gemma import backbone
from skraee.demo.measure import Measured
from skraee.demo.settings import choose
from skraee.demo.task import Task, shipped_task, task_from
from skraee.exceptions import UndecidedWarning

__all__ = ["backbone", "run", "shipped_task", "task_from"]


def run(task: Task, write: Callable[[str], object] = print) -> list[Measured]:
    """Fit RAEE on a task's fit part, measure it on its test part, explain it.

    Parameters
    ----------
    task : Task
        From :func:`shipped_task` or :func:`task_from`.
    write : callable, default=print
        Takes the report, some lines at a time.

    Returns
    -------
    list of Measured
        Full depth first, RAEE in the chosen setting last.

    Raises
    ------
    ImportError
        If the extra ``demo`` is not installed.
    """
    write(report.opening(task))
    write("\nLoading Gemma 3 270M (the first time it is unpacked, about a minute) ...")
    experiment = Experiment(backbone(), task)
    write("Reading the texts to fit at every layer ...")
    trials = experiment.try_settings()
    chosen = choose(trials)
    write(report.trials_table(trials, chosen))
    write("\nAnswering and timing the test texts ...")
    with warnings.catch_warnings():
        # Undecided texts run all layers, and are counted so.
        warnings.simplefilter("ignore", UndecidedWarning)
        results = experiment.measure(chosen)
        full, raee = results[0], results[-1]
        explained = experiment.explain(chosen, full, raee)
    write(report.results_table(results, experiment.where))
    write(report.groups_table(task, [full, raee]))
    write(report.histogram(raee, experiment.n_layers))
    write(report.explanations(explained))
    return results
