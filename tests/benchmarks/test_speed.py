"""``python -m benchmarks.speed``, on tiny models and toy reviews."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.learnt_tokenizer import learnt_tokenizer
from benchmarks.speed import (
    compiling,
    depth,
    loading,
    memory,
    pipelines,
    predict,
    sameness,
    small_encoder,
    texts,
)
from benchmarks.speed.__main__ import main
from benchmarks.speed.shapes import SHAPES, Shape, exits_with_mean
from skraee import Backbone, toy
from skraee.engine import compiled
from tests.benchmarks.tiny import save_sentence_encoder, save_tiny, write_task

SIZE = {"vocab_size": 30_000, "hidden_size": 16, "num_hidden_layers": 4}
SIZE |= {"num_attention_heads": 2, "intermediate_size": 32}
ROBERTA = Shape("Roberta", {**SIZE, "max_position_embeddings": 514})
LLAMA = Shape("Llama", {**SIZE, "num_key_value_heads": 1}, mean_exit=2.0)
T5 = {"vocab_size": 30_000, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2}
T5 |= {"num_heads": 2, "decoder_start_token_id": 0}

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tasks, and a tiny Llama in the place of Gemma."""
    folder = tmp_path_factory.mktemp("speed")
    save_tiny("llama", folder / "models" / "gemma3-270m")
    names = {
        "sst2": {"negative": "negative", "positive": "positive"},
        "subj": {"negative": "objective", "positive": "subjective"},
    }
    for task, classes in names.items():
        for part, seed in (("train", 1), ("test", 2)):
            reviews, labels = toy.reviews(40, seed)
            renamed = [classes[label] for label in labels]
            write_task(folder / "data", task, part, reviews, renamed)
    return folder


