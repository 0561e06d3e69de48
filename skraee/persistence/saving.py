"""`save`, for estimators to inherit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from skraee.persistence import model_file

if TYPE_CHECKING:
    from skraee.persistence.model_file import Savable


class SavingMixin:
    """Adds `save`; a class that has it says itself what its `load` takes."""

    def save(
        self: Savable, path: str | os.PathLike[str], *, key: bytes | str | None = None
    ) -> None:
        """Write the fitted estimator to one file that holds no code.

        The backbone is not in it, but its name and hashes of its weights, tokenizer
        and configuration. What fit learned is: readouts, and of its texts the labels
        and, where neighbours decide, keys and sweeps.

        Parameters
        ----------
        path : str or Path
            A file that is there is replaced as a whole, or not at all. A link stays,
            and what it leads to is replaced; nothing that is no regular file is.
        key : bytes or str, optional
            A secret of at least 16 bytes, such as ``secrets.token_bytes(32)``, that
            signs the file (HMAC-SHA-256). Set it where others could change the file:
            `load` with this key takes nothing else. The hashes that every file has
            tell damage, and anyone can make them right again.

        Raises
        ------
        OSError
            If a folder, pipe, socket or device is in the place, or no file can be
            written.
        ValueError
            If a parameter was set to what predict would refuse, or the key is too
            short.
        TypeError
            If a parameter or a class is an object that only code could make again;
            use joblib.dump for these.
        PicklingError
            If the backbone or encoder was made of objects that no name leads to.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> from skraee import EarlyExitClassifier, toy
        >>> X, y = toy.reviews(60)
        >>> clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     clf.save(f"{folder}/reviews.skraee")
        ...     again = EarlyExitClassifier.load(f"{folder}/reviews.skraee")
        >>> again.predict(["a lovely film"])
        array(['positive'], dtype='<U8')
        """
        model_file.save(self, path, key)
