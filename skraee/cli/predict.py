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
from skraee.cli.model_files import opened, read_key
from skraee.cli.options import DEVICE, KEY, MODEL, TABLE, TRUST
from skraee.cli.streams import is_quiet, tell
from skraee.files.replacing import check_writable
from skraee.text.table_format import FORMATS, STREAM, Format, format_of
from skraee.text.tables import Table, read_table, write_table

if TYPE_CHECKING:
    from skraee.cli.model_files import AnyClassifier

# What is added to the columns of the input.
_ANSWERS = ("label", "exit_layer", "probability")

_PREDICT: Options = {
    **MODEL,
    "new": {
        "type": Path,
        "metavar": "DATA",
        "help": "texts: a CSV, TSV, JSON lines (.jsonl) or Parquet file, or - for the "
        "standard input",
    },
    **TABLE,
    **DEVICE,
    **KEY,
    "-o --output": {
        "type": Path,
        "metavar": "FILE",
        "help": "where to write the columns of DATA with label, exit_layer and "
        "probability behind them, or predicted_label and so on where DATA has columns "
        "of these names, in the format of its ending; by default, and for -, the "
        "standard output, in UTF-8",
    },
    "--output-format": {
        "choices": FORMATS,
        "help": "of what is written; by default told by the ending, or else that of "
        "DATA",
    },
    "--json": {
        "action": "store_const",
        "dest": "output_format",
        "const": "jsonl",
        "help": "the same as --output-format jsonl: one JSON object a line",
    },
}


def _predict(arguments: argparse.Namespace) -> None:
    output = None if arguments.output == STREAM else arguments.output
    if output is not None:
        check_writable(output)
    elif sys.stdout is None:
        raise OSError("the standard output is closed; name a file with --output.")
    key = read_key(arguments.key_file, arguments.model)
    table = read_table(arguments.new, arguments.separator, arguments.format)
    written = _written(output, arguments.output_format, table)
    clf = opened(arguments, key)
    texts = table.texts(clf._template().fields, arguments.text_column)
    start = time.perf_counter()
    answers = _answers(clf, texts) if table.rows else []
    seconds = time.perf_counter() - start
    header = [*table.columns, *_free_names(table.columns)]
    rows = [[*cells, *more] for cells, more in zip(table.rows, answers, strict=True)]
    write_table(output, header, rows, _separator(table, written), written, table.frame)
    if not is_quiet(arguments):
        tell(f"{len(rows)} texts in {seconds:.1f} s{_mean_exit(clf, answers)}")


def _written(output: Path | None, given: Format | None, table: Table) -> Format:
    """Return the format to write; nobody reads Parquet off a terminal by chance."""
    otherwise = "csv" if table.format == "parquet" else table.format
    return format_of(output, given, otherwise)


def _separator(table: Table, written: Format) -> str:
    """Return what separates cells: as in the input, where that is of this format."""
    if written == table.format:
        return table.separator
    return "\t" if written == "tsv" else ","


def _answers(clf: AnyClassifier, texts: list[Any] | Table) -> list[tuple[Any, ...]]:
    """Return what `_ANSWERS` names for each text."""
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    labels = clf.classes_[proba.argmax(axis=1)].tolist()
    best = [round(p, 4) for p in proba.max(axis=1).astype(float).tolist()]
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
