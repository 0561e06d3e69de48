"""Checks of single values of a manifest, each in one sentence.

A check takes the value's place in the manifest, for the message, and the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from math import inf
from reprlib import repr as short_repr
from typing import Any

Check = Callable[[str, Any], None]

# JSON knows numbers of any size, and nothing that is counted comes near to this.
_LARGEST = 2**63 - 1
_HASH = re.compile(r"[0-9a-f]{64}")


def whole(least: int = -_LARGEST, most: int = _LARGEST) -> Check:
    """Check for a whole number in [least, most]."""

    def check(what: str, value: Any) -> None:
        if type(value) is not int or not least <= value <= most:
            _refuse(what, f"a whole number from {least} to {most}", value)

    return check


def real(least: float = -inf, most: float = inf) -> Check:
    """Check for a number in [least, most], which NaN is not."""

    def check(what: str, value: Any) -> None:
        is_number = type(value) in (int, float)
        if not is_number or not least <= value <= most:
            _refuse(what, f"a number from {least} to {most}", value)
        if type(value) is int and abs(value) > _LARGEST:
            _refuse(what, "a number that a float holds", value)

    return check


def flag(what: str, value: Any) -> None:
    """Check for true or false."""
    if type(value) is not bool:
        _refuse(what, "true or false", value)


def text(what: str, value: Any) -> None:
    """Check for a string."""
    if type(value) is not str:
        _refuse(what, "a string", value)


def sha256(what: str, value: Any) -> None:
    """Check for a hash."""
    if type(value) is not str or _HASH.fullmatch(value) is None:
        _refuse(what, "the 64 hexadecimal digits of a SHA-256", value)


def one_of(*allowed: Any) -> Check:
    """Check for one of some values, of the same type."""

    def check(what: str, value: Any) -> None:
        if not any(type(value) is type(one) and value == one for one in allowed):
            _refuse(what, f"one of {', '.join(map(repr, allowed))}", value)

    return check


def optional(check: Check) -> Check:
    """Check for null, or what another check is for."""
    return lambda what, value: None if value is None else check(what, value)


def list_of(check: Check, most: int = _LARGEST) -> Check:
    """Check for a list of at most so many items that all pass another check."""

    def check_all(what: str, value: Any) -> None:
        if type(value) is not list or len(value) > most:
            _refuse(what, f"a list of at most {most} items", value)
        for i, item in enumerate(value):
            check(f"{what}[{i}]", item)

    return check_all


def dict_of(check: Check) -> Check:
    """Check for an object whose values, of whatever names, all pass another check."""

    def check_all(what: str, value: Any) -> None:
        _check_object(what, value)
        for name, item in value.items():
            check(f"{what}.{name}", item)

    return check_all


def entries(
    checks: dict[str, Check], missing: Collection[str] = (), strange: bool = False
) -> Check:
    """Check for an object with just these names.

    Parameters
    ----------
    checks : dict of str to callable
        What each value must pass.
    missing : collection of str
        Names that need not be there.
    strange : bool, default=False
        Whether there may be others.
    """

    def check(what: str, value: Any) -> None:
        _check_object(what, value)
        inside = f"{what}." if what else ""
        if lacking := sorted(checks.keys() - value.keys() - set(missing)):
            raise ValueError(f"{inside}{lacking[0]} is missing")
        unknown = sorted(value.keys() - checks.keys())
        if unknown and not strange:
            raise ValueError(f"{inside}{short_repr(unknown[0])} is not known")
        for name in checks.keys() & value.keys():
            checks[name](f"{inside}{name}", value[name])

    return check


def _check_object(what: str, value: Any) -> None:
    if type(value) is not dict:
        _refuse(what or "the manifest", "an object", value)


def _refuse(what: str, rule: str, value: Any) -> None:
    raise ValueError(f"{what} must be {rule}, got {short_repr(value)}")
