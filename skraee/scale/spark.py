"""Spark: a function for columns of texts, its model once in each Python worker."""

# Without `from __future__ import annotations`: Spark reads how a function works off its
# annotations, which must be the types themselves, of packages imported here and now.

import gc
from typing import Any

from skraee.scale.answers import answers
from skraee.scale.columns import Names, arrow_columns, arrow_types
from skraee.scale.shipped import Shipped


def predict_udf(
    clf: Any, *, backbone: Any = None, key: bytes | str | None = None
) -> Any:
    """Make a function of Spark that answers a column of texts.

    The file of the model goes to the executors once, as a broadcast variable; a Python
    worker reads the model once, for all tasks that it is given, and keeps no text.
    Spark runs a task whose worker dies again.

    Parameters
    ----------
    clf : EarlyExitClassifier, RAEEClassifier, str or Path
        Fitted, or the path of its ``.skraee`` file.
    backbone : str, Path or Backbone, optional
        Where the backbone is on the executors' machines, if not where the file says.
    key : bytes or str, optional
        With which a file must be signed. Give it where others could change the file.

    Returns
    -------
    callable
        Takes a column of texts, or for a template of several fields one for each, in
        their order. Gives a column of structures with `label`, `probabilities`,
        `exit_layer` and `error`, which says why a text has no answer.

    Raises
    ------
    ImportError
        If Spark is not installed.
    TypeError, NotFittedError
        If `clf` is no fitted classifier, or its classes are of several types.
    ValueError
        If there is no session of Spark.
    OSError, FileFormatError
        If the file cannot be read.

    Notes
    -----
    Spark hands over ``spark.sql.execution.arrow.maxRecordsPerBatch`` texts at a time,
    10,000 by default; they run 1,024 at a time.
    """
    sql = _sql()
    import pyarrow as pa

    shipped = Shipped.of(clf, backbone, key)
    session = sql.SparkSession.getActiveSession()
    if session is None:
        raise ValueError(
            "there is no session of Spark to send the model by; make one first, with "
            "SparkSession.builder.getOrCreate()."
        )
    sent = session.sparkContext.broadcast(shipped)

    def answer(*texts: pa.Array) -> pa.Array:
        got: Shipped = sent.value
        clf = got.loaded(then=set_apart)
        found = answers(clf, [column.to_pylist() for column in texts])
        return pa.StructArray.from_arrays(arrow_columns(found, got.classes), Names())

    # Not of pandas: there each list of probabilities would pass as a Python object.
    return sql.functions.arrow_udf(answer, _structure(shipped.classes))


def set_apart() -> None:
    """Let the collector of a worker look no more at what is in memory now.

    A worker collects after each task, and the modules of a backbone are a million
    objects: of tasks of 1,000 short texts that was most of the time.
    """
    gc.collect()
    gc.freeze()


def _structure(classes: list[Any]) -> Any:
    """Return the type of an answer, for Spark."""
    from pyspark.sql.pandas.types import from_arrow_type
    from pyspark.sql.types import StructType

    whole = StructType()
    for name, kind in zip(Names(), arrow_types(classes), strict=True):
        whole.add(name, from_arrow_type(kind))
    return whole


def _sql() -> Any:
    try:
        import pyspark.sql
        import pyspark.sql.functions
    except ImportError as error:
        raise ImportError(
            "this needs Spark, which is not installed; pip install 'skraee[spark]'."
        ) from error
    return pyspark.sql
