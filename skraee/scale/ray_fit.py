"""Ray Data: a fit whose sweep runs on the workers and is reduced as it comes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from skraee.classifier import RAEEClassifier
from skraee.early_exit import EarlyExitClassifier
from skraee.estimator.checks import check_integer
from skraee.scale.columns import check_columns, text_columns
from skraee.scale.ray_data import pool, ray_itself
from skraee.scale.sums import (
    LeftOut,
    SumTask,
    concluded,
    left_out_of,
    solved_of,
    sums_of,
)
from skraee.sweep.layer_sweep import LayerSweep
from skraee.text.inputs import Texts
from skraee.text.labels import check_labels, warn_of_one_class

if TYPE_CHECKING:
    import pyarrow as pa
    import ray.data

    Classifier = EarlyExitClassifier | RAEEClassifier

# Texts that are swept and sent at once, where a worker sends something of each.
_AT_ONCE = 1024


def fit_dataset(
    clf: Classifier,
    ds: ray.data.Dataset,
    *,
    text: str | Sequence[str] = "text",
    label: str = "label",
    n_folds: int = 5,
    batch_size: int = 16_384,
    concurrency: int | tuple[int, int] | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
) -> Classifier:
    """Fit on the texts of a Ray Dataset, which are swept on the workers.

    An `EarlyExitClassifier` is solved from sums over the texts, features times
    features at every depth, of which a worker sends one set for each `batch_size`
    texts: for the same penalty its regressions are those of `fit` on all texts. Sums
    know no single text, so the penalties are chosen by `n_folds` left-out folds where
    `fit` leaves out each text; and temperatures, weights of depths and the threshold by
    up to 20,000 of the texts, which pass the backbone a second time, each read without
    its fold. (Beyond 20,000 texts `fit` solves for a sample of them; this does for
    all.) A `RAEEClassifier` gets keys and label words' logits of all texts in one
    place, and is what `fit` makes.

    Parameters
    ----------
    clf : EarlyExitClassifier, RAEEClassifier or RAEEClassifierCV
        It is fitted, as by `fit`. Its `memory` is not used.
    ds : ray.data.Dataset
        With texts and labels in columns. It is read two or three times.
    text : str or sequence of str, default="text"
        The column; for a template of several fields one for each, in their order.
    label : str, default="label"
        The column of the classes.
    n_folds : int, default=5
        Folds that are left out in turn. A worker and the driver hold 8 bytes x folds x
        depths x parts of a state x the square of the backbone's width: 0.9 GB for 12
        layers of 768 numbers. Lower it, to 2 at the least, where that is too much.
    batch_size : int, default=16384
        Texts whose sums a worker sends at once. Raise it for wide backbones, so that
        less is sent; lower it where there are few texts for many workers.
    concurrency : int or tuple of two int, default=None
        Actors, or the least and most of them. None: one.
    num_cpus : float, default=None
        Cores for each actor; None is Ray's 1. Leave a core to what reads the data.
    num_gpus : float, default=None
        GPUs for each actor.

    Returns
    -------
    EarlyExitClassifier or RAEEClassifier
        The one that was given. `partial_fit` of an `EarlyExitClassifier` would need
        the states of all texts, and refuses.

    Raises
    ------
    ImportError
        If Ray is not installed.
    TypeError
        If `clf` is something else.
    ValueError
        If a column is missing, texts or labels are none, or a parameter cannot be
        served by sums: ``readout="ridge"`` of a `RAEEClassifier`.
    """
    ray = ray_itself()
    _check(clf)
    check_integer("n_folds", n_folds, least=2)
    check_integer("batch_size", batch_size, least=1)
    columns = text_columns(text, clf._template().fields)
    if (known := ds.columns(fetch_if_missing=False)) is not None:
        check_columns(known, [*columns, label])
    on = _Rows(ray, ds, columns, label, pool(concurrency, num_cpus, num_gpus))
    labels = on.labels()
    classes, codes = np.unique(labels, return_inverse=True)
    clf._check_before_fit()
    clf._check_classes(labels, classes)
    warn_of_one_class(classes)
    sweeping = _sweeping(clf)
    if isinstance(clf, RAEEClassifier):
        return clf.fit_sweep(on.swept(_with_words(sweeping, classes)), labels)
    task = SumTask.of(sweeping, classes, codes, n_folds)
    solved = solved_of(on.each(Summing, batch_size, task))
    found = LeftOut.joined(list(on.each(Reading, _AT_ONCE, task, solved)))
    return concluded(clf, task, solved, found, codes)


class _Rows:
    """A dataset, and how its workers are asked: what they say comes in its order."""

    def __init__(
        self, ray: Any, ds: Any, columns: list[str], label: str, pool: dict[str, Any]
    ) -> None:
        self._ray, self._columns, self._label = ray, columns, label
        self._ds, self._pool = ds, pool

    def labels(self) -> npt.NDArray[Any]:
        """Return the labels of all texts; refuse texts that are none."""
        looked = self._ds.map_batches(
            _looked,
            fn_args=(self._columns, self._label),
            batch_format="pyarrow",
            batch_size=None,
        )
        labels: list[Any] = []
        n_bad, first = 0, 0
        for table in self._in_order(looked):
            bad = np.flatnonzero(table.column("bad").to_numpy())
            if len(bad) and not n_bad:
                first = len(labels) + int(bad[0])
            n_bad += len(bad)
            labels += table.column("label").to_pylist()
        if n_bad:
            raise ValueError(
                f"{n_bad} of {len(labels)} texts are missing or no strings, the first "
                f"in row {first}; filter these rows out, or fill in a text."
            )
        return check_labels(labels, len(labels))

    def each(self, part: type[Any], batch_size: int, *told: Any) -> Iterator[Any]:
        """Yield what a pool of actors makes of the batches."""
        # Or a million short texts may be one block, for one actor.
        pieces = self._ds.repartition(target_num_rows_per_block=batch_size)
        made = pieces.map_batches(
            part,
            fn_constructor_args=(self._ray.put(told), self._columns, self._label),
            batch_format="pyarrow",
            batch_size=batch_size,
            zero_copy_batch=True,
            **self._pool,
        )
        for table in self._in_order(made):
            for found in table.column("found"):
                yield pickle.loads(found.as_buffer())

    def swept(self, clf: Any) -> LayerSweep:
        """Return the sweep of all texts."""
        return LayerSweep.concatenate(list(self.each(Sweeping, _AT_ONCE, clf)))

    def _in_order(self, ds: Any) -> Iterator[pa.Table]:
        ds.context.execution_options.preserve_order = True
        yield from ds.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        )


class _Part:
    """An actor's part: what it was told, and a row for each batch.

    Parameters
    ----------
    told : ObjectRef of tuple
    columns : list of str
        With the texts.
    label : str
        Column of the labels.
    """

    def __init__(self, told: Any, columns: list[str], label: str) -> None:
        import ray

        self._told, self._columns, self._label = ray.get(told), columns, label

    def __call__(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        texts = [table.column(name).to_pylist() for name in self._columns]
        labels = table.column(self._label).to_pylist()
        found = self._made(texts, labels)
        if found is None:
            return pa.table({"found": pa.array([], pa.large_binary())})
        # Between processes of one job, like all that Ray itself sends.
        content = pickle.dumps(found, protocol=5)
        return pa.table({"found": pa.array([content], pa.large_binary())})

    def _made(self, texts: list[list[str]], labels: list[Any]) -> Any:
        raise NotImplementedError


class Summing(_Part):
    """Sweeps texts, and sends sums over them."""

    def _made(self, texts: list[list[str]], labels: list[Any]) -> Any:
        (task,) = self._told
        return sums_of(task, texts, labels)


class Reading(_Part):
    """Sends of the texts of the sample what is told of them by the other folds."""

    def _made(self, texts: list[list[str]], labels: list[Any]) -> LeftOut | None:
        task, solved = self._told
        rows = np.flatnonzero(task.sampled(texts, labels))
        if not len(rows):
            return None
        some = [[column[row] for row in rows] for column in texts]
        return left_out_of(task, solved, some, [labels[row] for row in rows])


class Sweeping(_Part):
    """Sends the sweep of texts, which a database needs."""

    def _made(self, texts: list[list[str]], labels: list[Any]) -> LayerSweep:
        (clf,) = self._told
        swept: LayerSweep = clf.sweep(Texts(texts))
        return swept


def _looked(table: pa.Table, columns: list[str], label: str) -> pa.Table:
    """Return the labels of a batch, and which rows have no texts."""
    import pyarrow as pa

    check_columns(table.column_names, [*columns, label])
    bad = np.zeros(len(table), bool)
    for name in columns:
        texts = table.column(name).to_pylist()
        bad |= np.array([not isinstance(one, str) for one in texts], bool)
    return pa.table({"label": table.column(label), "bad": bad})


def _check(clf: Any) -> None:
    if not isinstance(clf, EarlyExitClassifier | RAEEClassifier):
        raise TypeError(
            "fit_dataset fits an EarlyExitClassifier or a RAEEClassifier, got "
            f"{type(clf).__name__}; of a Pipeline or search give the classifier in it."
        )
    if isinstance(clf, RAEEClassifier) and clf.readout == "ridge":
        raise ValueError(
            "readout='ridge' of a RAEEClassifier needs an answer to each text by what "
            "did not see it, which sums over texts do not give; take "
            "readout='lm_head', an EarlyExitClassifier, or fit on a part of the texts."
        )
    if isinstance(clf, RAEEClassifier):
        # Without classes it refuses an encoder that learns from all the texts.
        words = clf.label_words or {"any": "any"}
        _sweeping(clf).set_params(label_words=words)._check_words(None)


def _sweeping(clf: Any) -> Any:
    """Return what a worker needs, which keeps nothing and searches nothing."""
    parameters = clf.get_params(deep=False) | {"memory": None, "verbose": 0}
    if "index" in parameters:  # it may be an object that is of this machine
        parameters["index"] = "exact"
    return clone(type(clf)(**parameters))


def _with_words(clf: RAEEClassifier, classes: npt.NDArray[Any]) -> RAEEClassifier:
    """Name the words of the classes, which a worker has no labels to learn from."""
    if clf.label_words is None:
        clf.set_params(label_words={one: one for one in classes.tolist()})
    elif not isinstance(clf.label_words, dict):
        words = dict(zip(classes.tolist(), clf.label_words, strict=True))
        clf.set_params(label_words=words)
    return clf
