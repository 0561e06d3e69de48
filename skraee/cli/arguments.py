"""What the command ``skraee`` takes."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

_TRUST = (
    "loading a model file runs code in it, so take it from a trusted source only "
    "(but for .skraee files, which hold none)"
)


# Options of `fit` that only one kind of exit has; None where they are not given.
OF_RETRIEVAL = {"label_words", "readout", "k", "tau", "encoder"}
OF_CONFIDENCE = {"threshold"}


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
    _add_demo(commands)
    _add_fit(commands)
    _add_predict(commands)
    commands.add_parser("versions", help="versions for a bug report")
    return whole


def _add_demo(commands: Any) -> None:
    about = "RAEE with Gemma 3 270M, measured and explained (needs the extra 'demo')"
    demo = commands.add_parser("demo", help=about, description=about + ".")
    demo.add_argument(
        "--data",
        type=Path,
        metavar="CSV",
        help="your own labelled texts, of which a fifth is kept for testing; by "
        "default the synthetic reviews written for this project",
    )
    demo.add_argument(
        "--template", help="prompt for --data, with {text}; by default a question"
    )
    _add_label_words(demo)
    _add_table(demo)
    _add_label_column(demo)


def _add_fit(commands: Any) -> None:
    about = "fit a classifier on a CSV file of labelled texts"
    fit = commands.add_parser("fit", help=about, description=about + ".")
    fit.add_argument("train", type=Path, metavar="TRAIN_CSV")
    fit.add_argument(
        "--backbone", required=True, help="hub name, model folder or .gguf file"
    )
    fit.add_argument(
        "--template",
        required=True,
        help="prompt with {text} and, for masked models, {mask}; every field, such as "
        "{premise} and {hypothesis}, takes the column of its name",
    )
    _add_label_words(fit)
    fit.add_argument(
        "--readout",
        choices=["lm_head", "ridge"],
        help="what reads the classes with --exit-by retrieval: the model's own words, "
        "or a linear readout of each layer, solved in closed form, which is far more "
        "accurate from some hundred texts on (lm_head)",
    )
    fit.add_argument(
        "--exit-by",
        choices=["retrieval", "confidence"],
        default="retrieval",
        help="what chooses the exit: similar labelled texts (RAEEClassifier), or the "
        "confidence of a linear readout of each layer, solved in closed form "
        "(EarlyExitClassifier) (%(default)s)",
    )
    fit.add_argument(
        "--budget",
        type=float,
        help="mean share of the model's cost that a prediction may use, such as 0.3; "
        "in place of --tau or --threshold",
    )
    fit.add_argument(
        "--class-weight",
        choices=["balanced"],
        help="weigh classes of unequal size alike",
    )
    fit.add_argument(
        "--k", type=int, help="neighbours that vote, with --exit-by retrieval (12)"
    )
    fit.add_argument(
        "--tau",
        type=float,
        help="least probability of the right class that votes, with --exit-by "
        "retrieval (0.9)",
    )
    fit.add_argument(
        "--threshold",
        type=float,
        help="least confidence that stops a text, with --exit-by confidence (0.9)",
    )
    fit.add_argument(
        "--encoder",
        type=_encoder,
        help="what makes the keys: a depth of the backbone, or a sentence encoder's "
        "hub name or folder; by default depth-0 means",
    )
    fit.add_argument(
        "--min-exit", type=int, default=0, help="smallest exit layer (%(default)s)"
    )
    _add_table(fit)
    _add_label_column(fit)
    fit.add_argument(
        "--dtype",
        choices=["auto", "bfloat16", "float16", "float32"],
        default="auto",
        help="numbers that the backbone computes in (%(default)s)",
    )
    fit.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="MODEL",
        help="model file to write, such as model.skraee, which holds no code, or "
        "model.joblib",
    )


def _add_predict(commands: Any) -> None:
    about = "classify the texts of a CSV file"
    predict = commands.add_parser(
        "predict", help=about, description=f"{about}; {_TRUST}."
    )
    predict.add_argument(
        "model", type=Path, metavar="MODEL", help=f"from skraee fit; {_TRUST}"
    )
    predict.add_argument("new", type=Path, metavar="NEW_CSV")
    _add_table(predict)
    predict.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="CSV",
        help="where to write the columns of NEW_CSV with label, exit_layer and "
        "probability behind them, or predicted_label and so on where NEW_CSV has "
        "columns of these names; by default the standard output, in UTF-8",
    )


def _add_label_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--label-words",
        type=_label_words,
        metavar="CLASS=WORD,...",
        help="the word that the model says for each class, as in "
        "negative=terrible,positive=great; by default the class names",
    )


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text-column",
        metavar="NAME",
        help="column of the texts, for a template with one field; by default the "
        "field's name, as in text for {text}",
    )
    parser.add_argument(
        "--separator",
        type=_separator,
        metavar="SIGN",
        help="what separates the cells of the CSV file: a sign such as ';', or tab; by "
        "default what its first line says, as in sep=;, or else the one of , ; tab | "
        "that suits its first rows best",
    )


def _add_label_column(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--label-column",
        default="label",
        metavar="NAME",
        help="column of the labels (%(default)s)",
    )


def _separator(written: str) -> str:
    sign = "\t" if written in ("tab", r"\t") else written
    if len(sign) != 1 or sign in '"\r\n':
        raise argparse.ArgumentTypeError(
            f"write one sign such as ',', ';' or '|', or tab, not {written!r}"
        )
    return sign


def _label_words(written: str) -> dict[str, str]:
    parts = [part.rpartition("=") for part in written.split(",")]
    pairs = [(name.strip(), word.strip()) for name, _, word in parts]
    if not all(name and word for name, word in pairs):
        raise argparse.ArgumentTypeError(
            f"write class=word,class=word, not {written!r}"
        )
    words = dict(pairs)
    if len(words) < len(pairs):
        raise argparse.ArgumentTypeError(f"write each class once, not {written!r}")
    return words


def _encoder(written: str) -> int | str:
    return int(written) if re.fullmatch(r"[+-]?\d+", written) else written
