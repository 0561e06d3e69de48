"""``skraee report``: a page about a model file, to be sent to others.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.cli.command import Command, Options
from skraee.cli.labelled import LABELLED, model_and_labelled
from skraee.cli.model_files import refuse_model_name
from skraee.cli.options import DEVICE, JSON, KEY, LABELLED_TABLE, MODEL, TRUST
from skraee.cli.streams import is_quiet, say, say_json, size_of, tell, verbosity
from skraee.cli.values import at_least_none
from skraee.files.replacing import check_writable
from skraee.text.table_format import ENDINGS, STREAM
from skraee.text.tables import Table, read_table

if TYPE_CHECKING:
    from skraee.inspection import Report

_REPORT: Options = {
    **MODEL,
    **LABELLED,
    **LABELLED_TABLE,
    **DEVICE,
    **KEY,
    "-o --output": {
        "type": Path,
        "metavar": "FILE",
        "help": "where to write the page; by default the name of DATA with "
        "-report.html behind it, in this folder; - is the standard output",
    },
    "--title": {
        "metavar": "TEXT",
        "help": "of the page; by default the names of MODEL and DATA",
    },
    "--explain": {
        "type": at_least_none,
        "default": 50,
        "metavar": "N",
        "help": "explain N of the listed texts, by turns of the wrong, the least sure "
        "and the deepest (%(default)s); each runs the model once more",
    },
    "--list": {
        "dest": "listed",
        "type": at_least_none,
        "default": 100,
        "metavar": "N",
        "help": "texts of each of the three lists at the most (%(default)s); 0 keeps "
        "all texts off the page",
    },
    "--train": {
        "type": Path,
        "metavar": "DATA",
        "help": "the texts that the model was fitted on, all of them and in their "
        "order, to show neighbours by their words; some then stand on the page",
    },
    **JSON,
}


def _report(arguments: argparse.Namespace) -> None:
    output = _output(arguments)
    train = _read_train(arguments)
    clf, texts, labels = model_and_labelled(arguments)

    from skraee.inspection import Report

    fields = clf._template().fields
    found = Report.of(
        clf,
        texts,
        labels,
        title=arguments.title or _title(arguments),
        explain=arguments.explain,
        listed=arguments.listed,
        texts=None if train is None else train.texts(fields, arguments.text_column),
        verbose=verbosity(arguments),
    )
    if output is None:
        say(found.html())
        return
    found.save(output)
    if arguments.json:
        say_json(_numbers(found, output))
    elif not is_quiet(arguments):
        tell(f"{found}; wrote {output} ({size_of(output.stat().st_size)})")


def _read_train(arguments: argparse.Namespace) -> Table | None:
    if arguments.train is None:
        return None
    return read_table(arguments.train, arguments.separator, arguments.format)


def _output(arguments: argparse.Namespace) -> Path | None:
    """Return where the page goes, before anything slow; None is the standard output.

    Raises
    ------
    ValueError
        If it is one of the files that are read, or a model or a table by its name, or
        the output is wanted for JSON too.
    OSError
        If no file can be written there.
    """
    output: Path | None = arguments.output
    if output == STREAM:
        if arguments.json:
            raise ValueError(
                "--json prints on the standard output, where -o - writes the page; "
                "name a file with -o."
            )
        if sys.stdout is None:
            raise OSError("the standard output is closed; name a file with -o.")
        return None
    if output is None:
        output = _usual_output(arguments.data)
    check_writable(output)
    refuse_model_name(output, "a report is a page", ".html")
    _refuse_table_name(output)
    read = (arguments.model, arguments.data, arguments.train, arguments.key_file)
    _refuse_what_is_read(output, [path for path in read if path is not None])
    return output


def _usual_output(data: Path) -> Path:
    """Return the name of a page that nobody has named; refuse a file of another kind.

    Raises
    ------
    ValueError
        If a file of this name is no report.
    """
    stem = "" if data == STREAM or data.is_fifo() else data.stem
    output = Path(f"{stem}-report.html" if stem else "report.html")
    if output.is_file() and b'content="skraee report"' not in _start_of(output):
        raise ValueError(
            f"{output} is there and no report of skraee; name another file with -o."
        )
    return output


def _start_of(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(4_096)


def _refuse_table_name(page: Path) -> None:
    """Refuse to write a page where a table seems to be."""
    if page.suffix.lower() in ENDINGS:
        raise ValueError(
            f"{page} is a table by its ending, and a report is a page; name the output "
            f"such as {page.stem}.html."
        )


def _refuse_what_is_read(page: Path, read: Sequence[Path]) -> None:
    """Refuse to write over what the page is made of, under whatever name."""
    for path in read:
        if page.exists() and path.exists() and page.samefile(path):
            raise ValueError(
                f"{page} is read as {path} and would be overwritten; name another file "
                "with -o."
            )


def _title(arguments: argparse.Namespace) -> str:
    data = "standard input" if arguments.data == STREAM else arguments.data.name
    return f"{arguments.model.name} on {data}"


def _numbers(found: Report, output: Path) -> dict[str, Any]:
    low, high = found.interval
    return {
        **asdict(found.evaluation),
        "accuracy_interval": [low, high],
        "n_explained": found.n_explained,
        "file": str(output),
        "file_bytes": output.stat().st_size,
    }


COMMAND = Command(
    "report",
    "write a page on how well a model answers labelled texts, and why",
    run=_report,
    options=_REPORT,
    more=f"; {TRUST}",
)
