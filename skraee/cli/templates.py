"""``skraee templates``: a few templates for a backbone and classes.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from skraee.cli.command import Command, Options
from skraee.cli.options import JSON
from skraee.cli.streams import say, say_json


def _templates(arguments: argparse.Namespace) -> None:
    from skraee.templates import suggest

    found = suggest(arguments.backbone, arguments.classes)
    if arguments.json:
        say_json(asdict(found))
    else:
        say(str(found))


_OPTIONS: Options = {
    "backbone": {"help": "hub name, local folder or .gguf file"},
    "classes": {"nargs": "+", "metavar": "CLASS", "help": "the name of each class"},
    **JSON,
}

COMMAND = Command(
    "templates",
    "suggest templates and label words for a backbone and classes",
    run=_templates,
    options=_OPTIONS,
)
