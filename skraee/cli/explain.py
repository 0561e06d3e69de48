"""``skraee explain``: why each text got its answer, and at this layer.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skraee.cli.command import Command, Options
from skraee.cli.model_files import opened, read_key
from skraee.cli.options import DEVICE, JSON, KEY, MODEL, SHEET, TEXT_COLUMN, TRUST
from skraee.cli.streams import say, say_json, tell
from skraee.cli.values import at_least_one
from skraee.text.tables import Table, read_table

_EXPLAIN: Options = {
    **MODEL,
    "data": {
        "nargs": "?",
        "type": Path,
        "metavar": "DATA",
        "help": "texts to explain, in place of --text; - is the standard input",
    },
    "--text": {
        "action": "append",
        "metavar": "TEXT",
        "help": "a text to explain, in place of DATA; of a template with several "
        "fields give it once for each of them, in their order",
    },
    "--limit": {
        "type": at_least_one,
        "default": 10,
        "metavar": "N",
        "help": "explain the first N texts of DATA (%(default)s)",
    },
    "--train": {
        "type": Path,
        "metavar": "DATA",
        "help": "the texts that the model was fitted on, all of them and in their "
        "order, to show neighbours by their words",
    },
    "--text-column": TEXT_COLUMN,
    **SHEET,
    **DEVICE,
    **KEY,
    **JSON,
}


def _explain(arguments: argparse.Namespace) -> None:
    if (arguments.data is None) == (arguments.text is None):
        given = "neither" if arguments.data is None else "both"
        raise ValueError(
            f"explain takes either DATA, a table of texts, or --text, one text, got "
            f"{given}; give one of them."
        )
    key = read_key(arguments.key_file, arguments.model)
    table = _read(arguments.data, arguments)
    train = _read(arguments.train, arguments)
    clf = opened(arguments, key).set_params(verbose=0)
    if not hasattr(clf, "explain"):
        raise ValueError(
            f"{arguments.model} holds a {type(clf).__name__}, a baseline, which "
            "explains nothing; EarlyExitClassifier and RAEEClassifier do."
        )
    fields = clf._template().fields
    texts: Any = _texts(table, fields, arguments)
    known = None if train is None else train.texts(fields, arguments.text_column)
    found = (clf.explain(text, texts=known) for text in texts)
    if arguments.json:
        say_json([asdict(one) for one in found])
        return
    for number, one in enumerate(found):
        say(f"\n{one}" if number else one)
    if table is not None and len(table.rows) > arguments.limit:
        more = len(table.rows) - arguments.limit
        tell(f"{more} more texts; raise --limit to explain them")


def _read(path: Path | None, arguments: argparse.Namespace) -> Table | None:
    if path is None:
        return None
    return read_table(path, arguments.separator, arguments.format)


def _texts(
    table: Table | None, fields: Sequence[str], arguments: argparse.Namespace
) -> Iterator[Any]:
    """Yield each text as `explain` takes it."""
    if table is None:
        yield from _given(arguments.text, fields)
        return
    texts = table.texts(fields, arguments.text_column)
    for place in range(min(arguments.limit, len(table.rows))):
        yield texts[place] if isinstance(texts, list) else texts.row(place)


def _given(texts: Sequence[str], fields: Sequence[str]) -> Iterator[Any]:
    """Yield the texts of ``--text``."""
    if len(fields) == 1:
        yield from texts
    elif len(texts) == len(fields):
        yield Table(Path("--text"), ",", list(fields), [list(texts)], [1])
    else:
        raise ValueError(
            f"the template has the fields {list(fields)} and --text was given "
            f"{len(texts)} times; give it once for each of them, in this order."
        )


COMMAND = Command(
    "explain",
    "say why texts get their answers, and stop where they do",
    run=_explain,
    options=_EXPLAIN,
    more=f"; {TRUST}",
)
