"""Draw the pictures of docs/gallery.md, each by the lines that stand above it.

python docs/_scripts/gallery.py
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

PAGE = Path(__file__).parent.parent / "gallery.md"

_LINES = re.compile(
    r"^```python\n(.*?)^```\n(?:\n!\[[^\]]*\]\(([^)]*)\))?", re.M | re.S
)


def blocks(page: str) -> Iterator[tuple[str, str | None]]:
    """Yield the code of each block, and the picture that stands below it.

    Parameters
    ----------
    page : str
        In Markdown.
    """
    parser = doctest.DocTestParser()
    for code, picture in _LINES.findall(page):
        examples = parser.get_examples(code)
        yield "".join(example.source for example in examples), picture or None


def draw(folder: Path) -> list[Path]:
    """Run the page and save its pictures.

    Parameters
    ----------
    folder : Path
        In which the pictures have the places that the page names.

    Returns
    -------
    list of Path
        The pictures.

    Raises
    ------
    ValueError
        If there is no figure where the page has a picture.
    """
    names: dict[str, Any] = {"__name__": "gallery"}
    drawn = []
    for code, picture in blocks(PAGE.read_text(encoding="utf-8")):
        exec(compile(code, str(PAGE), "exec"), names)
        if picture is None:
            continue
        if not plt.get_fignums():
            raise ValueError(f"the lines above {picture} draw no figure; draw one.")
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        plt.savefig(folder / picture, dpi=110)
        plt.close("all")
        drawn.append(folder / picture)
    return drawn


if __name__ == "__main__":
    draw(PAGE.parent)