@pytest.fixture
def run(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_backbones: None,
) -> Iterator[Run]:
    """Run the command; return the lines that it wrote."""
    monkeypatch.setenv("SKRAEE_DATA", str(place / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(place / "models"))
    monkeypatch.setitem(SHAPES, "roberta-large", ROBERTA)
    monkeypatch.setitem(SHAPES, "Llama-3-8B", LLAMA)
    monkeypatch.setitem(SHAPES, "T5-large", Shape("T5", T5, mean_exit=2.0))
    monkeypatch.setattr(predict, "N_STORED", 200)
    kept = (texts.swept, texts.fitted)
    results = tmp_path / "speed.jsonl"

    def run(*arguments: str) -> list[dict[str, Any]]:
        given = ["--results", str(results), "--rounds", "1", "--texts", "8"]
        main([*arguments, *given])
        return [json.loads(line) for line in results.read_text("utf-8").splitlines()]

    yield run
    for function in kept:
        function.cache_clear()


@pytest.fixture
def small_depth(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few texts, and a tiny encoder in the place of mpnet and of MiniLM-L6."""
    for name in ("mpnet-base", "minilm-l6"):
        if not (place / "models" / name).exists():
            save_sentence_encoder(place / "models" / name)
    for name, size in {"N_FIT": 20, "N_NEW": 15}.items():
        monkeypatch.setattr(depth, name, size)
    monkeypatch.setattr(depth, "BUDGETS", (0.6, 0.9))
    monkeypatch.setattr(depth, "PRODUCT", (64, 32, 32))
    depth.texts.cache_clear()
    yield
    depth.texts.cache_clear()


@pytest.mark.parametrize("shape", ["Llama-3-8B", "T5-large", "gemma3-270m"])
def test_engine_is_measured_against_the_plain_forward(run: Run, shape: str) -> None:
    lines = run("--only", "engine", "--shapes", shape, "--dtype", "float32")
    figures = [line["figure"] for line in lines]
    assert figures == [
        "full depth / plain forward",
        "sweep / plain forward",
        "time against depth",
        "mixed depths: share of the ideal speed-up",
    ]
    assert {line["shape"] for line in lines} == {shape}
    assert {line["texts"] for line in lines} == {8}
    assert min(lines[0]["ratio"], lines[1]["ratio"], lines[3]["share"]) > 0
    assert len(lines[2]["seconds"]) == len(lines[2]["depths"]) == 5


def test_single_texts_are_measured_in_every_format(run: Run) -> None:
    lines = run("--only", "single", "--shapes", "Llama-3-8B")
    assert [line["dtype"] for line in lines] == ["float32", "bfloat16"]
    assert {line["exit"] for line in lines} == {2}
    for line in lines:
        bound = 1.1 * line["full_milliseconds"] * 2 / 4 + 2
        assert line["bound_milliseconds"] == pytest.approx(bound, abs=0.02)


@pytest.mark.slow
def test_figures_on_the_shape_of_roberta_run(run: Run) -> None:
    lines = run("--only", "lengths", "usual", "--dtype", "float32")
    assert lines[0]["lengths"] > 1
    assert lines[0]["ratio"] > 0
    assert lines[1]["times"] > 1


def test_figures_of_predict_run_on_real_texts(run: Run) -> None:
    lines = run("--only", "parts", "forward", "agreement", "--dtype", "float32")
    parts = [line for line in lines if "shares" in line]
    assert [line["task"] for line in parts] == ["sst2", "subj"]
    for line in parts:
        assert sum(line["shares"].values()) == pytest.approx(1, abs=0.02)
    forward = [line for line in lines if "share_of_ideal" in line]
    assert [line["task"] for line in forward] == ["sst2", "subj"]
    agreeing = [line for line in lines if "same_both" in line]
    assert len(agreeing) == 4
    assert all(0 <= line["same_both"] <= line["same_label"] for line in agreeing)


@pytest.mark.usefixtures("small_depth")
def test_depth_saved_is_measured_as_time(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth, "N_ALONE", 3)
    monkeypatch.setattr(depth, "SIZES", (10, 20))
    fitted = depth.fitted  # random weights would let all texts stop at depth 0
    monkeypatch.setattr(
        depth, "fitted", lambda *args: fitted(*args).set_params(min_exit=1)
    )
    lines = run("--only", "depth", "alone", "many", "mixed", "--dtype", "float32")
    by_budget = [line for line in lines if "of_ideal" in line]
    of_two = [(line["backbone"], line["budget"]) for line in by_budget]
    names = ("mpnet-base", "gemma3-270m")
    assert of_two == [(name, budget) for name in names for budget in (0.6, 0.9)]
    for line in by_budget:
        assert line["texts"] == 15
        assert line["of_ideal"] == pytest.approx(
            line["of_full"] / line["cost"], abs=0.02
        )
        assert 0 < line["cost"] <= 1
        assert line["share_of_rate_full"] > 0
    alone = [line for line in lines if "of_depth_x_layer_plus_1_ms" in line]
    assert [line["texts"] for line in alone] == [3, 3]
    assert [line["texts"] for line in lines if "resident_mib" in line] == [10, 20]
    assert len([line for line in lines if "of_their_own" in line]) == 2


@pytest.mark.usefixtures("small_depth")
def test_compiled_layers_are_measured_against_plain_ones(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_it_is(layer: Any, hidden: Any, args: Any, kwargs: Any) -> Any:
        return layer(hidden, *args, **kwargs)

    monkeypatch.setattr(compiled, "_compiled_call", lambda: as_it_is)
    monkeypatch.setattr(compiling, "BUDGETS", (0.9,))
    folders: list[str] = []

    def in_this_process(on: depth.On, folder: str) -> float:
        folders.append(folder)
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", folder)
        return compiling.seconds_to_compile(on, folder)

    monkeypatch.setattr(compiling, "in_new_process", in_this_process)
    lines = run("--only", "compiling", "--dtype", "float32")
    assert [line["backbone"] for line in lines] == ["mpnet-base", "gemma3-270m"]
    for line, first, again in zip(lines, folders[::2], folders[1::2], strict=True):
        assert first == again  # the second process finds what the first one left
        assert line["compiled_as_fast_as_full"] > 0
        assert abs(line["seconds_to_compile"]) < 60
    assert folders[0] != folders[2]


@pytest.mark.usefixtures("small_depth")
def test_answers_alone_and_in_a_batch_are_counted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sameness, "BUDGET", 0.9)
    lines = run("--only", "same")
    assert [line["dtype"] for line in lines] == ["float32", "bfloat16"] * 2
    assert {line["texts"] for line in lines} == {40}
    for line in lines:
        assert (line["other_exits_alone"] == 0) == (
            line["farthest_from_threshold"] == 0
        )
        if line["dtype"] == "float32":
            assert line["other_labels_alone"] == 0
            assert line["farthest_from_threshold"] < 1e-4
        else:
            assert line["same_labels_as_float32"] > 0.5


@pytest.mark.usefixtures("small_depth")
def test_a_tenth_of_a_large_encoder_is_measured_against_a_small_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr(small_encoder, "TASKS", ("sst2", "subj"))
    monkeypatch.setattr(small_encoder, "BUDGETS", (0.6,))
    *by_task, mean = run("--only", "small", "--dtype", "float32")
    assert [line["task"] for line in by_task] == ["sst2", "subj"]
    accuracies = [line["accuracy"] for line in by_task]
    assert mean["accuracy"] == pytest.approx(sum(accuracies) / 2, abs=0.001)
    assert all(line["of_small"] > 0 for line in by_task)


@pytest.mark.usefixtures("run")
def test_operations_are_those_of_the_layers_matrices() -> None:
    on = depth.On(backbone="gemma3-270m", dtype="float32", device="cpu")
    full = depth.FullForward(on)
    weights = sum(
        module.weight.numel()
        for module in full.model.modules()
        if isinstance(module, torch.nn.Linear)
    )
    texts = ["a film", "a good film"]
    assert full.operations(texts) == 2 * weights * sum(full.n_tokens(texts))


@pytest.mark.slow
def test_pipelines_are_compared_on_the_same_texts(run: Run) -> None:
    lines = run("--only", "pipeline")
    assert [line["shape"] for line in lines] == ["gemma3-270m"] * 2 + [
        "roberta-large"
    ] * 2
    assert {line["dtype"] for line in lines[2:]} == {"bfloat16", "float32"}
    assert all(line["times"] > 0 for line in lines)


def test_texts_stop_on_random_weights_where_they_are_told_to() -> None:
    X, y = toy.reviews(20)
    tokenizer = learnt_tokenizer([*X, *["It was terrible, was great."] * 9])
    model = ROBERTA.make(torch.float32, "cpu")
    clf = pipelines.masked(Backbone(model, tokenizer), "float32", "cpu")
    wanted = np.arange(20) % 5
    pipelines.stopping_at(wanted / 4, clf, X, np.array(y))
    np.testing.assert_array_equal(clf.exit_layers(X), wanted)


def test_memory_of_predict_is_at_its_highest_within_it() -> None:
    highest, kept = memory.peak_of_objects(200)
    assert highest > kept > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_process_is_at_its_highest_within_predict() -> None:
    highest, kept = memory.peak_of_process(200)
    assert highest >= kept


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_loading_is_told_beside_the_weights(tmp_path: Path) -> None:
    save_tiny("bert", tmp_path)
    found = loading.memory_of_loading(str(tmp_path), "float32")
    model = Backbone(tmp_path).load("float32", "cpu").model
    assert found["weights"] * memory.MIB == 4 * model.num_parameters()
    assert found["looked"] >= found["after"]


def test_exits_of_the_paper_have_its_mean() -> None:
    exits = exits_with_mean(15.33, 10_000, 24)
    assert exits.min() >= 0
    assert exits.max() <= 24
    assert exits.mean() == pytest.approx(15.33, abs=0.2)
