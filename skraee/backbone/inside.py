"""A model's folder reads nothing but itself: no link in it leads anywhere else."""

from __future__ import annotations

import os
from pathlib import Path

from skraee.backbone.sentence_folder import module_folders

# Of a hub's cache, in which files of a snapshot are links to where their bytes lie.
_BLOBS = "blobs"
_REPOSITORY = "models--"


def refuse_links_outside(folder: Path) -> None:
    """Refuse a model's folder in which a link leads to a file outside of it.

    Parameters
    ----------
    folder : Path
        Itself it may be a link.

    Raises
    ------
    OSError
        If there is one, but those of a hub's cache.
    ValueError
        If its list of modules is damaged.
    """
    root = Path(os.path.realpath(folder))
    _refuse_links_in(folder, root)
    for part in filter(Path.is_dir, module_folders(folder)):
        refuse_outside(part, root)
        _refuse_links_in(part, root)


def _refuse_links_in(folder: Path, root: Path) -> None:
    with os.scandir(folder) as found:
        links = [Path(entry.path) for entry in found if entry.is_symlink()]
    for link in links:
        refuse_outside(link, root)


def refuse_outside(file: Path, root: Path) -> None:
    """Refuse a file that lies outside of a folder, once links are followed.

    Parameters
    ----------
    file : Path
    root : Path
        Without links.

    Raises
    ------
    OSError
    """
    end = Path(os.path.realpath(file))
    if end.is_relative_to(root) or _is_of_hub(end):
        return
    raise OSError(
        f"{file.name} in {str(file.parent)!r} is a link to {str(end)!r}, and nothing "
        "outside of a model's folder is read; put a copy there, or a hard link."
    )


def _is_of_hub(file: Path) -> bool:
    home = file.parent
    return home.name == _BLOBS and home.parent.name.startswith(_REPOSITORY)
