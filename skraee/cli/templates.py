"""``skraee templates``: a few templates for a backbone and classes.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skraee.cli.command import Command, Options
from skraee.cli.options import JSON, LABELLED_TABLE
from skraee.cli.streams import say, say_json
from skraee.text.tables import read_table

# What suggested templates have.
_FIELDS = ("text",)

_OPTIONS: Options = {
    "backbone": {
        "metavar": "BACKBONE",
        "help": "hub name, local folder or .gguf file",
    },
    "classes": {
        "nargs": "*",
        "metavar": "CLASS",
        "help": "the name of each class; those of --examples by default",
    },
    "--examples": {
        "type": Path,
        "metavar": "DATA",
        "help": "some labelled texts, twenty or more: the templates are tried on them, "
        "without any fit, and the most accurate come first",
    },
    **LABELLED_TABLE,
    **JSON,
}


def _templates(arguments: argparse.Namespace) -> None:
    examples = _examples(arguments)
    classes = arguments.classes or sorted(set(examples[1] if examples else ()))

    from skraee.templates import suggest

    found = suggest(arguments.backbone, classes, examples)
    if arguments.json:
        say_json(asdict(found))
    else:
        say(str(found))


def _examples(arguments: argparse.Namespace) -> tuple[Any, list[str]] | None:
    if arguments.examples is None:
        return None
    table = read_table(arguments.examples, arguments.separator, arguments.format)
    texts = table.texts(_FIELDS, arguments.text_column)
    return texts, [str(label) for label in table.labels(arguments.label_column)]


COMMAND = Command(
    "templates",
    "suggest templates and label words for a backbone and classes",
    run=_templates,
    options=_OPTIONS,
)
