"""Draw the README's picture: where the demo's texts stop, over each layer alone.

    python benchmarks/picture.py

Needs the extras `demo` and `plot`. Writes docs/images/exits.png.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

from skraee import RAEEClassifier, templates
from skraee.demo import backbone, shipped_task
from skraee.inspection import ExitLayerDisplay

TARGET = Path(__file__).parent.parent / "docs" / "images" / "exits.png"


def main() -> None:
    mpl.use("Agg")
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
    shown = ExitLayerDisplay.from_estimator(clf, task.test.texts, task.test.labels)
    shown.ax_.set_title("Gemma 3 270M, 200 synthetic reviews of the demo")
    TARGET.parent.mkdir(exist_ok=True)
    shown.figure_.savefig(TARGET, dpi=120)
    print(TARGET, "accuracy", shown.score)


if __name__ == "__main__":
    main()
