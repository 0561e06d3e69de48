"""Fitted classifiers in engines for many machines: Ray Data, Spark, Dask.

Each function is thin: the engine cuts the data, starts its workers and replaces those
that die; a worker loads the model once and answers batches. What comes back, beside the
columns that were there:

===============  ===================================================================
`label`          the class
`probabilities`  a list, in the order of `classes_`; for Dask, whose frames have no
                 lists, a column for each class
`exit_layer`     the depth at which the text stopped
`error`          why a text has no answer; null for all that have one
===============  ===================================================================

==========================  ========  ==============================================
:func:`predict_dataset`     `ray`     a Ray Dataset, by a pool of actors
:func:`fit_dataset`         `ray`     a fit whose sweep runs on the workers
:func:`predict_udf`         `spark`   a function for columns of Spark's DataFrames
:func:`predict_frame`       `dask`    a Dask DataFrame, by its partitions
==========================  ========  ==============================================

The engines are the extras `ray`, `spark` and `dask`, and are imported only where one is
used. Each machine needs skraee and the backbone, which is found by its name there.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skraee.scale.dask_frame import predict_frame
    from skraee.scale.ray_data import predict_dataset
    from skraee.scale.ray_fit import fit_dataset
    from skraee.scale.spark import predict_udf

__all__ = ["fit_dataset", "predict_dataset", "predict_frame", "predict_udf"]

_HOMES = {
    "fit_dataset": "ray_fit",
    "predict_dataset": "ray_data",
    "predict_frame": "dask_frame",
    "predict_udf": "spark",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'skraee.scale' has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
