"""Parameters as plain JSON values, and back; what would need code is refused.

None, bool, int, float and str stand for themselves, and so do lists. All else is an
object of one entry, whose name says what it is: ``{"pairs": [[0, "terrible"]]}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from skraee.backbone.handle import Backbone
from skraee.retrieval.encoder import Encoder, as_encoder
from skraee.retrieval.outer_search import is_search_index
from skraee.text.template import Template

# What `tolist` gives back as plain values, and how many bytes an item or a letter of
# them may take.
_DTYPE = re.compile(r"\|O|[<>|=][biufU]\d{1,9}")
_MOST_BYTES = 64

Plain = Any  # what json writes: None, bool, int, float, str, list, dict


def to_plain(name: str, value: Any) -> Plain:
    """Return a parameter as a value that JSON can hold.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    value : object

    Returns
    -------
    None, bool, int, float, str, list or dict

    Raises
    ------
    TypeError
        If only code could make it again.

    Examples
    --------
    >>> to_plain("label_words", {0: "terrible", 1: "great"})
    {'pairs': [[0, 'terrible'], [1, 'great']]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple):
        items = [to_plain(name, item) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, np.ndarray):
        return _array(name, value)
    if isinstance(value, Mapping):
        # JSON has only str for keys, and would make "0" of 0.
        return {"pairs": [to_plain(name, list(pair)) for pair in value.items()]}
    return _named(name, value)


def from_plain(value: Plain) -> Any:
    """Return what `to_plain` was given.

    Parameters
    ----------
    value : None, bool, int, float, str, list or dict

    Returns
    -------
    object
    """
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    return _MAKERS[kind](content)


def _array(name: str, value: npt.NDArray[Any]) -> Plain:
    """Return an array that is small, or holds Python objects or masked entries."""
    if isinstance(value, np.ma.MaskedArray):
        parts = [to_plain(name, part) for part in (value.data, value.mask)]
        return {"masked": parts}
    return {"array": [value.dtype.str, to_plain(name, value.tolist())]}


def _named(name: str, value: Any) -> Plain:
    """Return what has a short name of its own."""
    if isinstance(value, PurePath | torch.device):
        return str(value)
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, Template):
        return {"template": value.text}
    if isinstance(value, Backbone):
        return {"backbone": value.description()}
    if is_search_index(value):
        return {"index": type(value).__name__}  # to tell what is to be given again
    if isinstance(encoder := as_encoder(value), Encoder):
        return {"encoder": encoder.description()}
    raise TypeError(
        f"{name} of type {type(value).__name__} cannot be saved without code; use "
        "joblib.dump(estimator, path), whose files run code when they are read, or "
        f"give {name} as a name, a folder or a number."
    )


def _array_of(parts: Plain) -> npt.NDArray[Any]:
    """Return an array of a dtype name and items; none is much larger than its items."""
    name, items = parts
    if not isinstance(name, str) or _DTYPE.fullmatch(name) is None:
        raise ValueError(f"an array of dtype {name!r}")
    dtype = np.dtype(name)
    n_items, n_letters = _size_of(items)
    if dtype.itemsize * n_items > _MOST_BYTES * (n_items + n_letters):
        raise ValueError(f"an array of dtype {name} for {n_items} items")
    return np.array(items, dtype=dtype)


def _size_of(items: Plain) -> tuple[int, int]:
    """Return how many items there are in lists, and how many letters they have."""
    if isinstance(items, str):
        return 1, len(items)
    if not isinstance(items, list):
        if isinstance(items, dict):
            raise ValueError("an array of things that have names")
        return 1, 0
    sizes = [_size_of(item) for item in items]
    return sum(n for n, _ in sizes), sum(n for _, n in sizes)


def _masked_array_of(parts: Plain) -> npt.NDArray[Any]:
    data, mask = (from_plain(part) for part in parts)
    if not isinstance(data, np.ndarray) or np.shape(mask) not in ((), data.shape):
        raise ValueError("a masked array whose mask is of another shape")
    return np.ma.array(data, mask=mask)


def _no_index(name: Plain) -> Any:
    raise ValueError(f"there is no code of {name}")


_MAKERS: dict[str, Any] = {
    "tuple": lambda items: tuple(map(from_plain, items)),
    "array": _array_of,
    "masked": _masked_array_of,
    "pairs": lambda pairs: {from_plain(k): from_plain(v) for k, v in pairs},
    "template": Template,
    "backbone": Backbone.from_description,
    "encoder": Encoder.from_description,
    "index": _no_index,
}
