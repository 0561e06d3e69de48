"""Ray Data: a pool of actors that answer the batches of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skraee.estimator.checks import check_integer
from skraee.exceptions import warn_user
from skraee.scale.answers import answers
from skraee.scale.columns import Names, arrow_columns, check_columns, text_columns
from skraee.scale.shipped import Shipped

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data


# Batches of a block, which is what an actor is given, and loses when it dies.
_BATCHES = 8


def predict_dataset(
    clf: Any,
    ds: ray.data.Dataset,
    *,
    text: str | Sequence[str] = "text",
    batch_size: int = 1024,
    concurrency: int | tuple[int, int] | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    label: str = "label",
    probabilities: str = "probabilities",
    exit_layer: str = "exit_layer",
    error: str = "error",
    backbone: Any = None,
    key: bytes | str | None = None,
) -> ray.data.Dataset:
    """Answer the texts of a Ray Dataset on the workers, one model in each actor.

    Nothing runs before the result is read or written. The file of the model goes to
    the object store once, and no text is kept by a worker. Blocks are cut to eight
    batches, so that all actors have some; Ray starts an actor that dies anew and gives
    it its block again.

    Parameters
    ----------
    clf : EarlyExitClassifier, RAEEClassifier, str or Path
        Fitted, or the path of its ``.skraee`` file.
    ds : ray.data.Dataset
        With the texts in a column; the other columns stay as they are.
    text : str or sequence of str, default="text"
        The column; for a template of several fields one for each, in their order.
    batch_size : int, default=1024
        Texts that an actor takes at once. Raise it where texts differ much in length,
        as like lengths run together; lower it where they are very long.
    concurrency : int or tuple of two int, default=None
        Actors, or the least and most of them. None: one.
    num_cpus : float, default=None
        Cores for each actor, and the threads it computes with; None is Ray's 1. With
        small backbones many actors of one core are the fastest, with large ones few of
        many, as each holds the model. Leave a core to what reads the data.
    num_gpus : float, default=None
        GPUs for each actor. 1 for a backbone on a GPU, and ``device="auto"``.
    label, probabilities, exit_layer, error : str
        Names of the columns that are added. Change one where the data have a column
        of the name.
    backbone : str, Path or Backbone, optional
        Where the backbone is on the workers' machines, if not where the file says.
    key : bytes or str, optional
        With which a file must be signed. Give it where others could change the file.

    Returns
    -------
    ray.data.Dataset
        With four columns more. `error` says why a text has no answer, such as one that
        is missing, and is null for the others.

    Raises
    ------
    ImportError
        If Ray is not installed.
    TypeError, NotFittedError
        If `clf` is no fitted classifier, or its classes are of several types.
    ValueError
        If a column is missing, or one of the names is taken.
    OSError, FileFormatError
        If the file cannot be read.

    Warns
    -----
    UserWarning
        If the actors take all cores, so that none is left to read the data with.
    """
    ray = ray_itself()
    check_integer("batch_size", batch_size, least=1)
    shipped = Shipped.of(clf, backbone, key)
    columns = text_columns(text, shipped.fields)
    names = Names(label, probabilities, exit_layer, error)
    # Where they are not known yet, asking for them would run what comes before.
    if (known := ds.columns(fetch_if_missing=False)) is not None:
        check_columns(known, columns, names)
    # Ray reads files of short texts as one block of a million, for one actor.
    pieces = ds.repartition(target_num_rows_per_block=_BATCHES * batch_size)
    return pieces.map_batches(
        Answering,
        fn_constructor_args=(ray.put(shipped), columns, names),
        batch_format="pyarrow",
        batch_size=batch_size,
        zero_copy_batch=True,  # of which nothing is changed
        **pool(concurrency, num_cpus, num_gpus),
    )


class Answering:
    """An actor's part: the model, and what it makes of a batch.

    Parameters
    ----------
    shipped : ObjectRef of Shipped
    columns : list of str
        With the texts.
    names : Names
    """

    def __init__(self, shipped: Any, columns: list[str], names: Names) -> None:
        import ray

        got: Shipped = ray.get(shipped)
        self._clf, self._classes = got.load(), got.classes
        self._columns, self._names = columns, names

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return a batch with its answers."""
        check_columns(table.column_names, self._columns, self._names)
        texts = [table.column(name).to_pylist() for name in self._columns]
        found = arrow_columns(answers(self._clf, texts), self._classes)
        for name, column in zip(self._names, found, strict=True):
            table = table.append_column(name, column)
        return table


def pool(
    concurrency: int | tuple[int, int] | None,
    num_cpus: float | None,
    num_gpus: float | None,
) -> dict[str, Any]:
    """Return what Ray Data is told of its actors."""
    from ray.data import ActorPoolStrategy

    least, most = (
        concurrency if isinstance(concurrency, tuple) else (concurrency or 1,) * 2
    )
    check_integer("concurrency", most, least=1)
    check_integer("concurrency", least, least=1, most=most)
    _warn_of_no_core_left(least, 1.0 if num_cpus is None else num_cpus)
    told = {"num_cpus": num_cpus, "num_gpus": num_gpus}
    return {
        "compute": ActorPoolStrategy(min_size=least, max_size=most),
        **{name: value for name, value in told.items() if value is not None},
    }


def _warn_of_no_core_left(n_actors: int, num_cpus: float) -> None:
    """Warn of actors that keep all cores, for which the data would never be read."""
    import ray

    cores = ray.cluster_resources().get("CPU", 0.0)
    if cores and n_actors * num_cpus > cores - 1:
        warn_user(
            f"{n_actors} actors of {num_cpus:g} cores take all {cores:g} cores that "
            "Ray has now, and what reads the data needs one, so that nothing may ever "
            "run; lower concurrency or num_cpus, or give Ray more cores, as in "
            f"ray.init(num_cpus={int(n_actors * num_cpus) + 1}).",
            UserWarning,
        )


def ray_itself() -> Any:
    """Return the package; say which extra it is where it is missing."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(
            "this needs Ray Data, which is not installed; pip install 'skraee[ray]'."
        ) from error
    return ray
