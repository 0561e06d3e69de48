"""What ``skraee fit`` takes."""

from __future__ import annotations

from pathlib import Path

from skraee.cli import values
from skraee.cli.command import Options
from skraee.cli.options import DEVICE, DTYPE, JSON, KEY, LABEL_WORDS, LABELLED_TABLE

# Options that only one kind of exit has; None where they are not given.
OF_RETRIEVAL = {"label_words", "readout", "calibrate", "k", "tau", "encoder"}
OF_CONFIDENCE = {"threshold", "max_loss"}

FIT: Options = {
    "train": {
        "type": Path,
        "metavar": "DATA",
        "help": "labelled texts: a CSV, TSV, JSON lines (.jsonl) or Parquet file, or - "
        "for the standard input",
    },
    "--backbone": {
        "required": True,
        "help": "hub name, model folder or .gguf file",
    },
    "--template": {
        "help": "prompt with {text} and, for masked models, {mask}; every field, such "
        "as {premise} and {hypothesis}, takes the column of its name; by default the "
        "text alone, where no label words are read",
    },
    **LABEL_WORDS,
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
    "--max-length": {
        "type": values.at_least_one,
        "metavar": "TOKENS",
        "help": "longest prompt; by default as many tokens as the backbone has "
        "positions",
    },
    "--memory": {
        "type": values.memory,
        "metavar": "FOLDER",
        "help": "folder where the states of texts are kept, for a fit that is stopped "
        "and goes on, or is made again with other options; by default none",
    },
    **LABELLED_TABLE,
    **DEVICE,
    **DTYPE,
    **KEY,
    **JSON,
    "-o --output": {
        "type": Path,
        "required": True,
        "metavar": "MODEL",
        "help": "model file to write, such as model.skraee, which holds no code, or "
        "model.joblib",
    },
}
