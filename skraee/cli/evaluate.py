"""``skraee evaluate``: how well a model file answers labelled texts.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skraee.cli.command import Command, Options
from skraee.cli.model_files import opened, read_key
from skraee.cli.options import DEVICE, JSON, KEY, LABELLED_TABLE, MODEL, TRUST
from skraee.cli.streams import say, say_json, tell
from skraee.text.tables import read_table

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
    if arguments.json:
        say_json(asdict(found))
    else:
        say(found)
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


COMMAND = Command(
    "evaluate",
    "say how well and how fast a model answers labelled texts",
    run=_evaluate,
    options=_EVALUATE,
    more=f"; {TRUST}",
)
