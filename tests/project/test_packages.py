"""What is imported is declared, and what is declared stands in the files of pins."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
TESTED_EXTRAS = ("demo", "encoder", "plot", "docs", "test")
# What `.ci/run engines` installs besides.
ENGINES = ("serve", "mlflow", "friends", "ray", "spark", "dask", "lancedb")
BUILD = PROJECT["build-system"]["requires"] + PROJECT["dependency-groups"]["build"]

# Packages whose name for pip is not that for import.
NAMES = {"sklearn": "scikit-learn"}


def requirements(lines: list[str]) -> dict[str, Requirement]:
    found = map(Requirement, lines)
    return {canonicalize_name(requirement.name): requirement for requirement in found}


DEPENDENCIES = requirements(PROJECT["project"]["dependencies"])
OPTIONAL = requirements([line for lines in EXTRAS.values() for line in lines])
LOCKED = requirements(
    [line for extra, lines in EXTRAS.items() if extra not in ENGINES for line in lines]
)
BESIDES = requirements([line for extra in ENGINES for line in EXTRAS[extra]])
TESTED = requirements([line for extra in TESTED_EXTRAS for line in EXTRAS[extra]])


def imported(folder: str, *, at_once: bool = False) -> set[str]:
    """Packages that files of a folder import: anywhere, or when they are imported."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        found |= {name for node in nodes(tree, at_once) for name in names(node)}
    own = {"skraee", "tests", "benchmarks"}
    return {
        canonicalize_name(NAMES.get(name, name))
        for name in found - own - sys.stdlib_module_names
    }


def nodes(tree: ast.AST, at_once: bool) -> Iterator[ast.AST]:
    """Walk a tree, and not into functions and what is for types only."""
    for node in ast.iter_child_nodes(tree):
        is_later = isinstance(
            node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        ) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        if not (at_once and is_later):
            yield node
            yield from nodes(node, at_once)


def names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [str(node.module).partition(".")[0]]
    return []


def pins(file: str) -> dict[str, set[Version]]:
    """Versions that a file pins, by package; some have several, by the marker."""
    found: dict[str, set[Version]] = {}
    for line in (ROOT / "requirements" / file).read_text("utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            requirement = Requirement(text)
            [specifier] = requirement.specifier
            assert specifier.operator == "=="
            versions = found.setdefault(canonicalize_name(requirement.name), set())
            versions.add(Version(specifier.version))
    return found


def test_package_imports_are_declared():
    assert imported("skraee") <= set(DEPENDENCIES) | set(OPTIONAL)


def test_package_imports_at_once_only_what_is_no_extra():
    assert imported("skraee", at_once=True) <= set(DEPENDENCIES)


def test_declared_packages_are_imported():
    assert set(DEPENDENCIES) <= imported("skraee")


def test_imports_of_the_tests_are_declared_in_the_extras_of_the_test_command():
    where_installed = {"torchao"}  # a method of many, of which the rest is refused
    assert imported("tests") <= {*DEPENDENCIES, *TESTED, *BESIDES, *where_installed}


@pytest.mark.parametrize(
    ("file", "declared"),
    [
        ("lock.txt", DEPENDENCIES),
        ("lock.txt", LOCKED),
        ("lock.txt", requirements(BUILD)),
        ("engines.txt", DEPENDENCIES),
        ("engines.txt", BESIDES),
    ],
    ids=["dependencies", "extras", "build", "engines' dependencies", "engines"],
)
def test_lock_pins_what_is_declared_within_its_range(
    file: str, declared: dict[str, Requirement]
):
    locked = pins(file)
    for name, requirement in declared.items():
        assert name in locked, f"{name} is not in requirements/{file}"
        assert all(requirement.specifier.contains(found) for found in locked[name])


def test_oldest_pins_are_the_lower_bounds():
    declared = DEPENDENCIES | TESTED
    bounds = {
        name: {Version(specifier.version) for specifier in requirement.specifier}
        for name, requirement in declared.items()
    }
    oldest = pins("oldest.txt")
    assert {name: oldest[name] for name in bounds} == bounds


@pytest.mark.parametrize("file", ["lock.txt", "engines.txt", "oldest.txt", "held.txt"])
def test_files_of_pins_name_no_index(file: str):
    text = (ROOT / "requirements" / file).read_text("utf-8")
    assert "://" not in text
    assert "index" not in text.lower()


@pytest.mark.parametrize("file", ["lock.txt", "engines.txt"])
def test_lock_was_made_by_the_documented_command(file: str):
    lines = (ROOT / "requirements" / file).read_text("utf-8").splitlines()
    documented = (ROOT / "requirements" / "README.md").read_text("utf-8")
    assert f"\n{lines[1].removeprefix('#').strip()} --upgrade\n" in documented


def test_both_commands_of_the_readme_install_from_the_lock():
    readme = (ROOT / "README.md").read_text("utf-8")
    lock = "requirements/lock.txt"
    pinned = rf"PIP_CONSTRAINT={lock} PIP_BUILD_CONSTRAINT={lock} \\\n +\.venv/bin/pip"
    assert len(re.findall(pinned, readme)) == readme.count(".venv/bin/pip") == 2
