"""What makes parts of the pages: formulas, messages of the code, pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.page_checks import Page, faults
from tests.support.pages import DOCS, script


def test_formula_becomes_mathml_with_its_source_beside() -> None:
    pytest.importorskip("latex2mathml", reason="the extra `docs` is not installed")
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
    made = script("mathml", "_ext").mathml(r"\frac{a}{b} < 1", "block")
    assert made.startswith(r'<math alttext="\frac{a}{b} &lt; 1" ')
    assert "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>" in made


def test_unknown_command_in_a_formula_is_an_error() -> None:
    pytest.importorskip("latex2mathml", reason="the extra `docs` is not installed")
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed")
    with pytest.raises(ValueError, match=r"no MathML is known for \\nonsense in"):
        script("mathml", "_ext").mathml(r"x + \nonsense", "inline")


CODE = """
WAY_OUT = "fetch it again"


def check(k, name, few):
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k!r}; raise it.")
    message = "too few" if few else f"no {name}, {WAY_OUT}"
    raise OSError(message)


def warn(n):
    warn_user(f"{n.texts} texts " "are empty", InputWarning)
    raise KeyError(n)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "checks.py").write_text(CODE, encoding="utf-8")
    return tmp_path


def test_messages_of_errors_and_warnings_are_read_from_the_code(package: Path) -> None:
    pytest.importorskip("docutils", reason="the extra `docs` is not installed")
    found = script("messages", "_ext").messages(package)
    assert {(one.category, one.text) for one in found} == {
        ("ValueError", "k must be at least 1, got \0k\0; raise it."),
        ("OSError", "too few"),
        ("OSError", "no \0name\0, fetch it again"),
        ("InputWarning", "\0texts\0 texts are empty"),
    }
    assert {one.subject for one in found} == {
        "Texts, labels, templates and label words"
    }


def test_message_is_parted_from_its_way_out(package: Path) -> None:
    pytest.importorskip("docutils", reason="the extra `docs` is not installed")
    parts = [one.parts for one in script("messages", "_ext").messages(package)]
    assert ("k must be at least 1, got \0k\0", "raise it.") in parts
    assert ("too few", "") in parts


def test_what_is_filled_in_stands_apart_from_the_word_before_it() -> None:
    pytest.importorskip("docutils", reason="the extra `docs` is not installed")
    made = script("messages", "_ext")._marked("\0n\0 texts\0weighted\0 are \0few\0.")
    assert [one.astext() for one in made] == ["n texts weighted are few."]


def test_messages_of_every_named_class_are_found() -> None:
    pytest.importorskip("docutils", reason="the extra `docs` is not installed")
    found = {one.category for one in script("messages", "_ext").messages()}
    named = set(script("messages", "_ext").skraee.exceptions.__all__)
    assert named - found == set()


def test_pictures_of_the_gallery_are_drawn_by_its_lines(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    drawn = script("gallery").draw(tmp_path)
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    named = re.findall(r"!\[[^\]]+\]\(([^)]*)\)", page)
    assert [path.relative_to(tmp_path).as_posix() for path in drawn] == named
    assert len(named) >= 8
    for path in drawn:
        pixels = pyplot.imread(path)
        assert pixels.shape[0] > 300
        assert pixels[..., :3].std() > 0.05  # not an empty sheet
    for name in named:
        assert (DOCS / name).is_file(), "run docs/_scripts/gallery.py"


def test_block_without_a_figure_above_a_picture_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib.pyplot")
    gallery = script("gallery")
    page = tmp_path / "gallery.md"
    page.write_text("```python\n>>> x = 1\n```\n\n![nothing](images/none.png)\n")
    monkeypatch.setattr(gallery, "PAGE", page)
    with pytest.raises(ValueError, match=r"above images/none\.png draw no figure"):
        gallery.draw(tmp_path)


def test_figures_with_a_spread_are_not_parted_and_other_tables_are_left() -> None:
    nodes = pytest.importorskip("docutils.nodes", reason="no extra `docs`")
    tables = [nodes.table("", nodes.Text(text)) for text in ("70.1 ± 0.4", "70.1")]
    page = nodes.document(None, None, "", *tables)
    script("figures", "_ext").keep_together(None, page)
    space = "\N{NO-BREAK SPACE}"
    assert [t.astext() for t in tables] == [f"70.1{space}±{space}0.4", "70.1"]
    assert [t["classes"] for t in tables] == [["figures"], []]


def test_example_of_a_report_is_made_beside_the_pages(tmp_path: Path) -> None:
    made = script("example_report", "_ext").write(tmp_path)
    assert faults(Page(made.read_text(encoding="utf-8"))) == []
    page = (DOCS / "how-to" / "report.md").read_text(encoding="utf-8")
    assert f'<a href="../{made.name}">' in page
