"""What the command ``skraee`` takes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skraee.cli import values

# The names of an option or argument -> what argparse is told of it.
Options = Mapping[str, Mapping[str, Any]]

_TRUST = (
    "loading a model file runs code in it, so take it from a trusted source only "
    "(but for .skraee files, which hold none)"
)

# Options of `fit` that only one kind of exit has; None where they are not given.
OF_RETRIEVAL = {"label_words", "readout", "calibrate", "k", "tau", "encoder"}
OF_CONFIDENCE = {"threshold", "max_loss"}

_LABEL_WORDS: Options = {
    "--label-words": {
        "type": values.label_words,
        "metavar": "CLASS=WORD,...",
        "help": "the word that the model says for each class, as in "
        "negative=terrible,positive=great, with --exit-by retrieval; by default the "
        "class names",
    },
}

_TABLE: Options = {
    "--text-column": {
        "metavar": "NAME",
        "help": "column of the texts, for a template with one field; by default the "
        "field's name, as in text for {text}",
    },
    "--separator": {
        "type": values.separator,
        "metavar": "SIGN",
        "help": "what separates the cells of the CSV file: a sign such as ';', or tab; "
        "by default what its first line says, as in sep=;, or else the one of , ; tab "
        "| that suits its first rows best",
    },
}

_LABELLED_TABLE: Options = {
    **_TABLE,
    "--label-column": {
        "default": "label",
        "metavar": "NAME",
        "help": "column of the labels (%(default)s)",
    },
}

_DEMO: Options = {
    "--data": {
        "type": Path,
        "metavar": "CSV",
        "help": "your own labelled texts, of which a fifth is kept for testing; by "
        "default the synthetic reviews written for this project",
    },
    "--template": {
        "help": "prompt for --data, with {text}; by default a question",
    },
    **_LABEL_WORDS,
    **_LABELLED_TABLE,
}

_DTYPE: Options = {
    "--dtype": {
        "choices": ["auto", "bfloat16", "float16", "float32"],
        "default": "auto",
        "help": "numbers that the backbone computes in (%(default)s)",
    },
}

_KEY: Options = {
    "--key-file": {
        "type": Path,
        "metavar": "FILE",
        "help": "file with the key that a model.skraee is signed with, such as what "
        "python -c 'import secrets; print(secrets.token_hex(32))' prints; ends of line "
        "behind it are no part of it; a model that was changed, or signed with another "
        "key, is refused by predict",
    },
}

_FIT: Options = {
    "train": {"type": Path, "metavar": "TRAIN_CSV"},
    "--backbone": {
        "required": True,
        "help": "hub name, model folder or .gguf file",
    },
    "--template": {
        "required": True,
        "help": "prompt with {text} and, for masked models, {mask}; every field, such "
        "as {premise} and {hypothesis}, takes the column of its name",
    },
    **_LABEL_WORDS,
    "--readout": {
        "choices": ["lm_head", "ridge"],
        "help": "what reads the classes with --exit-by retrieval: the model's own "
        "words, or a linear readout of each layer, solved in closed form, which is far "
        "more accurate from some hundred texts on (lm_head); with --exit-by "
        "confidence it is ridge",
    },
    "--calibrate": {
        "action": "store_true",
        "default": None,
        "help": "divide the label words' logits of each layer by a temperature fitted "
        "on the texts, so that probabilities can be believed, with --exit-by retrieval",
    },
    "--exit-by": {
        "choices": ["retrieval", "confidence"],
        "default": "retrieval",
        "help": "what chooses the exit: similar labelled texts (RAEEClassifier), or "
        "the confidence of a linear readout of each layer, solved in closed form "
        "(EarlyExitClassifier) (%(default)s)",
    },
    "--budget": {
        "type": float,
        "help": "mean share of the model's cost that a prediction may use, such as "
        "0.3; in place of --tau, --threshold or --max-loss",
    },
    "--class-weight": {
        "choices": ["balanced"],
        "help": "weigh classes of unequal size alike",
    },
    "--k": {
        "type": int,
        "help": "neighbours that vote, with --exit-by retrieval (12)",
    },
    "--tau": {
        "type": float,
        "help": "least probability of the right class that votes, with --exit-by "
        "retrieval (0.9)",
    },
    "--threshold": {
        "type": float,
        "help": "least confidence that stops a text, with --exit-by confidence; in "
        "place of --max-loss",
    },
    "--max-loss": {
        "type": float,
        "help": "share of accuracy that early exits may lose, with --exit-by "
        "confidence (0.01)",
    },
    "--encoder": {
        "type": values.encoder,
        "help": "what makes the keys, with --exit-by retrieval: a depth of the "
        "backbone, or a sentence encoder's hub name or folder; by default depth-0 "
        "means",
    },
    "--min-exit": {
        "type": int,
        "default": 0,
        "help": "smallest exit layer (%(default)s)",
    },
    "--long-texts": {
        "choices": ["cut", "head_tail", "mean"],
        "default": "cut",
        "help": "what is done with a text beyond the model's positions: its end is cut "
        "off, its middle is, or it is read in windows that are averaged (%(default)s)",
    },
    **_LABELLED_TABLE,
    **_DTYPE,
    **_KEY,
    "-o --output": {
        "type": Path,
        "required": True,
        "metavar": "MODEL",
        "help": "model file to write, such as model.skraee, which holds no code, or "
        "model.joblib",
    },
}

_PREDICT: Options = {
    "model": {
        "type": Path,
        "metavar": "MODEL",
        "help": f"from skraee fit; {_TRUST}",
    },
    "new": {"type": Path, "metavar": "NEW_CSV"},
    **_TABLE,
    **_KEY,
    "-o --output": {
        "type": Path,
        "metavar": "CSV",
        "help": "where to write the columns of NEW_CSV with label, exit_layer and "
        "probability behind them, or predicted_label and so on where NEW_CSV has "
        "columns of these names; by default the standard output, in UTF-8",
    },
}

_BACKBONES: Options = {
    "names": {
        "nargs": "+",
        "metavar": "FOLDER_OR_NAME",
        "help": "model folder, hub name or .gguf file",
    },
    **_DTYPE,
    "--json": {"action": "store_true", "help": "print a list of JSON objects"},
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Returns
    -------
    argparse.ArgumentParser
        Its result names the command in ``command``.
    """
    whole = argparse.ArgumentParser(
        prog="skraee",
        description="Classify text with a frozen language model that stops early, at "
        "the layer where similar labelled texts were answered rightly (RAEE).",
    )
    commands = whole.add_subparsers(
        dest="command", title="commands", required=True, metavar="COMMAND"
    )
    about = "RAEE with Gemma 3 270M, measured and explained (needs the extra 'demo')"
    demo = commands.add_parser("demo", help=about, description=f"{about}.")
    about = "fit a classifier on a CSV file of labelled texts"
    fit = commands.add_parser("fit", help=about, description=f"{about}.")
    about = "classify the texts of a CSV file"
    predict = commands.add_parser(
        "predict", help=about, description=f"{about}; {_TRUST}."
    )
    about = "say what a backbone is, whether it can be believed, and how fast it is"
    backbones = commands.add_parser("backbones", help=about, description=f"{about}.")
    commands.add_parser("versions", help="versions for a bug report")
    for command, options in (
        (demo, _DEMO),
        (fit, _FIT),
        (predict, _PREDICT),
        (backbones, _BACKBONES),
    ):
        for names, settings in options.items():
            command.add_argument(*names.split(), **settings)
    return whole
