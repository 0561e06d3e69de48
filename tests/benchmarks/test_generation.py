"""``python -m benchmarks.generation``, on a tiny model; and its CALM."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers.cache_utils import Cache, DynamicLayer

from benchmarks.generation import __main__ as command
from benchmarks.generation import encoder_depth
from benchmarks.generation.calm import Confident, Leaving, Token, copy_state
from benchmarks.generation.fixed import Writer
from benchmarks.generation.page import section
from benchmarks.generation.scitldr import drawn, lead
from benchmarks.lines import Lines
from benchmarks.pages import within_marks
from benchmarks.paper.page import SUMMARIES
from skraee.engine.decoding.cut_model import encoded
from skraee.engine.decoding.ending import Ending
from skraee.engine.prefix import cache_argument
from tests.benchmarks.tiny import save_sentence_encoder
from tests.engine.decoding.references import N_NEW, generate, prompts_of
from tests.support.generators import told
from tests.support.models import loaded, toy_objects

PROMPTS = prompts_of()


def writer_of(name: str) -> Any:
    marks: Any = SimpleNamespace(control_ids=frozenset({0, 1, 2}))
    backbone = replace(loaded(name), tokenizer=marks)
    sweeper: Any = SimpleNamespace(backbone=backbone)
    return Writer(sweeper, Ending(N_NEW, frozenset({2})), 4096)


@pytest.mark.parametrize("name", ["llama", "gemma3_text", "qwen2"])
def test_calm_that_is_never_sure_is_greedy_full_depth(name: str) -> None:
    writer = writer_of(name)
    model = Confident(writer, threshold=2.0)
    found = [model.write(prompt.ids) for prompt in PROMPTS]
    assert [tokens for tokens, _ in found] == generate(
        writer.sweeper.backbone.model, PROMPTS
    )
    assert all(set(depths) == {3} for _, depths in found)


def test_calm_that_is_always_sure_leaves_behind_the_first_layer() -> None:
    tokens, depths = Confident(writer_of("llama"), threshold=-1.0).write(PROMPTS[0].ids)
    assert depths == [3] + [1] * (len(tokens) - 1)


@torch.no_grad()
@pytest.mark.parametrize("name", ["llama", "gemma3_text", "qwen2"])
def test_copied_state_gives_the_keys_and_values_that_the_layer_would(name: str) -> None:
    backbone = loaded(name)
    stack = backbone.model.model
    cache_name = cache_argument(type(stack).forward)
    assert cache_name is not None
    whole, copied = (Cache(layers=[DynamicLayer() for _ in range(3)]) for _ in range(2))
    given: dict[str, Any] = {}

    def note(module: Any, args: Any, kwargs: Any) -> None:
        given.update(kwargs, states=args[0] if args else kwargs["hidden_states"])

    hook = stack.layers[2].register_forward_pre_hook(note, with_kwargs=True)
    stack(torch.tensor([PROMPTS[0].ids]), use_cache=True, **{cache_name: whole})
    hook.remove()
    copy_state(stack.layers[2], given["states"], copied, given)
    for part in ("keys", "values"):
        found, expected = (getattr(c.layers[2], part) for c in (copied, whole))
        torch.testing.assert_close(found, expected)


def test_calm_compares_the_lead_of_the_first_token_with_its_threshold() -> None:
    def head(states: Any, stack: int) -> Any:
        return torch.log(torch.tensor([[0.6, 0.3, 0.1]]))

    for threshold, is_sure in ((0.29, True), (0.31, False)):
        token = Token(head, threshold)  # type: ignore[arg-type]
        assert token.is_sure(torch.zeros(1, 1, 4)) is is_sure


def test_calm_of_other_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="CALM here has no way into GPT2Block"):
        Confident(writer_of("gpt2"), 0.5)


def test_layer_that_a_token_has_left_before_is_not_run() -> None:
    layer = Leaving(torch.nn.Identity(), 1, 3, "cache")
    states = torch.ones(1, 1, 4)
    assert layer(states) is states  # of a prompt every layer runs
    layer.token = Token(lambda states, stack: states, 2.0)  # type: ignore[arg-type]
    layer(states)
    assert layer.token.depth is None


def test_lead_is_the_first_sentences() -> None:
    text = "We show e.g. this, at 3.5 points. It works! Does it? Yes."
    assert lead(text, 1) == "We show e.g. this, at 3.5 points."
    assert lead(text, 2) == "We show e.g. this, at 3.5 points. It works!"


def test_draws_are_of_their_seed_and_keep_pairs() -> None:
    pairs = ([str(i) for i in range(20)], [f"of {i}" for i in range(20)])
    texts, targets = drawn(pairs, 5, seed=1)
    assert [f"of {text}" for text in texts] == targets
    assert drawn(pairs, 5, seed=1)[0] == texts != drawn(pairs, 5, seed=2)[0]
    assert drawn(pairs, None, seed=1) == pairs


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    model, tokenizer = toy_objects("causal")
    for target in (model, tokenizer):
        target.save_pretrained(tmp_path / "models" / "tiny")
    save_sentence_encoder(tmp_path / "models" / "encoder")
    folder = tmp_path / "generation" / "scitldr"
    folder.mkdir(parents=True)
    texts, targets, _ = told()
    for part, some in (("train", slice(0, 30)), ("test", slice(30, 36))):
        with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as out:
            rows = zip(texts[some], targets[some], strict=True)
            csv.writer(out).writerows([("text", "target"), *rows])
    (tmp_path / "paper.md").write_text(SUMMARIES.format(""), encoding="utf-8")
    monkeypatch.setenv("SKRAEE_DATA", str(tmp_path))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(tmp_path / "models"))
    return tmp_path


def test_command_writes_lines_and_the_section_of_the_page(places: Path) -> None:
    pytest.importorskip("rouge_score")
    results = places / "lines.jsonl"
    options = ["--backbone", "tiny", "--encoder", "encoder", "--seeds", "0", "1"]
    options += ["--n-fit", "20", "--depths", "2", "--max-new-tokens", "4"]
    options += ["--max-length", "100", "--template", "{text} it was"]
    options += ["--results", str(results), "--docs", str(places)]
    options += ["--times", str(places / "none.jsonl")]
    for _ in range(2):  # what has its line is not run again
        command.main(options)
        lines = list(Lines(results))
        assert not any("failed" in line for line in lines), lines
        methods = [line["method"] for line in lines]
        assert len(methods) == len(command.FIXED) + 1 + 2 * len(command.FITTED)
    by_method = {line["method"]: line for line in lines}
    assert by_method["depth-2"]["mean_depth"] == 2
    assert by_method["full"]["mean_depth"] == 4
    drafts = by_method["raee-speculative"]
    assert drafts["texts_hash"] == by_method["full"]["texts_hash"]
    assert 0 <= drafts["accepted_share"] <= 1
    assert 0 < drafts["passes_per_token"] <= 1
    page = (places / "paper.md").read_text("utf-8")
    assert "| depth 2 |" in page
    assert "| first sentence |" in page
    assert "14.01" in page
    assert json.loads(results.read_text("utf-8").splitlines()[0])["machine"]


def test_encoder_has_rows_of_its_own_where_there_is_one(places: Path) -> None:
    pytest.importorskip("rouge_score")
    for target in toy_objects("seq2seq"):
        target.save_pretrained(places / "models" / "tiny-t5")
    results, none = places / "lines.jsonl", str(places / "none.jsonl")
    options = ["--backbone", "tiny-t5", "--encoder", "encoder", "--methods", "encoder"]
    options += ["full", "--depths", "--max-new-tokens", "4", "--template", "{text}"]
    options += ["--results", str(results), "--times", none, "--docs", str(places)]
    command.main([*options, "--max-length", "100"])
    lines = list(Lines(results))
    assert not any("failed" in line for line in lines), lines
    assert [line.get("encoder_depth") for line in lines] == [None, 0, 1, 2, 3]
    assert {line["mean_depth"] for line in lines} == {4.0}
    hashes = [line["texts_hash"] for line in lines]
    assert len(set(hashes)) > 2
    page = (places / "paper.md").read_text("utf-8")
    assert "| full depth, encoder to depth 3 |" in page


def test_encoder_cut_behind_its_last_layer_is_the_whole_one() -> None:
    backbone = loaded("t5")
    n_layers = encoder_depth.n_encoder_layers(backbone)
    prompts = [prompt.ids for prompt in PROMPTS]
    same, _ = encoded(encoder_depth.with_encoder_cut(backbone, n_layers), prompts)
    whole, _ = encoded(backbone, prompts)
    assert torch.equal(same, whole)
    other, _ = encoded(encoder_depth.with_encoder_cut(backbone, n_layers - 1), prompts)
    assert not torch.allclose(other, whole)
    assert encoder_depth.n_encoder_layers(loaded("llama")) == 0


def test_times_of_half_an_encoder(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_depth, "SHAPES", {"T5-tiny": (16, 32, 2, 2)})
    times = places / "times.jsonl"
    options = ["--encoder-times", "--times", str(times), "--docs", str(places)]
    command.main([*options, "--results", str(places / "lines.jsonl")])
    lines = list(Lines(times))
    assert [(line["shape"], line["n_texts"]) for line in lines] == [
        ("T5-tiny", 1),
        ("T5-tiny", 8),
    ]
    assert all(line["half_both"] > 0 for line in lines), lines
    assert not (places / "lines.jsonl").exists()
    page = (places / "paper.md").read_text("utf-8")
    assert "| T5-tiny, 8 text(s) at a time |" in page


def test_section_shows_what_failed_and_only_lines_on_most_texts() -> None:
    def line(method: str, n_test: int, **found: Any) -> Any:
        place = {"backbone": "b", "seed": 0, "n_fit": 0, "machine": {"gpu": "G"}}
        return {"method": method, "n_test": n_test, **place, **found}

    page = section(
        [
            line("full", 12, rouge_l=11.1, n_layers=3),
            line("full", 600, rouge_l=22.2, n_layers=3),
            line("raee", 600, failed="ValueError: no room"),
        ]
    )
    assert "22.2" in page
    assert "11.1" not in page
    assert "RAEE, margin 0.05 failed: ValueError: no room" in page


def test_section_is_kept_where_the_rest_of_the_page_is_written(tmp_path: Path) -> None:
    page = tmp_path / "paper.md"
    page.write_text(SUMMARIES.format("a table\n"), encoding="utf-8")
    assert within_marks(page, "generation") == "a table\n"
    assert within_marks(tmp_path / "none.md", "generation") == ""
    assert within_marks(page, "other") == ""
