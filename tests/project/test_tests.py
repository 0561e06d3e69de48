"""The tests themselves: what several of them need stands in tests/support/."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def imported_tests(source: str) -> list[str]:
    """Name what a file imports of test modules, wherever the import stands."""
    named = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = f"tests.{node.module}" if node.level else node.module
            named += [f"{module}.{alias.name}" for alias in node.names]
    return [name for name in named if _is_of_a_test_module(name)]


def _is_of_a_test_module(name: str) -> bool:
    first, *inner = name.split(".")
    return first == "tests" and any(part.startswith("test_") for part in inner)


@pytest.mark.parametrize(
    "source",
    [
        "from tests.engine.test_engine import soft",
        "from tests.engine import test_engine",
        "import tests.engine.test_engine as other",
        "from .test_engine import soft",
        "from . import test_engine",
        "def f():\n    from tests.engine.test_engine import soft",
    ],
)
def test_import_of_a_test_module_is_found_in_whatever_form(source: str) -> None:
    assert len(imported_tests(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from tests.support.references import soft",
        "from sklearn.utils import test_support",
        "import numpy.testing",
    ],
)
def test_other_imports_are_none_of_a_test_module(source: str) -> None:
    assert imported_tests(source) == []


def test_no_file_imports_from_a_test_module() -> None:
    files = {str(path.relative_to(TESTS)): path for path in TESTS.rglob("*.py")}
    found = {
        file: imported_tests(path.read_text("utf-8")) for file, path in files.items()
    }
    assert {file: names for file, names in found.items() if names} == {}
    assert len(found) > 100
