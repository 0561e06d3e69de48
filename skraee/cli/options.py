"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skraee.cli import values
from skraee.cli.command import Options
from skraee.text.table_format import FORMATS

TRUST = (
    "loading a model file runs code in it, so take it from a trusted source only "
    "(but for .skraee files, which hold none)"
)

MODEL: Options = {
    "model": {
        "type": Path,
        "metavar": "MODEL",
        "help": f"from skraee fit; {TRUST}",
    },
}

JSON: Options = {"--json": {"action": "store_true", "help": "print JSON"}}

# Without a default of their own they may stand before the command as well.
EVERYWHERE: Options = {
    "--debug": {
        "action": "store_true",
        "default": argparse.SUPPRESS,
        "help": "show where in the code an error came from",
    },
    "--quiet": {
        "action": "store_true",
        "default": argparse.SUPPRESS,
        "help": "no progress and no messages on the standard error but warnings and "
        "errors",
    },
}

LABEL_WORDS: Options = {
    "--label-words": {
        "type": values.label_words,
        "metavar": "CLASS=WORD,...",
        "help": "the word that the model says for each class, as in "
        "negative=terrible,positive=great, with --exit-by retrieval; by default the "
        "class names",
    },
}

SHEET: Options = {
    "--format": {
        "choices": FORMATS,
        "help": "of the data; by default told by the file's ending, or else csv; jsonl "
        "is one JSON object a line, parquet needs the extra 'parquet'",
    },
    "--sep --separator": {
        "dest": "separator",
        "type": values.separator,
        "metavar": "SIGN",
        "help": "what separates the cells of a CSV file: a sign such as ';', or tab; "
        "by default what its first line says, as in sep=;, or else the one of , ; tab "
        "| that suits its first rows best",
    },
}

TEXT_COLUMN: Mapping[str, Any] = {
    "dest": "text_column",
    "action": "append",
    "metavar": "COLUMN",
    "help": "column of the texts; give it once for each field of the template, in "
    "their order; several columns for one field are joined with a space; by default "
    "each field takes the column of its name, as text for {text}",
}

TABLE: Options = {"--text --text-column": TEXT_COLUMN, **SHEET}

LABELLED_TABLE: Options = {
    **TABLE,
    "--label --label-column": {
        "dest": "label_column",
        "default": "label",
        "metavar": "COLUMN",
        "help": "column of the labels (%(default)s)",
    },
}

DEVICE: Options = {
    "--device": {
        "type": values.device,
        "metavar": "NAME",
        "help": "where the backbone computes: cpu, cuda, cuda:1, or several as in "
        "cuda:0,cuda:1, each with the layers that the ones before it have no room for; "
        "by default all GPUs, else the CPU",
    },
}

DTYPE: Options = {
    "--dtype": {
        "choices": ["auto", "bfloat16", "float16", "float32"],
        "default": "auto",
        "help": "numbers that the backbone computes in (%(default)s)",
    },
}

KEY: Options = {
    "--key-file": {
        "type": Path,
        "metavar": "FILE",
        "help": "file with the key that a model.skraee is signed with, such as what "
        "python -c 'import secrets; print(secrets.token_hex(32))' prints; ends of line "
        "behind it are no part of it; a model that was changed, or signed with another "
        "key, is refused by predict",
    },
}
