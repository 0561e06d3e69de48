"""A fitted classifier as a folder that the Hugging Face hub can show: file and card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skraee.exceptions import FileFormatError
from skraee.files.replacing import replacing
from skraee.sharing.card import card_of, is_untouched
from skraee.sharing.saved import check_savable, read_saved

if TYPE_CHECKING:
    from skraee.inspection.evaluation import Evaluation
    from skraee.sharing.saved import Classifier

#: Names of the two files in a folder.
MODEL, CARD = "model.skraee", "README.md"


def save_to_folder(
    clf: Classifier,
    folder: str | os.PathLike[str],
    *,
    evaluation: Evaluation | None = None,
    dataset: str | None = None,
    description: str = "",
    license: str | None = None,
    key: bytes | str | None = None,
) -> Path:
    """Write a folder with the model's file and a card of what was measured.

    Nothing is sent anywhere. ``huggingface_hub.upload_folder`` or git does that, and
    what the file tells of the texts holds for the folder. No weights are in it.

    Parameters
    ----------
    clf : EarlyExitClassifier or RAEEClassifier
        Fitted.
    folder : str or Path
        It is made if it is not there; the two files of an earlier model are replaced,
        other files stay, and so does a ``README.md`` of your own.
    evaluation : Evaluation, optional
        Of texts that it was not fitted on. Give it, or the card has no figures but
        those of the texts of fit, each left out.
    dataset : str, optional
        Name of the texts of `evaluation`, for the card.
    description : str, default=""
        What it is for, in Markdown; it stands on top of the card.
    license : str, optional
        Of the file, as the hub names it, such as "mit". That of the backbone is its
        own.
    key : bytes or str, optional
        Signs the file. Give it where others could change the folder.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    TypeError
        If `clf` is something else, or `evaluation` is.
    NotFittedError
        If `clf` is not fitted.
    FileExistsError
        If the folder has a ``README.md`` that is none of ours, or that somebody has
        written into since; the model is not written either.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skraee import EarlyExitClassifier, toy
    >>> from skraee.sharing import load_from_folder, save_to_folder
    >>> X, y = toy.reviews(60)
    >>> clf = EarlyExitClassifier(toy.backbone(), budget=0.5).fit(X, y)
    >>> with TemporaryDirectory() as place:
    ...     folder = save_to_folder(clf, f"{place}/reviews")
    ...     print(sorted(path.name for path in folder.iterdir()))
    ...     load_from_folder(folder).predict(["a lovely film"])
    ['README.md', 'model.skraee']
    array(['positive'], dtype='<U8')
    """
    check_savable(clf)
    card = card_of(clf, evaluation, dataset, description, license, key is not None)
    target = Path(folder)
    _refuse_other_card(target / CARD)
    target.mkdir(parents=True, exist_ok=True)
    clf.save(target / MODEL, key=key)
    with replacing(target / CARD, streams=False) as beside:
        Path(beside).write_text(card, "utf-8")
    return target


def _refuse_other_card(path: Path) -> None:
    if path.exists() and not is_untouched(path.read_text("utf-8", "replace")):
        raise FileExistsError(
            f"{os.fspath(path)!r} is not as skraee writes a card, and would be lost; "
            "name another folder, or move the file and join the two afterwards."
        )


def load_from_folder(
    folder: str | os.PathLike[str],
    *,
    backbone: Any = None,
    key: bytes | str | None = None,
) -> Classifier:
    """Read a classifier from a folder, with all checks of its file; without a network.

    A folder of the hub comes by ``huggingface_hub.snapshot_download`` or git. The card
    is for people and is not read, and nothing else in the folder is.

    Parameters
    ----------
    folder : str or Path
        Where the two files are.
    backbone : str, Path or Backbone, optional
        Where the backbone is now, if it has moved.
    key : bytes or str, optional
        With which the file must be signed. Give it where others could change the
        folder.

    Returns
    -------
    EarlyExitClassifier, RAEEClassifier or RAEEClassifierCV
        Its backbone is loaded when it is first used, and must be that of the fit.

    Raises
    ------
    OSError
        If there is no such folder.
    FileFormatError
        If the folder has no model, or its file is damaged, of a newer format or not
        signed with the key.
    """
    place = Path(folder)
    if not place.is_dir():
        raise NotADirectoryError(
            f"there is no folder {os.fspath(folder)!r}; fetch one first, as with "
            "huggingface_hub.snapshot_download."
        )
    if not (place / MODEL).is_file():
        raise FileFormatError(
            f"the folder {os.fspath(folder)!r} has no {MODEL}; make one with "
            "save_to_folder."
        )
    return read_saved(place / MODEL, backbone, key)
