"""Versions of the packages in use: for bug reports, in pickles and in files."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata, version
from typing import Any

from skraee.exceptions import VersionSkewWarning, warn_user

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


# Package -> how many parts of its version must be the same for a pickle to be right.
_TELLING = {"skraee": 2, "transformers": 1}
_STAMP = "_versions"


def show_versions() -> None:
    """Print the versions of Python, the machine and the packages in use.

    Examples
    --------
    >>> from skraee import show_versions
    >>> show_versions()  # doctest: +SKIP
    python: 3.11.7
    ...
    """
    found = versions().items()
    sys.stdout.writelines(f"{name}: {value}\n" for name, value in found)


def versions() -> dict[str, str]:
    """Return what `show_versions` prints, by name."""
    here = {"python": sys.version.split()[0], "machine": platform.platform()}
    return {**here, **installed(_PACKAGES)}


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages.

    Parameters
    ----------
    packages : iterable of str

    Returns
    -------
    dict
        Name -> version, or "not installed".
    """
    return {name: _version(name) for name in packages}


def stamped(state: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's state for a pickle, with the versions that made it.

    Parameters
    ----------
    state : dict
    """
    return {**state, _STAMP: installed(_TELLING)}


def unstamped(state: dict[str, Any], estimator: str) -> dict[str, Any]:
    """Return the state that `stamped` was given; warn if other versions made it.

    Parameters
    ----------
    state : dict
    estimator : str
        Name of the class, for the warning.

    Warns
    -----
    VersionSkewWarning
        If skraee differs in its first two numbers, or transformers in its first.
    """
    made_with = state.get(_STAMP, {})
    skew = [
        f"{name} {made_with[name]} (here {now})"
        for name, now in installed(_TELLING).items()
        if name in made_with and _differ(made_with[name], now, _TELLING[name])
    ]
    if skew:
        warn_user(
            f"this {estimator} was pickled with {' and '.join(skew)}, so it may fail "
            "or predict otherwise; go back to that version, or fit again.",
            VersionSkewWarning,
        )
    return {name: value for name, value in state.items() if name != _STAMP}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _differ(one: str, other: str, n_parts: int) -> bool:
    return one.split(".")[:n_parts] != other.split(".")[:n_parts]


def _documentation() -> str:
    try:
        named = metadata("skraee").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from a folder, without an installation
        return ""
    return documentation_among(named)


def documentation_among(urls: Iterable[str]) -> str:
    """Return the address of the documentation, without a slash at its end.

    Parameters
    ----------
    urls : iterable of str
        What an installed package's metadata has of ``[project.urls]``.

    Returns
    -------
    str
        Empty where none is named.

    Examples
    --------
    >>> documentation_among(["Paper, https://a.example", "Documentation, https://b/"])
    'https://b'
    """
    named = dict(url.split(", ", 1) for url in urls if ", " in url)
    return named.get("Documentation", "").rstrip("/")


#: Where the "?" of the HTML display leads; while it is empty the "?" is left out. It is
#: read once, at import: a display looks for no file.
DOCS = _documentation()
