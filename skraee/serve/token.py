"""The token that requests must have."""

from __future__ import annotations

import os
import re
from pathlib import Path

#: The variable of the environment that may hold it.
VARIABLE = "SKRAEE_TOKEN"

_SHORTEST = 16
_NEW = "python -c 'import secrets; print(secrets.token_hex(32))'"


def read_token(file: Path | None) -> str | None:
    """Return the token of a file, or of the environment; None where there is none.

    Parameters
    ----------
    file : Path, optional
        White space around the token is no part of it.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is no token.
    """
    if file is None:
        return checked_token(os.environ.get(VARIABLE))
    if not file.is_file():
        raise OSError(f"there is no token file {str(file)!r}; check the path.")
    return checked_token(file.read_text("utf-8", errors="replace").strip())


def checked_token(token: str | None) -> str | None:
    """Return a token that a header can carry and nobody guesses.

    Raises
    ------
    TypeError
        If it is no string.
    ValueError
        If it is short or has other characters.
    """
    if token is None:
        return None
    if not isinstance(token, str):
        raise TypeError(
            f"token must be a string, got {type(token).__name__}; put quotation "
            "marks around it."
        )
    if len(token) < _SHORTEST or not re.fullmatch("[!-~]*", token):
        raise ValueError(
            f"the token must have at least {_SHORTEST} letters, digits and signs of "
            f"ASCII without spaces, got {len(token)} characters; make one with {_NEW}."
        )
    return token
