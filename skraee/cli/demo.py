"""``skraee demo``: the method measured and explained on a real model.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from skraee.cli.command import Command, Options
from skraee.cli.options import LABEL_WORDS, LABELLED_TABLE
from skraee.text.tables import read_table

_DEMO: Options = {
    "--data": {
        "type": Path,
        "metavar": "DATA",
        "help": "your own labelled texts, of which a fifth is kept for testing; by "
        "default the synthetic reviews written for this project",
    },
    "--template": {
        "help": "prompt for --data, with {text}; by default a question",
    },
    **LABEL_WORDS,
    **LABELLED_TABLE,
    "--text --text-column": {
        "dest": "text_column",
        "metavar": "COLUMN",
        "help": "column of the texts; by default the one of the template's field",
    },
}


def _demo(arguments: argparse.Namespace) -> None:
    from skraee import demo

    if arguments.data is None:
        task = demo.shipped_task()
    else:
        task = demo.task_from(
            read_table(arguments.data, arguments.separator, arguments.format),
            text_column=arguments.text_column,
            label_column=arguments.label_column,
            label_words=arguments.label_words,
            template=arguments.template,
        )
    demo.run(task)


COMMAND = Command(
    "demo",
    "RAEE with Gemma 3 270M, measured and explained (needs the extra 'demo')",
    run=_demo,
    options=_DEMO,
)
