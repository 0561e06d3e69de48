"""Settings of the documentation."""

from __future__ import annotations

from typing import Any

from skraee import __version__

project = "skraee"
author = "the skraee developers"
release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "README.md"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Text classification with a language model that stops early",
    "fixed_sidebar": True,
}

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Every reference must lead somewhere.
nitpicky = True


def setup(app: Any) -> None:
    """Leave out ``set_fit_request`` and its like, which scikit-learn makes."""

    def skip(app: Any, what: str, name: str, *_: Any) -> bool | None:
        return True if name.startswith("set_") and name.endswith("_request") else None

    app.connect("autodoc-skip-member", skip)
