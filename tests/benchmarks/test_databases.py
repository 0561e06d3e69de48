"""``python -m benchmarks.databases``, on a few keys and in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.databases import __main__ as command
from benchmarks.databases import keys as drawing
from benchmarks.databases.apart import Case, apart, resident
from benchmarks.databases.keys import WIDTH, drawn
from benchmarks.databases.models import file, share
from benchmarks.databases.page import PAGE
from benchmarks.databases.search import search
from benchmarks.pages import within_marks
from tests.benchmarks.tiny import save_sentence_encoder

linux = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="asks Linux what is in memory"
)


@pytest.fixture(autouse=True)
def few_queries(monkeypatch: Any) -> None:
    monkeypatch.setattr(drawing, "N_QUERIES", 128)
    monkeypatch.setattr("benchmarks.databases.search.N_ALONE", 3)


def test_keys_are_drawn_once_and_in_parts(tmp_path: Path, monkeypatch: Any) -> None:
    keys, queries = drawn(300, tmp_path)
    assert keys.shape == (300, WIDTH)
    assert queries.shape == (128, WIDTH)
    monkeypatch.setattr(drawing, "_write", None)
    np.testing.assert_array_equal(drawn(300, tmp_path)[0], keys)
    assert len(np.unique(keys, axis=0)) == 300


@linux
@pytest.mark.parametrize("way", ["exact", "exact, float16", "hnsw"])
def test_search_finds_nearly_all_neighbors(way: str, tmp_path: Path) -> None:
    found = search(Case(600, way, tmp_path))
    assert found["recall"] >= (0.999 if way == "exact" else 0.95)
    assert found["keys_mib"] == (0 if way.endswith("float16") else 1)


@linux
@pytest.mark.engines
def test_search_by_lancedb_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("lancedb", reason="the extra `lancedb` is not installed")
    found = search(Case(600, "lancedb", tmp_path))
    assert found["recall"] == 1.0
    assert found["tables_mib"] >= 1


@linux
@pytest.mark.parametrize("way", ["held", "mapped", "mapped, float16"])
def test_file_is_loaded_and_searched(way: str, tmp_path: Path) -> None:
    found = file(Case(2_000, way, tmp_path))
    assert found["file_mib"] in ((1, 2) if way.endswith("float16") else (3,))
    assert found["searched_mib"] >= 0


@linux
def test_share_of_retrieval_is_one(tmp_path: Path, monkeypatch: Any) -> None:
    save_sentence_encoder(tmp_path / "minilm-l6")
    monkeypatch.setenv("SKRAEE_BACKBONES", str(tmp_path))
    found = share(Case(500, "exact", tmp_path))
    assert 0 < found["share"] < 1
    assert found["n_texts"] == 256


@linux
def test_figure_in_another_process_has_memory_of_its_own(tmp_path: Path) -> None:
    found = apart(_memory, Case(1, "", tmp_path))
    assert found["mib"] > 10


def _memory(case: Case) -> Any:
    return {"mib": resident()}


def test_command_takes_what_has_no_line_and_writes_the_page(
    tmp_path: Path, monkeypatch: Any
) -> None:
    asked = []

    def measured(measure: Any, case: Case) -> Any:
        asked.append((case.n, case.way))
        return {"build_s": 1.5, "recall": 0.99}

    monkeypatch.setattr(command, "apart", measured)
    monkeypatch.delenv("SKRAEE_BACKBONES", raising=False)
    page = tmp_path / PAGE
    page.parent.mkdir()
    page.write_text("<!-- search -->\n<!-- end of search -->\n", encoding="utf-8")
    where = ["--results", str(tmp_path / "lines.jsonl"), "--docs", str(tmp_path)]
    chosen = ["--n", "10", "1000", "--only", "search", "share", "--ways", "hnsw"]
    command.main([*where, *chosen])
    command.main([*where, *chosen])
    assert asked == [(10, "hnsw"), (1000, "hnsw")]
    said = within_marks(page, "search")
    assert "| 1,000 | hnsw | 1.5 |  |  | 0.99 |" in said
    text = (tmp_path / "lines.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["n"] for line in lines] == [10, 1000]
    page.write_text("<!-- search -->\n<!-- end of search -->\n", encoding="utf-8")
    command.main([*where, "--table"])
    assert within_marks(page, "search") == said
