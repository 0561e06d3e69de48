"""README's picture: where the demo's texts stop, over each layer alone.

It needs the extras `demo` and `plot`.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.pages import save, subplots
from skraee import RAEEClassifier, templates
from skraee.demo import backbone, shipped_task
from skraee.inspection import ExitLayerDisplay


def draw_exits(target: Path) -> float | None:
    """Draw the exits of the demo's test texts; return RAEE's accuracy on them."""
    task = shipped_task()
    prompt = templates.CAUSAL["sst2"]
    clf = RAEEClassifier(
        backbone(),
        prompt.template,
        k=12,
        tau=0.0,
        label_words=prompt.label_words,
        encoder=9,
        min_exit=1,
        memory=None,
    ).fit(task.fit.texts, task.fit.labels)
    figure, axes = subplots(1, 1, figsize=(7, 3.5))
    shown = ExitLayerDisplay.from_estimator(
        clf, task.test.texts, task.test.labels, ax=axes[0, 0]
    )
    axes[0, 0].set_title("Gemma 3 270M, 200 synthetic reviews of the demo")
    save(figure, target, dpi=120)
    return shown.score
