"""A store that fit and predict can do without."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from skraee.exceptions import StoreWarning, warn_user
from skraee.sweep.store import Arrays, Store

# What an unusable folder raises: no rights, no space, no database, locked for good.
_UNUSABLE = (OSError, sqlite3.Error)


class BestEffortStore:
    """A store whose failure costs one warning and no answer.

    It serves one call of fit or predict: what has failed once is not tried again, so
    that nothing is waited for part by part, and the warning comes once.

    Parameters
    ----------
    store : Store
        What may fail.

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> import warnings
    >>> import numpy as np
    >>> from skraee.sweep.best_effort_store import BestEffortStore
    >>> from skraee.sweep.folder_store import FolderStore
    >>> with NamedTemporaryFile() as file, warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     store = BestEffortStore(FolderStore(file.name))  # no folder
    ...     store.write({b"text": {"key": np.zeros(3)}})
    ...     store.read([b"text"])
    [None]
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reads = self._writes = True

    def read(self, keys: Sequence[bytes]) -> list[Arrays | None]:
        """Return the records of these keys; None where there is none to be had."""
        if self._reads:
            try:
                return self._store.read(keys)
            except _UNUSABLE as error:
                self._warn("read", error)
                self._reads = self._writes = False
        return [None] * len(keys)

    def write(self, records: Mapping[bytes, Arrays]) -> None:
        """Keep records if possible."""
        if self._writes:
            try:
                self._store.write(records)
            except _UNUSABLE as error:
                self._warn("written", error)
                self._writes = False

    def clear(self) -> None:
        """Forget all records."""
        self._store.clear()

    def _warn(self, done: str, error: Exception) -> None:
        if not self._writes:  # it has been said
            return
        where = getattr(self._store, "folder", self._store)
        warn_user(
            f"the store in {str(where)!r} cannot be {done} ({type(error).__name__}: "
            f"{error}), so this call does without it and its texts pass the backbone; "
            "mend the folder, or set memory= to another one or to None.",
            StoreWarning,
        )
