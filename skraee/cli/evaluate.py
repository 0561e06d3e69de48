"""``skraee evaluate``: how well a model file answers labelled texts.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.cli.command import Command, Options
from skraee.cli.model_files import opened, read_key
from skraee.cli.options import DEVICE, JSON, KEY, LABELLED_TABLE, MODEL, TRUST
from skraee.cli.streams import say, say_json, tell
from skraee.text.tables import read_table

if TYPE_CHECKING:
    from skraee.inspection.evaluation import Evaluation

_EVALUATE: Options = {
    **MODEL,
    "data": {
        "type": Path,
        "metavar": "DATA",
        "help": "labelled texts that the model was not fitted on; - is the standard "
        "input",
    },
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
    key = read_key(arguments.key_file, arguments.model)
    table = read_table(arguments.data, arguments.separator, arguments.format)
    labels = table.labels(arguments.label_column)
    clf = opened(arguments, key)
    texts = table.texts(clf._template().fields, arguments.text_column)
    labels = _as_classes(labels, clf.classes_.tolist(), arguments.label_column)

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


def _as_classes(
    labels: Sequence[Any], classes: Sequence[Any], column: str
) -> list[Any]:
    """Return labels as the model writes them: a CSV file has no numbers.

    Raises
    ------
    ValueError
        If none of them is a class of the model.
    """
    named = {str(name): name for name in classes}
    known = [str(label) in named for label in labels]
    if not any(known):
        shown = ", ".join(list(named)[:10])
        raise ValueError(
            f"none of the labels in the column {column!r} is a class of the model, "
            f"whose classes are {shown}{', ...' if len(named) > 10 else ''}; name the "
            "right column with --label."
        )
    if not all(known):
        strange = labels[known.index(False)]
        tell(
            f"warning: {known.count(False)} of {len(labels)} labels are no class of "
            f"the model, first {strange!r}; these texts count as wrong"
        )
    return [named.get(str(label), str(label)) for label in labels]


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
