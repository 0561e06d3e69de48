"""Names of models: hub names with a revision, and paths."""

from __future__ import annotations

import os
from pathlib import Path


def parse_name(
    name: str | os.PathLike[str], revision: str | None
) -> tuple[str, str | None]:
    """Tell paths from hub names, and a name from its revision.

    Parameters
    ----------
    name : str or Path
        Local path, ``org/name`` or ``org/name@revision``.
    revision : str or None
        Given beside the name. A folder has none.

    Returns
    -------
    name : str
        The absolute path where one exists, so that it still leads there from another
        working directory; else the hub name.
    revision : str or None

    Raises
    ------
    ValueError
        If the name is empty, two revisions are given, or one beside a path.

    Examples
    --------
    >>> parse_name("FacebookAI/roberta-large@main", None)
    ('FacebookAI/roberta-large', 'main')
    """
    text = os.fspath(name)
    if not text:
        raise ValueError("the model's name is empty; give a hub name or a path.")
    path = Path(text).expanduser()
    if path.exists() or path.is_absolute():
        if revision is not None:
            raise ValueError(
                f"{text!r} is a path on this machine, which has no revision "
                f"{revision!r}; leave revision out, or give a hub name that is not "
                "also the name of a folder here."
            )
        # Symlinks stay: in the hub's cache they bear the names, .gguf among them.
        return os.path.abspath(path), None
    stem, at, written = text.rpartition("@")
    if not at:
        return text, revision
    if revision is not None and revision != written:
        raise ValueError(
            f"two revisions were given, {written!r} in the name and {revision!r}; "
            "give one."
        )
    return stem, written
