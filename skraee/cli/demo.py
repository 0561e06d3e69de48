"""``skraee demo``: the method measured and explained on a real model.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.cli.command import Command, Options
from skraee.cli.options import LABEL_WORDS, LABELLED_TABLE
from skraee.cli.streams import print_beside, say_json
from skraee.text.tables import read_table

if TYPE_CHECKING:
    from skraee.demo.measure import Measured

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
    "--json": {
        "action": "store_true",
        "help": "print what was measured as JSON, and the report on the standard error",
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
    if not arguments.json:
        demo.run(task)
        return
    results = demo.run(task, print_beside)
    say_json([_numbers(one) for one in results])


def _numbers(measured: Measured) -> dict[str, Any]:
    return {
        "name": measured.name,
        "n_texts": len(measured.right),
        "accuracy": measured.right.mean(),
        "mean_exit_layer": measured.exits.mean(),
        "mean_layers_run": measured.layers_run,
        "texts_per_second": measured.texts_per_second,
    }


COMMAND = Command(
    "demo",
    "RAEE with Gemma 3 270M, measured and explained (needs the extra 'demo')",
    run=_demo,
    options=_DEMO,
)
