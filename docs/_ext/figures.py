"""Figures in tables stay on one line: 70.1 ± 0.4 is not parted at its sign."""

from __future__ import annotations

from typing import Any

from docutils import nodes

_SPACE = "\N{NO-BREAK SPACE}"


def keep_together(app: Any, doctree: nodes.document) -> None:
    """Put spaces around ± in cells that no line breaks at."""
    for entry in doctree.findall(nodes.entry):
        for text in list(entry.findall(nodes.Text)):
            if "±" in text:
                joined = text.replace(" ± ", f"{_SPACE}±{_SPACE}")
                text.parent.replace(text, nodes.Text(joined))


def setup(app: Any) -> dict[str, bool]:
    """Look at each page after it was read."""
    app.connect("doctree-read", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
