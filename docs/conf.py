"""Settings of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from skraee import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "skraee"
author = "the skraee developers"
release = __version__
copyright = author

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    # Our own, in _ext.
    "example_report",
    "figures",
    "mathml",
    "messages",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
smartquotes = False  # what an error says is quoted to the letter
exclude_patterns = ["_build", "README.md"]
html_theme = "furo"
html_title = f"skraee {release}"
html_static_path = ["_static"]
html_css_files = ["skraee.css"]
html_show_sphinx = False
html_copy_source = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
toc_object_entries_show_parents = "hide"

# Every reference must lead somewhere.
nitpicky = True


def setup(app: Any) -> None:
    """Leave out ``set_fit_request`` and its like, which scikit-learn makes."""

    def skip(app: Any, what: str, name: str, *_: Any) -> bool | None:
        return True if name.startswith("set_") and name.endswith("_request") else None

    app.connect("autodoc-skip-member", skip)
