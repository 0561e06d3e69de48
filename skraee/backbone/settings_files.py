"""JSON files that come with a model: read, or refused with their name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_mapping(file: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object.

    Parameters
    ----------
    file : Path

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    found = read_json(file)
    if not isinstance(found, dict):
        raise damaged(file, f"a {type(found).__name__} at the top")
    return found


def read_json(file: Path) -> Any:
    """Read a file of JSON.

    Parameters
    ----------
    file : Path

    Raises
    ------
    ValueError
        If it is none, or nested so deep that it is nobody's.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of JSON, its letters, its depth
        raise damaged(file, f"{type(error).__name__}: {error}") from error


def damaged(file: Path, what: str) -> ValueError:
    """Return the error of a file that says what makes no sense."""
    return ValueError(
        f"{file.name} in {str(file.parent)!r} cannot be read ({what}); fetch it again, "
        "from where the model is published."
    )
