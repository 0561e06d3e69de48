"""What a text is to become: one reference or several."""

from __future__ import annotations

from collections.abc import Sequence
from reprlib import repr as short_repr
from typing import Any

import numpy as np

from skraee.text.inputs import is_ordered, replace_surrogates

#: Parts the references of a text where they stand in one string.
SEPARATOR = " || "


def check_references(y: Any, n_texts: int) -> list[tuple[str, ...]]:
    """Return the references of every text.

    Parameters
    ----------
    y : sequence of n str, or of n lists of str
        Several references of a text are a list, or one string that " || " parts.
    n_texts : int
        How many texts there are.

    Returns
    -------
    list of n tuple of str
        At least one of each text.

    Raises
    ------
    TypeError
        If `y` has no order.
    ValueError
        If it is one string, of another length than the texts, or holds what is no
        text, or an empty one.

    Examples
    --------
    >>> from skraee.generation.references import check_references
    >>> check_references(["one || another", ["a third"]], 2)
    [('one', 'another'), ('a third',)]
    """
    if isinstance(y, str | bytes) or not is_ordered(y):
        kind = ValueError if isinstance(y, str | bytes) else TypeError
        raise kind(
            f"y must be a list, array or Series of target texts, got {short_repr(y)}; "
            "pass one for each text, as in [target]."
        )
    items = list(y) if isinstance(y, Sequence) else np.asarray(y, dtype=object).tolist()
    if len(items) != n_texts:
        raise ValueError(
            f"X and y must be of the same length, got {n_texts} texts and {len(items)} "
            "targets; give each text one target, or a list of several."
        )
    return [_references(item, position) for position, item in enumerate(items)]


def _references(item: Any, position: int) -> tuple[str, ...]:
    several = item.split(SEPARATOR) if isinstance(item, str) else item
    is_list = isinstance(several, list | tuple | np.ndarray) and len(several) > 0
    if not is_list or not all(isinstance(one, str) for one in several):
        raise ValueError(
            f"a target must be a string or a list of strings, got {short_repr(item)} "
            f"at position {position}; drop this text or write its target."
        )
    found = tuple(replace_surrogates(str.__str__(one)).strip() for one in several)
    if not all(found):
        raise ValueError(
            f"a target must not be empty, got {short_repr(item)} at position "
            f"{position}; drop this text or write its target."
        )
    return found
