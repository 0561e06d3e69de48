"""``skraee predict``: the classes of the texts of a table.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.cli.command import Command, Options
from skraee.cli.model_files import read_key, read_model
from skraee.cli.options import KEY, MODEL, TABLE, TRUST
from skraee.cli.streams import is_quiet, tell, verbosity
from skraee.files.replacing import check_writable
from skraee.text.tables import Table, read_table, write_table

if TYPE_CHECKING:
    from skraee.cli.model_files import AnyClassifier

# What is added to the columns of the input.
_ANSWERS = ("label", "exit_layer", "probability")

_PREDICT: Options = {
    **MODEL,
    "new": {"type": Path, "metavar": "NEW_CSV"},
    **TABLE,
    **KEY,
    "-o --output": {
        "type": Path,
        "metavar": "CSV",
        "help": "where to write the columns of NEW_CSV with label, exit_layer and "
        "probability behind them, or predicted_label and so on where NEW_CSV has "
        "columns of these names; by default the standard output, in UTF-8",
    },
}


def _predict(arguments: argparse.Namespace) -> None:
    if arguments.output is not None:
        check_writable(arguments.output)
    elif sys.stdout is None:
        raise OSError("the standard output is closed; name a file with --output.")
    key = read_key(arguments.key_file, arguments.model)
    table = read_table(arguments.new, arguments.separator)
    clf = read_model(arguments.model, key).set_params(verbose=verbosity(arguments))
    texts = table.texts(clf._template().fields, arguments.text_column)
    start = time.perf_counter()
    answers = _answers(clf, texts) if table.rows else []
    seconds = time.perf_counter() - start
    header = [*table.columns, *_free_names(table.columns)]
    rows = [[*cells, *more] for cells, more in zip(table.rows, answers, strict=True)]
    write_table(arguments.output, header, rows, table.separator)
    if not is_quiet(arguments):
        tell(f"{len(rows)} texts in {seconds:.1f} s{_mean_exit(clf, answers)}")


def _answers(clf: AnyClassifier, texts: list[str] | Table) -> list[tuple[Any, ...]]:
    """Return what `_ANSWERS` names for each text."""
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    labels = clf.classes_[proba.argmax(axis=1)]
    best = [f"{p:.4f}" for p in proba.max(axis=1)]
    return list(zip(labels, exits.tolist(), best, strict=True))


def _free_names(columns: Sequence[str]) -> list[str]:
    """Return names for the answers that the user's own columns do not have."""
    names = list(_ANSWERS)
    for i in range(len(names)):
        while names[i] in columns:
            names[i] = f"predicted_{names[i]}"
    return names


def _mean_exit(clf: AnyClassifier, answers: Sequence[tuple[Any, ...]]) -> str:
    if not answers:
        return ""
    mean = sum(exit_layer for _, exit_layer, _ in answers) / len(answers)
    return f", mean exit layer {mean:.1f} of {clf.n_layers_}"


COMMAND = Command(
    "predict",
    "classify the texts of a table",
    run=_predict,
    options=_PREDICT,
    more=f"; {TRUST}",
)
