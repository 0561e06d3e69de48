"""A fitted classifier on its way to workers: its file, read once by each process."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from skraee.sharing.saved import check_savable, read_saved
from skraee.text.inputs import Texts
from skraee.threads.locks import fork_safe_lock

if TYPE_CHECKING:
    from skraee.sharing.saved import Classifier

# Models that a process keeps loaded: one job has one, two have room beside each other.
_KEPT = 2

_loaded: OrderedDict[str, Classifier] = OrderedDict()
_loading = fork_safe_lock()


@dataclass(frozen=True)
class Shipped:
    """The bytes of a ``.skraee`` file, and what the driver has to know of it.

    Attributes
    ----------
    content : bytes
        It holds no code and no weights. The seal was checked when it was read here.
    classes : list
        As Python has them.
    fields : tuple of str
        Of the template.
    backbone : str, Path, Backbone or None
        Where the backbone is for the workers; None for where the file says.
    digest : str
        SHA-256 of the content.
    """

    content: bytes = field(repr=False)
    classes: list[Any]
    fields: tuple[str, ...]
    backbone: Any
    digest: str

    @classmethod
    def of(cls, clf: Any, backbone: Any = None, key: bytes | str | None = None) -> Self:
        """Take the file of a fitted classifier, or make one.

        Parameters
        ----------
        clf : EarlyExitClassifier, RAEEClassifier, str or Path
            Fitted, or the path of its file.
        backbone : str, Path or Backbone, optional
        key : bytes or str, optional
            With which the file must be signed.

        Raises
        ------
        TypeError
            If it is something else.
        NotFittedError
            If it is not fitted.
        OSError, FileFormatError
            If the file cannot be read.
        """
        if isinstance(clf, str | os.PathLike):
            found = read_saved(clf, backbone, key)
            content = Path(clf).read_bytes()
            if key is not None:  # these bytes, should others have come meanwhile
                _read(content, backbone, key)
        else:
            check_savable(clf)
            found, content = _written(clf)
        return cls(
            content,
            _plain_classes(found.classes_),
            tuple(found._fitted.sweep_settings.template.fields),
            backbone,
            hashlib.sha256(content).hexdigest(),
        )

    def load(self) -> Classifier:
        """Read the classifier anew, as a worker wants it.

        A worker keeps nothing of the texts, so that its memory stays as it is, and has
        no place to show a bar. The backbone is loaded at once: where it is missing that
        is no fault of a text.
        """
        found = _read(self.content, self.backbone)
        found.set_params(memory=None, verbose=0)
        found.predict(Texts([["a"]] * len(self.fields)))
        return found

    def loaded(self, then: Callable[[], None] | None = None) -> Classifier:
        """Return the classifier, which this process reads once for all batches.

        Parameters
        ----------
        then : callable, optional
            Called after it was read.
        """
        key = f"{self.digest} {self.backbone!r}"
        with _loading:  # where several threads answer, one of them reads
            if key not in _loaded:
                _loaded[key] = self.load()
                if then is not None:
                    then()
                while len(_loaded) > _KEPT:
                    _loaded.popitem(last=False)
            _loaded.move_to_end(key)
            return _loaded[key]


def _read(content: bytes, backbone: Any, key: bytes | str | None = None) -> Classifier:
    with TemporaryDirectory(prefix="skraee-") as folder:
        path = Path(folder, "model.skraee")
        path.write_bytes(content)
        return read_saved(path, backbone, key)


def _written(clf: Any) -> tuple[Classifier, bytes]:
    """Return a classifier as a worker would read it, and the file's bytes."""
    with TemporaryDirectory(prefix="skraee-") as folder:
        path = Path(folder, "model.skraee")
        clf.save(path)
        # What no worker could read, as with an index that is an object, is told here.
        return read_saved(path), path.read_bytes()


def _plain_classes(classes: npt.NDArray[Any]) -> list[Any]:
    """Return the classes; refuse those that no column of one type can hold."""
    plain: list[Any] = np.asarray(classes).tolist()
    kinds = {type(one) for one in plain}
    if len(kinds) > 1 or not kinds <= {str, int, float, bool}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(
            "a column of labels has one type, str, int, float or bool, and the classes "
            f"are of {names}; fit with classes of one of these types."
        )
    return plain
