"""What the demo prints."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skraee.demo.measure import N_ROUNDS, Measured, is_steady
from skraee.demo.settings import DEFAULTS, MARGIN, K, Setting, Trial
from skraee.demo.task import Task
from skraee.inspection.explanation import Explanation

_BAR = 50


def opening(task: Task) -> str:
    """Say what the demo works on.

    Parameters
    ----------
    task : Task
    """
    words = ", ".join(f"{name}: {w}" for name, w in task.prompt.label_words.items())
    return (
        f"RAEE with Gemma 3 270M on {task.title}: "
        f"{len(task.fit)} to fit, {len(task.test)} to test\n"
        f"prompt       {task.prompt.template}\n"
        f"label words  {words}"
    )


def trials_table(trials: Sequence[Trial], chosen: Setting) -> str:
    """Show the settings that were tried, and say which was taken and why.

    Parameters
    ----------
    trials : sequence of Trial
    chosen : Setting
    """
    if not trials:
        return f"\nA class has too few texts to try settings; the defaults: {DEFAULTS}."
    lines = [
        "\nSettings, tried by cross-validation on the texts to fit (no test text is "
        f"used), k={K}:",
        f"  {'setting':42} accuracy  layers run",
    ]
    for trial in trials:
        marks = {"defaults": DEFAULTS, "chosen": chosen}
        marked = ", ".join(m for m, which in marks.items() if which == trial.setting)
        lines.append(
            f"  {trial.setting!s:42} {trial.accuracy:8.3f}  {trial.layers_run:10.1f}"
            f"  {marked}".rstrip()
        )
    note = (
        "Defaults: the paper's k and tau. The most accurate setting is chosen if it "
        f"beats them by at least {100 * MARGIN:.0f} points."
    )
    return "\n".join([*lines, _wrapped(note)])


def results_table(results: Sequence[Measured], where: str) -> str:
    """Show accuracy, layers and speed of all systems, and what was measured.

    Parameters
    ----------
    results : sequence of Measured
        Full depth first, RAEE in the chosen setting last.
    where : str
        What the backbone computes in, and on.
    """
    n_texts = len(results[0].right)
    lines = [
        f"\nOn the {n_texts} test texts:",
        f"  {'':21}  accuracy  mean exit  layers run  texts/s",
    ]
    lines += [
        f"  {r.name:21}  {r.right.mean():8.3f}  {r.exits.mean():9.1f}"
        f"  {r.layers_run:10.1f}  {r.texts_per_second:7.1f}"
        for r in results
    ]
    *others, raee = results
    notes = [
        "Full depth and best layer run every text to the same layer, without "
        "retrieval; the best is the most accurate one on the texts to fit.",
        "Closed form: EarlyExitClassifier with a budget: a linear readout of each "
        "layer, solved on the texts to fit, and exits when confident.",
        "Layers run: where keys come from a layer, every text runs as far as that.",
        f"Speed: the first {raee.n_timed} test texts from words to labels, in {where}; "
        f"all systems warm, in {N_ROUNDS} rounds of turns, of which the medians count; "
        "same prompts, engine and head for all, keys and search included for RAEE.",
        *_unsteady(results),
        *(_verdict(raee, other) for other in others),
    ]
    return "\n".join([*lines, *map(_wrapped, notes)])


def _unsteady(results: Sequence[Measured]) -> list[str]:
    """Warn of systems whose rounds differ by more than a third."""
    names = [r.name for r in results if not is_steady(r.seconds)]
    if not names:
        return []
    return [
        f"The rounds of {'; '.join(names)} differ by more than a third: the machine "
        "was busy, so these speeds are rough; run the demo again when it is idle."
    ]


def _verdict(raee: Measured, other: Measured) -> str:
    """Say in a sentence how RAEE compares, and whether chance could do it."""
    gain = raee.right.astype(float) - other.right
    points, error = 100 * gain.mean(), 100 * gain.std() / np.sqrt(len(gain))
    found = "not clearly better or worse than"
    if abs(points) > 2 * error:
        found = "better than" if points > 0 else "worse than"
    return (
        f"{raee.name} is {found} {other.name} ({points:+.1f} points of accuracy, "
        f"standard error {error:.1f}) at {_speedup(raee, other)}."
    )


def _speedup(raee: Measured, other: Measured) -> str:
    rounds = raee.speedups(other)
    said = f"{np.median(rounds):.2f} times its speed"
    if is_steady(rounds):
        return said
    return f"{said} ({rounds.min():.2f} to {rounds.max():.2f}, by the round)"


def groups_table(task: Task, results: Sequence[Measured]) -> str:
    """Show the accuracy of each group of texts.

    Parameters
    ----------
    task : Task
    results : sequence of Measured
    """
    head = "".join(f"  {r.name:>16}" for r in results)
    lines = [f"\nAccuracy by {task.grouped_by}:", f"  {'':12}{head}  texts"]
    for group in np.unique(task.test.groups):
        among = task.test.groups == group
        scores = "".join(f"  {r.right[among].mean():16.3f}" for r in results)
        lines.append(f"  {group:12}{scores}  {among.sum():5}")
    return "\n".join(lines)


def histogram(raee: Measured, n_layers: int) -> str:
    """Draw how many texts stop at each depth.

    Parameters
    ----------
    raee : Measured
    n_layers : int
    """
    counts = np.bincount(raee.exits, minlength=n_layers + 1)
    lines = [f"\nExit layers of {raee.name}, 0 to {n_layers}:"]
    for depth, count in enumerate(counts):
        bar = "#" * round(_BAR * count / counts.max())
        lines.append(f"  {depth:3} {count:5} {bar}".rstrip())
    return "\n".join(lines)


def explanations(explained: Sequence[tuple[str, Explanation]], n_shown: int = 4) -> str:
    """Show why texts stopped where they did.

    Parameters
    ----------
    explained : sequence of (str, Explanation)
        What was drawn from, and why.
    n_shown : int, default=4
        How many of the neighbours to show.
    """
    head = _wrapped(
        f"Three answers to test texts, drawn at random, with the nearest {n_shown} of "
        f"the {K} labelled neighbours that chose the exit (votes: layers, and the "
        "probability of the neighbour's own class there):"
    )
    lines = [f"\n{head}"]
    for kind, explanation in explained:
        short = replace(explanation, neighbors=explanation.neighbors[:n_shown])
        lines.append(f"\n{kind[0].upper()}{kind[1:]}:\n{short}")
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, width=88, subsequent_indent="  ")
