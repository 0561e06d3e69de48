"""Tables of figures: 70.1 ± 0.4 stays on one line, and so does what a row is of.

Tables that are wider than the page scroll by themselves.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes

_SPACE = "\N{NO-BREAK SPACE}"


def keep_together(app: Any, doctree: nodes.document) -> None:
    """Put spaces around ± that no line breaks at, and name such tables."""
    for table in doctree.findall(nodes.table):
        for text in list(table.findall(nodes.Text)):
            if "±" in text:
                joined = text.replace(" ± ", f"{_SPACE}±{_SPACE}")
                text.parent.replace(text, nodes.Text(joined))
                table["classes"] = ["figures"]


def setup(app: Any) -> dict[str, bool]:
    """Look at each page after it was read."""
    app.connect("doctree-read", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
