"""How long a prompt may be, and which of its fields give way."""

from collections.abc import Sequence


def limit_of(max_length: int | None, position_limit: int | None) -> int | None:
    """Return the smaller limit in tokens, the user's or the model's; None for none.

    Raises
    ------
    ValueError
        If the user's is the larger one.
    """
    if max_length is None or position_limit is None:
        return position_limit if max_length is None else max_length
    if max_length > position_limit:
        raise ValueError(
            f"max_length must be at most {position_limit}, the model's number of "
            f"positions, got {max_length}; lower it or leave it at None."
        )
    return max_length


def levelled(lengths: Sequence[int], room: int) -> list[int]:
    """Cut the longest length by one, the later of equals, until the sum is `room`."""
    level = _level(lengths, room)
    kept = [min(length, level) for length in lengths]
    for i in range(len(kept)):
        kept[i] += kept[i] < lengths[i] and sum(kept) < room
    return kept


def _level(lengths: Sequence[int], room: int) -> int:
    """Return the largest length to which all can be cut without filling the room."""
    level = room
    for i, length in enumerate(sorted(lengths)):
        level = room // (len(lengths) - i)
        if length > level:
            break
        room -= length
    return level
