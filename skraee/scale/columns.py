"""Answers as columns of Arrow, which all three engines take, and their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from skraee.scale.answers import Answers


class Names(NamedTuple):
    """How the columns of answers are called."""

    label: str = "label"
    probabilities: str = "probabilities"
    exit_layer: str = "exit_layer"
    error: str = "error"


def text_columns(text: str | Sequence[str], fields: Sequence[str]) -> list[str]:
    """Return the columns that have the texts, in the order of the template's fields.

    Parameters
    ----------
    text : str or sequence of str
    fields : sequence of str

    Raises
    ------
    ValueError
        If they are not as many as the fields.
    """
    columns = [text] if isinstance(text, str) else list(text)
    if len(columns) != len(fields):
        raise ValueError(
            f"the template has the fields {list(fields)}, got the columns {columns} "
            "for text; name one column for each field, in this order."
        )
    return columns


def check_columns(
    known: Iterable[str], needed: Sequence[str], names: Sequence[str] = ()
) -> None:
    """Refuse data that lack a column, and answers in the place of what is there.

    Parameters
    ----------
    known : iterable of str
        Columns of the data.
    needed : sequence of str
        Those that are read.
    names : sequence of str
        Those that will be added.

    Raises
    ------
    ValueError
    """
    known = list(known)
    for name in needed:
        if name not in known:
            raise ValueError(
                f"the data have no column {name!r}, but {known}; say which one it is, "
                f"or rename that to {name!r}."
            )
    if len(set(names)) < len(names):
        raise ValueError(
            f"two columns of answers have one name in {list(names)}; give each its own."
        )
    for name in names:
        if name in known:
            raise ValueError(
                f"the data have a column {name!r} already, which would be lost; give "
                "the one of the answers another name, by the parameter for it."
            )


def arrow_types(classes: Sequence[Any]) -> list[Any]:
    """Return the Arrow types of the columns, in the order of `Names`."""
    import pyarrow as pa

    label = pa.array(classes).type
    return [label, pa.list_(pa.float32()), pa.int32(), pa.string()]


def arrow_columns(found: Answers, classes: Sequence[Any]) -> list[pa.Array]:
    """Return answers as columns, in the order of `Names`; null where there is none.

    Parameters
    ----------
    found : Answers
        To n texts.
    classes : sequence of C str, int, float or bool
    """
    import pyarrow as pa

    failed = found.failed
    codes = pa.array(found.codes, mask=failed)
    exits = pa.array(found.exits.astype(np.int32), mask=failed)
    return [
        pa.array(classes).take(codes),
        _lists(found.proba, failed),
        exits,
        pa.array(found.errors, pa.string()),
    ]


def _lists(rows: Any, failed: Any) -> pa.Array:
    """Return a list of each row (n, C), without a Python object for any of them."""
    import pyarrow as pa

    ends = np.append(0, np.cumsum(np.where(failed, 0, rows.shape[1])))
    offsets = pa.array(ends.astype(np.int32), mask=np.append(failed, False))
    values = pa.array(np.ascontiguousarray(rows[~failed]).reshape(-1))
    return pa.ListArray.from_arrays(offsets, values)
