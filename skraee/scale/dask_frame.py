"""Dask: the partitions of a DataFrame, answered where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skraee.scale.answers import Answers, answers
from skraee.scale.columns import arrow_columns, check_columns, text_columns
from skraee.scale.shipped import Shipped

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd


def predict_frame(
    clf: Any,
    frame: dd.DataFrame,
    *,
    text: str | Sequence[str] = "text",
    label: str = "label",
    probability: str = "probability",
    exit_layer: str = "exit_layer",
    error: str = "error",
    backbone: Any = None,
    key: bytes | str | None = None,
) -> dd.DataFrame:
    """Answer the texts of a Dask DataFrame, partition by partition.

    Nothing runs before the result is computed or written. Each worker process reads
    the model once, for all its partitions and threads, and keeps no text. A partition
    whose worker dies is given to another one.

    Parameters
    ----------
    clf : EarlyExitClassifier, RAEEClassifier, str or Path
        Fitted, or the path of its ``.skraee`` file.
    frame : dask.dataframe.DataFrame
        With the texts in a column; the other columns stay as they are. A worker holds
        a partition at a time: ``frame.repartition`` makes them smaller.
    text : str or sequence of str, default="text"
        The column; for a template of several fields one for each, in their order.
    label : str, default="label"
        Name of the column that is added for it. Change it where the frame has a
        column of the name.
    probability : str, default="probability"
        What the names of the columns with the classes' probabilities begin with; an
        underscore and the class follow.
    exit_layer : str, default="exit_layer"
        Like `label`.
    error : str, default="error"
        Like `label`.
    backbone : str, Path or Backbone, optional
        Where the backbone is on the workers' machines, if not where the file says.
    key : bytes or str, optional
        With which a file must be signed. Give it where others could change the file.

    Returns
    -------
    dask.dataframe.DataFrame
        With more columns, of Arrow's types. `error` says why a text has no answer, such
        as one that is missing, and is null for the others.

    Raises
    ------
    ImportError
        If Dask is not installed.
    TypeError, NotFittedError
        If `clf` is no fitted classifier, or its classes are of several types.
    ValueError
        If a column is missing, or one of the names is taken.
    OSError, FileFormatError
        If the file cannot be read.
    """
    dask = _dask()
    shipped = Shipped.of(clf, backbone, key)
    columns = text_columns(text, shipped.fields)
    names = [label, *(f"{probability}_{one}" for one in shipped.classes)]
    names += [exit_layer, error]
    check_columns(frame.columns, columns, names)
    # Named by its digest, and a result like another: a worker asks the others for it
    # once, and the graph has no copy for each partition.
    sent = dask.delayed(shipped, name=f"skraee-{shipped.digest}")
    meta = _with_answers(frame._meta, _none(len(shipped.classes)), shipped, names)
    return frame.map_partitions(_answered, sent, columns, names, meta=meta)


def _answered(
    part: pd.DataFrame, shipped: Shipped, columns: list[str], names: list[str]
) -> pd.DataFrame:
    """Answer a partition, on a worker."""
    missing_as_none = {"dtype": object, "na_value": None}
    texts = [part[name].to_numpy(**missing_as_none).tolist() for name in columns]
    return _with_answers(part, answers(shipped.loaded(), texts), shipped, names)


def _with_answers(
    part: pd.DataFrame, found: Answers, shipped: Shipped, names: list[str]
) -> pd.DataFrame:
    """Return a partition with answers.

    A number for each class, and no lists: of these pandas writes Parquet that it cannot
    read again, or Dask none.
    """
    import pandas as pd
    import pyarrow as pa

    label, _, exit_layer, error = arrow_columns(found, shipped.classes)
    proba = [pa.array(column, mask=found.failed) for column in found.proba.T]
    arrays = map(pd.arrays.ArrowExtensionArray, [label, *proba, exit_layer, error])
    return part.assign(**dict(zip(names, arrays, strict=True)))


def _none(n_classes: int) -> Answers:
    """Return the answers to no text, of which Dask learns the types."""
    codes = np.zeros(0, np.int64)
    return Answers(codes, np.zeros((0, n_classes), np.float32), codes, [])


def _dask() -> Any:
    try:
        import dask
        import dask.dataframe
    except ImportError as error:
        raise ImportError(
            "this needs Dask's DataFrames, which are not installed; pip install "
            "'skraee[dask]'."
        ) from error
    return dask
