"""Checks of one value: a number of a range, one of some choices, a sequence.

Each raises TypeError for a value of another kind and ValueError for one out of its
range, in a sentence that begins with the name of the parameter and ends with a value
that would do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from math import isfinite
from typing import Any

import numpy as np


def check_integer(
    name: str, value: Any, *, least: int, most: int | None = None
) -> None:
    """Raise unless `value` is an integer in [least, most]; `most` is a depth."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(
            f"{name} must be a whole number, got {value!r} of type "
            f"{type(value).__name__}; write {_whole(value, max(least, 1))}."
        )
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}; raise it.")
    if most is not None and value > most:
        raise ValueError(
            f"{name} must be at most {most}, the number of layers of this backbone, "
            f"got {value}; lower it."
        )


def check_real(
    name: str, value: Any, rule: str, is_right: Callable[[float], bool], example: float
) -> None:
    """Raise unless `value` is a number for which `is_right` holds; `rule` says it.

    `example` is a value that many choose.
    """
    if isinstance(value, bool) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise TypeError(
            f"{name} must be a number, got {value!r} of type "
            f"{type(value).__name__}; write {_number(value, example)}."
        )
    if not is_right(float(value)):
        raise ValueError(f"{name} must {rule}, got {value}; try {example}.")


def check_share(name: str, value: Any, example: float = 0.9) -> None:
    """Raise unless `value` is a number in [0, 1]."""
    rule = "lie between 0 and 1"
    check_real(name, value, rule, lambda share: 0 <= share <= 1, _share(value, example))


def check_choice(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Raise unless `value` is one of the `allowed` ones."""
    if not any(value is one or _equals(value, one) for one in allowed):
        options = ", ".join(map(repr, allowed))
        raise ValueError(
            f"{name} must be one of {options}, got {value!r}; write "
            f"{meant_choice(value, allowed)}."
        )


def check_length(name: str, value: Any) -> None:
    """Raise unless `value` is a number of tokens, or None for no limit."""
    if value is not None:
        check_integer(name, value, least=1)


def check_sequence(name: str, values: Any) -> None:
    """Raise unless `values` can be a sequence of numbers."""
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(
            f"{name} must be a sequence of numbers, got {values!r} of type "
            f"{type(values).__name__}; write a list."
        )


def check_each(name: str, values: Any, check: Callable[[Any], None]) -> None:
    """Raise unless `values` is a sequence of some values that all pass a check."""
    check_sequence(name, values)
    if len(values) == 0:
        raise ValueError(
            f"{name} must hold at least one value, got {values!r}; add one."
        )
    for value in values:
        check(value)


def _equals(value: Any, allowed: Any) -> bool:
    # Not ==, which arrays answer item by item.
    return isinstance(value, str) and isinstance(allowed, str) and value == allowed


def _number(value: Any, example: float) -> str:
    """Return the number that a string holds; else one for example."""
    meant = _meant(value)
    return f"{example}, for example" if meant is None else f"{meant:g}"


def _whole(value: Any, example: int) -> str:
    """Return the whole number that was meant; else one for example."""
    meant = _meant(value)
    if meant is None or not meant.is_integer():
        return f"{example}, for example"
    return str(int(meant))


def _meant(value: Any) -> float | None:
    """Return the number that a string or a float stands for."""
    if not isinstance(value, str | float):
        return None
    try:
        meant = float(value)
    except ValueError:
        return None
    return meant if isfinite(meant) else None


def _share(value: Any, example: float) -> float:
    """Return the share that per cent stand for; else one for example."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value / 100 if is_number and 1 < value <= 100 else example


def meant_choice(value: Any, allowed: Sequence[Any]) -> str:
    """Return the choice that was nearly named; else say to take one of them."""
    by_name = {str(one).lower(): one for one in allowed}
    near = get_close_matches(str(value)[:50].lower(), by_name, n=1)
    return repr(by_name[near[0]]) if near else "one of these"
