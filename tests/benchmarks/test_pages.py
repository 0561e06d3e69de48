"""The pages under docs/ are what their lines give, and only marked parts change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy import page as accuracy
from benchmarks.accuracy.results import Results
from benchmarks.backbones import page as backbones
from benchmarks.lines import RESULTS, Lines
from benchmarks.pages import DOCS, between_marks, within_marks
from benchmarks.paper import page as paper
from benchmarks.speed import page as speed


@pytest.mark.parametrize(
    ("name", "module", "opened", "marked"),
    [
        ("accuracy", accuracy, Results.at, "README.md"),
        ("paper", paper, Lines, "docs/benchmarks.md"),
    ],
)
def test_page_and_table_at_a_glance_are_what_the_stored_lines_give(
    name: str, module: Any, opened: Any, marked: str, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    path = RESULTS / f"{name}.jsonl"
    if not path.is_file():
        pytest.skip("the lines are in the repository only")
    lines = opened(path)
    glance = (DOCS.parent / marked).read_text("utf-8")
    blank = tmp_path / marked
    blank.parent.mkdir(exist_ok=True)
    blank.write_text(glance, "utf-8")
    between_marks(blank, name, "")
    assert blank.read_text("utf-8") != glance
    (tmp_path / "docs").mkdir(exist_ok=True)
    (tmp_path / "docs" / f"{name}.md").write_text(of_another_command(name), "utf-8")
    module.write_page(lines, tmp_path / "docs")
    written = (tmp_path / "docs" / f"{name}.md").read_text("utf-8")
    assert written == (DOCS / f"{name}.md").read_text("utf-8")
    assert blank.read_text("utf-8") == glance


def of_another_command(name: str) -> str:
    """Return the part of a page that `benchmarks.generation` writes, if it has one."""
    kept = within_marks(DOCS / f"{name}.md", "generation")
    return f"<!-- generation -->\n{kept}<!-- end of generation -->\n"


@pytest.mark.parametrize(
    ("name", "module", "naming"),
    [("backbones", backbones, ()), ("speed", speed, speed.NAMING)],
)
def test_marked_page_is_what_the_stored_lines_give(
    name: str, module: Any, naming: tuple[str, ...], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    lines = Lines(RESULTS / f"{name}.jsonl", naming)
    if not lines.path.is_file():
        pytest.skip("the lines are in the repository only")
    page = (DOCS / module.PAGE).read_text("utf-8")
    blank = tmp_path / module.PAGE
    blank.write_text(page, "utf-8")
    between_marks(blank, name, "")
    assert blank.read_text("utf-8") != page
    module.write_page(lines, tmp_path)
    assert blank.read_text("utf-8") == page


def test_file_without_marks_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    for text in ("mine\n", "mine\n<!-- paper -->\nthe end mark is gone\n"):
        readme.write_text(text, "utf-8")
        between_marks(readme, "paper", "table\n")
        assert readme.read_text("utf-8") == text


def test_text_between_marks_is_replaced(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- x -->\nold\n<!-- end of x -->\nb\n", "utf-8")
    between_marks(readme, "x", "new\n")
    assert readme.read_text("utf-8") == "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n"
