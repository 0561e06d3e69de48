"""``skraee predict``: the classes of the texts of a table.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from skraee.cli.answers import Answers
from skraee.cli.command import Command, Options
from skraee.cli.model_files import opened, read_key, refuse_model_name
from skraee.cli.options import DEVICE, KEY, MODEL, TABLE, TRUST
from skraee.cli.streams import is_quiet, tell, verbosity
from skraee.files.replacing import check_writable
from skraee.text.long_tables import open_table
from skraee.text.table_format import FORMATS, STREAM, Format, format_of
from skraee.text.table_writing import write_table
from skraee.text.tables import Table

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
        refuse_model_name(output)
    elif sys.stdout is None:
        raise OSError("the standard output is closed; name a file with --output.")
    key = read_key(arguments.key_file, arguments.model)
    table = open_table(arguments.new, arguments.separator, arguments.format)
    head, written = table.head, _written(output, arguments.output_format, table.head)
    clf = opened(arguments, key)
    answers = Answers(clf, table, clf._template().fields, arguments.text_column)
    answers.check_texts()
    header = [*head.columns, *_free_names(head.columns)]
    start = time.perf_counter()
    with answers.rows(verbosity(arguments), at_once=output is None) as rows:
        write_table(
            output, header, rows, _separator(head, written), written, head.frame
        )
    seconds = time.perf_counter() - start
    if not is_quiet(arguments):
        tell(f"{table.n_rows} texts in {seconds:.1f} s{answers.mean_exit()}")


def _written(output: Path | None, given: Format | None, head: Table) -> Format:
    """Return the format to write; nobody reads Parquet off a terminal by chance."""
    otherwise = "csv" if head.format == "parquet" else head.format
    return format_of(output, given, otherwise)


def _separator(head: Table, written: Format) -> str:
    """Return what separates cells: as in the input, where that is of this format."""
    if written == head.format:
        return head.separator
    return "\t" if written == "tsv" else ","


def _free_names(columns: Sequence[str]) -> list[str]:
    """Return names for the answers that the user's own columns do not have."""
    names = list(_ANSWERS)
    for i in range(len(names)):
        while names[i] in columns:
            names[i] = f"predicted_{names[i]}"
    return names


COMMAND = Command(
    "predict",
    "classify the texts of a table",
    run=_predict,
    options=_PREDICT,
    more=f"; {TRUST}",
)
