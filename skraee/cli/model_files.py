"""Model files of the command line: written by ``skraee fit``, read by the others.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from skraee.cli.streams import verbosity
from skraee.files.replacing import replacing
from skraee.persistence.seal import checked_key
from skraee.sharing.saved import read_saved
from skraee.text.table_format import ENDINGS

if TYPE_CHECKING:
    from skraee.baselines.base import BaselineClassifier
    from skraee.classifier import RAEEClassifier
    from skraee.early_exit import EarlyExitClassifier

    Classifier = EarlyExitClassifier | RAEEClassifier
    AnyClassifier = Classifier | BaselineClassifier

# A model file of this name is that of `save`, any other one joblib's.
_SAVED = ".skraee"

# Where a table is certainly not meant to go.
_MODELS = (_SAVED, ".joblib", ".pkl", ".pickle")


def read_key(file: Path | None, model: Path) -> bytes | None:
    """Read the key of a model file, before anything slow.

    Parameters
    ----------
    file : Path, optional
        Its bytes are the key, without an end of line behind them.
    model : Path
        To be signed, or to be held to its signature.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If the key is empty, or the model's file is one that cannot be signed.
    """
    if file is None:
        return None
    if model.suffix != _SAVED:
        raise ValueError(
            f"--key-file is for model files that end in {_SAVED}, got {str(model)!r}; "
            f"write the model to such a file: skraee fit ... -o {model.stem}{_SAVED}"
        )
    if not file.is_file():
        raise OSError(f"there is no key file {str(file)!r}; check the path.")
    return checked_key(file.read_bytes().rstrip(b"\r\n"))


def refuse_model_name(
    output: Path, what: str = "answers are a table", ending: str = ".csv"
) -> None:
    """Refuse to write something else where a model seems to be, before anything slow.

    Parameters
    ----------
    output : Path
    what : str, default="answers are a table"
        What is written, for the error.
    ending : str, default=".csv"
        Of such a file.

    Raises
    ------
    ValueError
        If its ending is that of a model file.
    """
    if output.suffix.lower() in _MODELS:
        raise ValueError(
            f"{output} is a model by its ending, and {what}; name the output such as "
            f"{output.stem}{ending}."
        )


def refuse_table_name(model: Path) -> None:
    """Refuse to write a model where a table seems to be, before anything slow.

    Parameters
    ----------
    model : Path

    Raises
    ------
    ValueError
        If its ending is that of a table.
    """
    if model.suffix.lower() in ENDINGS:
        raise ValueError(
            f"{model} is a table by its ending, and fit writes a model; name the "
            f"output such as {model.stem}{_SAVED}."
        )


def write_model(clf: Classifier, path: Path, key: bytes | None = None) -> None:
    """Write a classifier as its name says.

    Parameters
    ----------
    clf : EarlyExitClassifier or RAEEClassifier
    path : Path
        Of a model.skraee, which holds no code, or of a joblib file.
    key : bytes, optional
        Signs a model.skraee.
    """
    if path.suffix == _SAVED:
        clf.save(path, key=key)
        return

    import joblib

    with replacing(path, streams=False) as beside:
        joblib.dump(clf, beside)


def opened(arguments: argparse.Namespace, key: bytes | None = None) -> AnyClassifier:
    """Read the classifier that a command names, for the device that it names.

    Parameters
    ----------
    arguments : Namespace
        With `model` and `device`; the streams decide about progress bars.
    key : bytes, optional
        With which a model.skraee must be signed.
    """
    clf = read_model(arguments.model, key)
    if arguments.device is not None:
        clf.set_params(device=arguments.device)
    clf.set_params(verbose=verbosity(arguments))
    return clf


def read_model(path: Path, key: bytes | None = None) -> AnyClassifier:
    """Read a fitted classifier; its backbone is loaded when it is first used.

    Parameters
    ----------
    path : Path
    key : bytes, optional
        With which a model.skraee must be signed.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it holds no classifier.
    """
    if path.is_dir():
        raise IsADirectoryError(
            f"{str(path)!r} is a folder, and a model is a file; give the name of one "
            "that skraee fit wrote."
        )
    if not path.is_file():
        raise OSError(f"there is no file {str(path)!r}; check the path.")
    if path.suffix.lower() in ENDINGS:
        raise ValueError(
            f"{path} cannot be read as a model, for by its ending it is a table; the "
            "model comes first, as in: skraee predict MODEL DATA"
        )
    return read_saved(path, key=key) if path.suffix == _SAVED else _pickled(path)


def _pickled(path: Path) -> AnyClassifier:
    import joblib
    from sklearn.utils.validation import check_is_fitted

    from skraee.baselines.base import BaselineClassifier
    from skraee.classifier import RAEEClassifier
    from skraee.early_exit import EarlyExitClassifier

    try:
        clf = joblib.load(path)
    except Exception as error:  # a file that is no pickle can raise anything
        raise ValueError(
            f"{path} cannot be read as a model ({type(error).__name__}: {error}); "
            "make one with: skraee fit"
        ) from error
    if not isinstance(clf, EarlyExitClassifier | RAEEClassifier | BaselineClassifier):
        raise ValueError(
            f"{path} holds a {type(clf).__name__}, not a fitted EarlyExitClassifier, "
            "RAEEClassifier or baseline; of a Pipeline or search save the classifier "
            "in it, or make one with: skraee fit"
        )
    check_is_fitted(clf)
    return clf
