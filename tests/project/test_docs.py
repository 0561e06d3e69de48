"""What the documentation says is run, and every public name has its place there."""

from __future__ import annotations

import doctest
import pkgutil
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import skraee

DOCS = Path(__file__).parents[2] / "docs"
MODULES = ["skraee"] + [
    found.name
    for found in pkgutil.walk_packages(skraee.__path__, "skraee.")
    if not found.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name):
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.parametrize("page", ["index.md", "long-texts.md", "api.md"])
def test_examples_of_the_pages_run(page):
    assert doctest.testfile(str(DOCS / page), module_relative=False).failed == 0


@pytest.mark.parametrize("name", skraee.__all__)
def test_public_name_stands_in_the_reference(name):
    reference = (DOCS / "api.md").read_text(encoding="utf-8")
    assert re.search(rf"^\.\. auto\w+:: (skraee\.)?{name}$", reference, re.MULTILINE)


def test_public_names_are_found_by_dir_and_by_import():
    assert set(skraee.__all__) <= set(dir(skraee))
    for name in skraee.__all__:
        assert getattr(skraee, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'skraee' has no attribute 'nothing'"):
        _ = skraee.nothing


@pytest.mark.slow
def test_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
    build = [sys.executable, "-m", "sphinx", "-W", "-b", "html"]
    done = subprocess.run(
        [*build, str(DOCS), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    for function in ("exit_information", "select_votes", "neighbor_weights"):
        assert f"api.html#skraee.exits.voting.{function}" in index
