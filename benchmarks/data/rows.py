"""Rows of text and class: read from the sources' raw bytes, written as ours.

White space is one blank where it was more, and none at the ends of a text. Rows without
a text are left out.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence

Row = tuple[str, str]

HEADER = ("text", "label")

_ASCII_SPACE = re.compile(r"\s+", re.ASCII)


def numbered_lines(raw: bytes, classes: Sequence[str]) -> list[Row]:
    r"""Read lines of a class number, a blank and a text.

    The bytes are taken for Latin-1, as our files have them: in those of SST, which are
    UTF-8, an accented letter is two characters.

    Parameters
    ----------
    raw : bytes
    classes : sequence of str
        By their numbers, from 0.

    Examples
    --------
    >>> numbered_lines(b"1 a fine film . \n0 dull\n", ("negative", "positive"))
    [('a fine film .', 'positive'), ('dull', 'negative')]
    """

    def rows() -> Iterator[Row]:
        # Not splitlines: some texts hold one of its rarer line ends.
        for line in raw.decode("latin-1").split("\n"):
            number, _, text = line.strip(" \r").partition(" ")
            if number:
                yield _ASCII_SPACE.sub(" ", text).strip(), classes[int(number)]

    return _with_text(rows())


def judged_sentences(raw: bytes, member: str) -> list[Row]:
    """Read CoLA's table of four columns: source, judgment, its old mark, sentence.

    Parameters
    ----------
    raw : bytes
        The archive as published.
    member : str
        The table's path in it.
    """
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        lines = archive.read(member).decode("utf-8").split("\n")
    columns = (line.split("\t", 3) for line in lines if line.strip())
    judgments = ("unacceptable", "acceptable")
    return _tidied((sentence, judgments[int(said)]) for _, said, _, sentence in columns)


def queries(raw: bytes) -> list[Row]:
    """Read banking77's CSV of the columns text and category.

    Parameters
    ----------
    raw : bytes
    """
    table = csv.DictReader(io.StringIO(raw.decode("utf-8"), newline=""))
    return _tidied((row["text"], row["category"]) for row in table)


def intents(raw: bytes, parts: Sequence[str]) -> list[Row]:
    """Read clinc150's JSON: for each part a list of text and intent.

    Parameters
    ----------
    raw : bytes
    parts : sequence of str
        Which to read, one after the other.
    """
    found = json.loads(raw)
    return _tidied((text, intent) for part in parts for text, intent in found[part])


def written(rows: Iterable[Row]) -> bytes:
    """Return a task's file.

    Parameters
    ----------
    rows : iterable of (text, label)
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerows([HEADER, *rows])
    return out.getvalue().encode("utf-8")


def read(content: bytes) -> list[Row]:
    """Read what `written` wrote.

    Parameters
    ----------
    content : bytes
    """
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    if tuple(header) != HEADER:
        raise ValueError(f"a task's file has the columns text and label, got {header}.")
    return [(text, label) for text, label in rows]


def _tidied(rows: Iterable[Row]) -> list[Row]:
    return _with_text((" ".join(text.split()), label) for text, label in rows)


def _with_text(rows: Iterable[Row]) -> list[Row]:
    return [(text, label) for text, label in rows if text]
