"""A model, and labelled texts that it was not fitted on.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.cli.command import Options
from skraee.cli.model_files import opened, read_key
from skraee.cli.streams import tell
from skraee.text.tables import read_table

if TYPE_CHECKING:
    from skraee.cli.model_files import AnyClassifier

LABELLED: Options = {
    "data": {
        "type": Path,
        "metavar": "DATA",
        "help": "labelled texts that the model was not fitted on; - is the standard "
        "input",
    },
}


def model_and_labelled(
    arguments: argparse.Namespace,
) -> tuple[AnyClassifier, Any, list[Any]]:
    """Read what a command names: the table first, as it is where mistakes are.

    Parameters
    ----------
    arguments : Namespace
        With the options of `LABELLED`, `LABELLED_TABLE`, `MODEL`, `DEVICE` and `KEY`.

    Returns
    -------
    clf : classifier
    texts : list of str, or Table
        As it takes them.
    labels : list
        As it writes them.
    """
    key = read_key(arguments.key_file, arguments.model)
    table = read_table(arguments.data, arguments.separator, arguments.format)
    labels = table.labels(arguments.label_column)
    clf = opened(arguments, key)
    texts = table.texts(clf._template().fields, arguments.text_column)
    named = _as_classes(labels, clf.classes_.tolist(), arguments.label_column)
    return clf, texts, named


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
