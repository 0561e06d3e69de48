"""The files around the package agree with it, and with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import skraee

ROOT = Path(__file__).parents[2]
PAGES = ["CONTRIBUTING.md", "SECURITY.md", "README.md", "docs/README.md"]

# What stands in code marks and looks like a file or folder of the project.
_PATH = re.compile(r"`((?:[\w.-]+/)+|(?:[\w.-]+/)*[\w.-]+\.(?:py|md|toml|cff))`")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_version_is_the_same_wherever_it_stands():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    cited = re.search(r"^version: (.+)$", read("CITATION.cff"), re.MULTILINE)
    assert cited is not None
    assert {project["version"], cited[1]} == {skraee.__version__}


@pytest.mark.parametrize("page", PAGES)
def test_page_names_files_that_are_there(page):
    named = [found[1] for found in _PATH.finditer(read(page))]
    folder = (ROOT / page).parent
    missing = [n for n in named if not ((ROOT / n).exists() or (folder / n).exists())]
    assert missing == []
