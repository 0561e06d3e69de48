"""The versions that a bug report needs."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "skraee",
    "scikit-learn",
    "torch",
    "transformers",
    "tokenizers",
    "hnswlib",
    "numpy",
    "joblib",
    "sentence-transformers",
    "gguf",
)


def show_versions() -> None:
    """Print the versions of Python, the machine and the packages in use.

    Examples
    --------
    >>> from skraee import show_versions
    >>> show_versions()  # doctest: +SKIP
    python: 3.11.7
    ...
    """
    found = {"python": sys.version.split()[0], "machine": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    sys.stdout.writelines(f"{name}: {value}\n" for name, value in found.items())
