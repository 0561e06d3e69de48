"""Text of a user inside HTML: it is shown as it is, and does nothing."""

from __future__ import annotations

import re
from html import escape

# What no page may hold, or nobody sees: control characters but tab and end of line,
# halves of a character, code points that are none.
_UNSEEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr((plane << 16) + end) for plane in range(17) for end in (65534, 65535))
    + "]"
)
# Of the C0 controls Unicode has pictures, in the same order.
_PICTURES = 0x2400

# What turns the direction of the text behind it, in a place where no element ends that.
_DIRECTIONS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def escaped(text: object, most: int | None = None) -> str:
    r"""Return text as HTML shows it, wherever it stands in a page or an attribute.

    Parameters
    ----------
    text : object
        Control characters become their pictures, what is no character U+FFFD.
    most : int, optional
        Letters of it that are shown; where there are more, it ends in three dots.

    Examples
    --------
    >>> from skraee.inspection.markup import escaped
    >>> escaped("a < b\0"), escaped("abcdefgh", most=6)
    ('a &lt; b␀', 'abcde…')
    """
    whole = str(text)
    if most is not None and len(whole) > most:
        whole = whole[: most - 1] + "…"
    return escape(_UNSEEN.sub(_picture, whole))


def isolated(text: object, most: int | None = None) -> str:
    """Return text in an element of its own, whose direction ends with it.

    Parameters
    ----------
    text : object
        Of a user: it may be written from right to left, or try to look so.
    most : int, optional
        Letters of it that are shown.

    Examples
    --------
    >>> from skraee.inspection.markup import isolated
    >>> isolated("<b>")
    '<bdi>&lt;b&gt;</bdi>'
    """
    return f"<bdi>{escaped(text, most)}</bdi>"


def in_a_line(text: object, most: int | None = None) -> str:
    r"""Return text for a title or an attribute: in one line, from left to right.

    Parameters
    ----------
    text : object
    most : int, optional
        Letters of it that are shown.

    Examples
    --------
    >>> from skraee.inspection.markup import in_a_line
    >>> in_a_line("two\nlines")
    'two lines'
    """
    return escaped(_DIRECTIONS.sub("", " ".join(str(text).split())), most)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(_PICTURES + code)
    return "␡" if code == 0x7F else "\ufffd"
