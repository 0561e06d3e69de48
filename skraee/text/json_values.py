"""What JSON can hold of a value."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """Return what JSON can hold of a value: numbers, strings, lists and objects.

    Parameters
    ----------
    value : object
        Arrays become lists, numbers that are not finite None, what JSON has no name
        for its ``repr``.

    Examples
    --------
    >>> from skraee.text.json_values import plain
    >>> plain({"a": (1, float("nan")), 2: "b"})
    {'a': [1, None], '2': 'b'}
    """
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if hasattr(value, "tolist"):  # of numpy: an array, or one of its numbers
        return plain(value.tolist())
    return repr(value)
