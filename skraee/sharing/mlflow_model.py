"""A fitted classifier in MLflow: the ``.skraee`` file, a signature, an example.

MLflow's own flavour for scikit-learn takes the classifiers too, as pickles, which run
code when they are loaded. This one stores the file that holds none; MLflow finds this
module by its name to load it (`_load_pyfunc`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.sharing.saved import check_savable, read_saved
from skraee.versions import installed

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

    from skraee.sharing.saved import Classifier

_FILE = "model.skraee"

# Kind of numpy -> type of MLflow; other classes are shown as strings.
_TYPES = {"U": "string", "i": "long", "u": "long", "b": "boolean", "f": "double"}


def log_model(
    clf: Classifier,
    name: str = "model",
    *,
    input_example: Any = None,
    key: bytes | str | None = None,
    **settings: Any,
) -> ModelInfo:
    """Log a fitted classifier to MLflow's active run, or a new one.

    Parameters
    ----------
    clf : EarlyExitClassifier or RAEEClassifier
        Fitted.
    name : str, default="model"
        Of the model in the run.
    input_example : sequence of str, or DataFrame, optional
        A few texts to keep beside it. They are kept as they are: give none that are
        not to be seen.
    key : bytes or str, optional
        Signs the file. :func:`load_model` can then ask for it.
    **settings : dict
        More for ``mlflow.pyfunc.log_model``, such as `registered_model_name`.

    Returns
    -------
    mlflow.models.model.ModelInfo
        Its `model_uri` is for :func:`load_model` and ``mlflow.pyfunc.load_model``.

    Raises
    ------
    ImportError
        If MLflow is not installed.
    TypeError
        If `clf` is something else.
    NotFittedError
        If `clf` is not fitted.
    """
    pyfunc = _pyfunc()
    with tempfile.TemporaryDirectory() as folder:
        made = _made(clf, Path(folder, _FILE), input_example, key)
        return pyfunc.log_model(name=name, **{**made, **settings})


def save_model(
    clf: Classifier,
    path: str,
    *,
    input_example: Any = None,
    key: bytes | str | None = None,
    **settings: Any,
) -> None:
    """Write a fitted classifier as a model folder of MLflow.

    Parameters
    ----------
    clf : EarlyExitClassifier or RAEEClassifier
        Fitted.
    path : str
        A folder that is not there yet.
    input_example : sequence of str, or DataFrame, optional
        A few texts to keep beside it.
    key : bytes or str, optional
        Signs the file.
    **settings : dict
        More for ``mlflow.pyfunc.save_model``.
    """
    pyfunc = _pyfunc()
    with tempfile.TemporaryDirectory() as folder:
        made = _made(clf, Path(folder, _FILE), input_example, key)
        pyfunc.save_model(path=path, **{**made, **settings})


def load_model(
    model_uri: str, *, backbone: Any = None, key: bytes | str | None = None
) -> Classifier:
    """Read the classifier itself back, with all checks of its file.

    Parameters
    ----------
    model_uri : str
        As MLflow writes it, such as ``models:/reviews/1``.
    backbone : str, Path or Backbone, optional
        Where the backbone is now, if it has moved.
    key : bytes or str, optional
        With which the file must be signed.

    Returns
    -------
    EarlyExitClassifier or RAEEClassifier

    Raises
    ------
    ImportError
        If MLflow is not installed.
    ValueError
        If the model is of another flavour; its subclass `FileFormatError` if the file
        is damaged or not signed with the key.
    """
    _pyfunc()
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model

    folder = Path(download_artifacts(artifact_uri=model_uri))
    flavour = Model.load(str(folder)).flavors.get("python_function", {})
    if flavour.get("loader_module") != __name__:
        raise ValueError(
            f"{model_uri!r} was not logged by {__name__}.log_model; load it with the "
            "flavour that it has, such as mlflow.sklearn.load_model."
        )
    return read_saved(folder / flavour["data"], backbone, key)


class _Answers:
    """What MLflow asks: texts in a frame, answers in a frame."""

    def __init__(self, clf: Classifier) -> None:
        self._clf = clf

    def predict(self, model_input: Any, params: Any = None) -> Any:
        import pandas as pd

        proba, exits = self._clf.predict_proba(model_input, return_exit_layers=True)
        labels = self._clf.classes_[proba.argmax(axis=1)]
        return pd.DataFrame(
            {
                "label": labels if labels.dtype.kind in _TYPES else labels.astype(str),
                "probability": proba.max(axis=1).astype(float),
                "exit_layer": exits,
            }
        )


def _load_pyfunc(path: str) -> _Answers:
    """Load the model for ``mlflow.pyfunc``, which calls this by its name."""
    return _Answers(read_saved(path))


def _made(
    clf: Classifier, file: Path, input_example: Any, key: bytes | str | None
) -> dict[str, Any]:
    """Write the file, and return what MLflow is told of it."""
    check_savable(clf)
    clf.save(file, key=key)
    return {
        "loader_module": __name__,
        "data_path": str(file),
        "signature": _signature(clf),
        "input_example": _framed(clf, input_example),
        # Or MLflow would load the model in a process of its own to see what it needs.
        "pip_requirements": [f"skraee=={installed(['skraee'])['skraee']}"],
    }


def _signature(clf: Classifier) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    label = _TYPES.get(clf.classes_.dtype.kind, "string")
    return ModelSignature(
        inputs=Schema([ColSpec("string", name) for name in clf._template().fields]),
        outputs=Schema(
            [
                ColSpec(label, "label"),
                ColSpec("double", "probability"),
                ColSpec("long", "exit_layer"),
            ]
        ),
    )


def _framed(clf: Classifier, example: Any) -> Any:
    """Return example texts as a frame whose columns are the template's fields."""
    import pandas as pd

    if example is None:
        return None
    fields = list(clf._template().fields)
    samples = list(clf._texts(example))
    return pd.DataFrame(samples, columns=fields)


def _pyfunc() -> Any:
    try:
        from mlflow import pyfunc
    except ImportError as error:
        raise ImportError(
            "this needs mlflow, which is not installed; pip install 'skraee[mlflow]'."
        ) from error
    return pyfunc
