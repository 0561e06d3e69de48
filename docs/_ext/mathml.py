"""Formulas as MathML, made when the pages are built.

Browsers draw MathML themselves and screen readers read it, so that a page needs no
script, no font and no network. What `latex2mathml` does not know stops the build.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)

# The paper's own numbers: \tag{5}.
_TAG = re.compile(r"\\tag\{([^{}]*)\}")


def mathml(latex: str, display: str) -> str:
    r"""Return a formula as a ``<math>`` element.

    Parameters
    ----------
    latex : str
    display : {"inline", "block"}

    Raises
    ------
    ValueError
        If a command is not known.

    Examples
    --------
    >>> "<mi>x</mi>" in mathml("x", "inline")
    True
    """
    made = convert(latex, display=display)
    if unknown := re.findall(r"\\[A-Za-z]+", made):
        raise ValueError(
            f"no MathML is known for {', '.join(unknown)} in {latex!r}; "
            r"write it otherwise, such as \operatorname{name}."
        )
    # For what reads no MathML.
    return made.replace("<math ", f'<math alttext="{escape(latex)}" ', 1)


def visit_inline(writer: Any, node: Any) -> None:
    """Write a formula within a sentence."""
    writer.body.append(_or_warn(node, node.astext(), "inline"))
    raise SkipNode


def visit_block(writer: Any, node: Any) -> None:
    """Write a formula on a line of its own, with its number."""
    latex = node.astext()
    number = _TAG.search(latex)
    writer.body.append(writer.starttag(node, "div", CLASS="math-block"))
    writer.body.append(_or_warn(node, _TAG.sub("", latex).strip(), "block"))
    if number:
        writer.body.append(f'<span class="equation-number">({number[1]})</span>')
    writer.body.append("</div>")
    raise SkipNode


def _or_warn(node: Any, latex: str, display: str) -> str:
    try:
        return mathml(latex, display)
    except ValueError as error:
        LOGGER.warning("%s", error, location=node)
        return escape(latex)


def setup(app: Any) -> dict[str, bool]:
    """Take the place of MathJax."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
