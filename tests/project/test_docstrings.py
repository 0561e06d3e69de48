"""Docstrings of everything public pass numpydoc's validator."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import skraee
from skraee import baselines, exceptions, inspection, scale, serve, sharing

HOMES = (skraee, baselines, exceptions, inspection, scale, serve, sharing)

# Rules that are not ours. A See Also, an example and a second paragraph stand where
# they say something new; a return value has its shape beside its name, which is enough.
# Where a summary begins (GL01) ruff says; numpydoc 1.8 wants it on a line of its own.
_NOT_OURS = {"GL01", "SA01", "EX01", "ES01", "RT02", "RT03"}


def public() -> Iterator[tuple[str, Any]]:
    """Yield the names of public objects and of their methods."""
    for home in HOMES:
        for name in home.__all__:
            value = getattr(home, name)
            yield f"{home.__name__}.{name}", value
            if inspect.isclass(value):
                for method, found in inspect.getmembers(value, inspect.isroutine):
                    if is_ours(method, found):
                        yield f"{home.__name__}.{name}.{method}", found


def is_ours(method: str, found: Any) -> bool:
    module = str(getattr(inspect.unwrap(found), "__module__", ""))
    return not method.startswith("_") and module.startswith("skraee.")


NAMES = [name for name, value in public() if not inspect.ismodule(value)]


@pytest.mark.parametrize("name", NAMES)
def test_docstring_passes_the_validator(name: str) -> None:
    validate = pytest.importorskip("numpydoc.validate", reason="no extra `docs`")
    found = validate.validate(name)
    # What returns a generator and is none says what it yields.
    taken = {"RT01"} if "\nYields\n" in found["docstring"] else set()
    wrong = [one for one in found["errors"] if one[0] not in _NOT_OURS | taken]
    assert wrong == []


def test_inherited_and_made_methods_are_told_apart() -> None:
    assert "skraee.EarlyExitClassifier.predict" in NAMES
    assert "skraee.baselines.CALMClassifier.predict_proba" in NAMES
    assert "skraee.EarlyExitClassifier.get_params" not in NAMES
