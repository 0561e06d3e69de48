"""``skraee evaluate``: how well a model file answers labelled texts.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from skraee.cli.command import Command, Options
from skraee.cli.labelled import LABELLED, model_and_labelled
from skraee.cli.options import DEVICE, JSON, KEY, LABELLED_TABLE, MODEL, TRUST
from skraee.cli.streams import say, say_json, tell

if TYPE_CHECKING:
    from skraee.inspection.evaluation import Evaluation

_EVALUATE: Options = {
    **MODEL,
    **LABELLED,
    **LABELLED_TABLE,
    **DEVICE,
    **KEY,
    "--min-accuracy": {
        "type": float,
        "metavar": "SHARE",
        "help": "end with exit status 1 where the accuracy is below, such as 0.9",
    },
    "--baseline": {
        "choices": ["majority"],
        "help": "print beside it what a classifier would reach that knows nothing of "
        "texts: majority always answers the most frequent class of DATA",
    },
    **JSON,
}


def _evaluate(arguments: argparse.Namespace) -> int:
    clf, texts, labels = model_and_labelled(arguments)

    from skraee.inspection.evaluation import Evaluation

    found = Evaluation.of(clf, texts, labels)
    other = _majority(found) if arguments.baseline == "majority" else None
    if arguments.json:
        say_json({**asdict(found), **({} if other is None else {"baseline": other})})
    else:
        say(found)
        if other is not None:
            say(f"\n{_told(other)}")
    least = arguments.min_accuracy
    if least is None or found.accuracy >= least:
        return 0
    tell(f"the accuracy {found.accuracy:.4f} is below --min-accuracy {least:g}")
    return 1


def _majority(found: Evaluation) -> dict[str, Any]:
    """Return what it comes to if every text gets the most frequent class."""
    import numpy as np

    from skraee.inspection.answer_scores import class_scores

    supports = [one.support for one in found.classes]
    answer = supports.index(max(supports))
    confusion = np.zeros((len(supports), len(supports)), dtype=np.int64)
    confusion[:, answer] = supports
    scores = class_scores([one.label for one in found.classes], confusion)
    present = [one for one in scores if one.support]
    return {
        "name": "majority",
        "answer": scores[answer].label,
        "accuracy": max(supports) / found.n_texts,
        "balanced_accuracy": sum(one.recall for one in present) / len(present),
        "macro_f1": sum(one.f1 for one in present) / len(present),
    }


def _told(other: dict[str, Any]) -> str:
    return (
        f"always {other['answer']!r}, the most frequent class: accuracy "
        f"{other['accuracy']:.3f} (balanced {other['balanced_accuracy']:.3f}, macro F1 "
        f"{other['macro_f1']:.3f})"
    )


COMMAND = Command(
    "evaluate",
    "say how well and how fast a model answers labelled texts",
    run=_evaluate,
    options=_EVALUATE,
    more=f"; {TRUST}",
)
