"""What the documentation says is run, and every public name has its place there."""

from __future__ import annotations

import doctest
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import skraee
from skraee.cli.main import main
from tests.support.pages import DOCS, PAGES, Block, blocks, run_python

MODULES = ["skraee"] + [
    found.name
    for found in pkgutil.walk_packages(skraee.__path__, "skraee.")
    if not found.name.endswith("__main__")
]
WITH_PYTHON = [p for p in PAGES if any(b.language == "python" for b in blocks(p))]
WITH_COMMANDS = [p for p in PAGES if any(b.language == "console" for b in blocks(p))]
WITH_EXTRAS = [page for page in PAGES if any(block.extra for block in blocks(page))]
# Extra -> what it lets one import.
PACKAGES = {
    "serve": ("fastapi", "uvicorn", "prometheus_client"),
    "mlflow": ("mlflow",),
    "friends": ("skops", "skore"),
    "lancedb": ("lancedb",),
    "ray": ("ray.data",),
    "spark": ("pyspark",),
    "dask": ("dask.dataframe", "distributed"),
}
WITH_MODELS = [page for page in PAGES if any(block.needs for block in blocks(page))]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_examples_of_the_pages_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plt = pytest.importorskip("matplotlib.pyplot") if page == "gallery.md" else None
    monkeypatch.chdir(tmp_path)
    try:
        run_python(page, python_blocks(page))
    finally:
        if plt is not None:
            plt.close("all")


def python_blocks(page: str) -> list[Block]:
    return [block for block in all_python(page) if block.extra is None]


def all_python(page: str) -> list[Block]:
    return [b for b in blocks(page) if b.language == "python" and b.needs is None]


@pytest.mark.engines
@pytest.mark.filterwarnings("default")  # of other packages about themselves
@pytest.mark.parametrize("page", WITH_EXTRAS)
def test_examples_with_an_extra_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for extra in {block.extra for block in blocks(page)} - {None}:
        for package in PACKAGES[str(extra)]:
            pytest.importorskip(package, reason=f"the extra `{extra}` is not installed")
    monkeypatch.chdir(tmp_path)
    run_python(page, all_python(page))


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_commands_of_the_pages_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of Python come first, as they write the files."""
    monkeypatch.chdir(tmp_path)
    run_python(page, python_blocks(page))
    for block in blocks(page):
        for line in commands(block):
            assert line.startswith("$ "), f"{page}: {line}"
            assert run_command(line.removeprefix("$ ")) == 0, line


def commands(block: Block) -> list[str]:
    """Return the lines of a shell; one that ends with a backslash goes on."""
    joined = re.sub(r"\\\n +", "", block.code)
    return joined.splitlines() if block.language == "console" else []


def run_command(line: str) -> int:
    """Run a line of a shell; `skraee` in this process, where torch is in memory."""
    program, *arguments = shlex.split(line)
    if program == "skraee":
        return main(arguments)
    inside = re.sub("^python ", f"{shlex.quote(sys.executable)} ", line)
    return subprocess.run(inside, shell=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_MODELS)
def test_examples_with_a_real_model_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = []
    for block in blocks(page):
        if block.needs is not None:
            folder, name = block.needs
            found = Path(os.environ.get("SKRAEE_BACKBONES", "")) / folder
            if not (found / "config.json").is_file():
                pytest.skip(f"there is no folder {folder} under $SKRAEE_BACKBONES")
            chosen.append(replace(block, code=block.code.replace(name, str(found))))
    run_python(page, chosen)


def test_every_block_of_python_is_run() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.language == "python":
                assert block.code.startswith(">>> "), f"{page}, line {block.line}"


def test_few_blocks_need_a_real_model() -> None:
    needing = [block for page in PAGES for block in blocks(page) if block.needs]
    assert 1 <= len(needing) <= 3


def test_commands_that_the_pages_name_are_run() -> None:
    """`skraee demo` needs Gemma and is run by its own tests, as `skraee serve` is."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "bash":
                commands = re.findall(r"^skraee (\w+)", block.code, re.MULTILINE)
                assert set(commands) <= {"demo", "serve"}, page


@pytest.mark.parametrize("name", skraee.__all__)
def test_public_name_stands_in_the_reference(name: str) -> None:
    reference = (DOCS / "api.md").read_text(encoding="utf-8")
    assert re.search(rf"^\.\. auto\w+:: (skraee\.)?{name}$", reference, re.MULTILINE)


def test_public_names_are_found_by_dir_and_by_import() -> None:
    assert set(skraee.__all__) <= set(dir(skraee))
    for name in skraee.__all__:
        assert getattr(skraee, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'skraee' has no attribute 'nothing'"):
        _ = skraee.nothing
