"""``python -m benchmarks.paper``, on tiny checkpoints of the paper's architectures.

They lie in a hub cache under their real names, so that the commands of
benchmarks/README.md run as they stand there, offline.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from sklearn.metrics import matthews_corrcoef
from transformers import PreTrainedTokenizerFast

from benchmarks.paper import latency, order
from benchmarks.paper.__main__ import main
from benchmarks.paper.tables import TITLES
from skraee import Backbone, Encoder, RAEEClassifier, templates, toy
from skraee.baselines.sleb.block_search import find_removal_order
from skraee.baselines.sleb.exercises import exercises_for
from skraee.retrieval.neighbors import NeighborIndex
from tests.benchmarks.tiny import save_encoder, save_tiny, write_task
from tests.support.checkpoints import into_hub_cache

HUB = {
    "roberta": "FacebookAI/roberta-large",
    "t5": "google-t5/t5-large",
    "llama": "meta-llama/Meta-Llama-3-8B",
    "gemma": "google/gemma-7b",
}
CLASSES = {
    "roberta": transformers.RobertaForMaskedLM,
    "t5": transformers.T5ForConditionalGeneration,
    "llama": transformers.LlamaForCausalLM,
    "gemma": transformers.GemmaForCausalLM,
}
NAMES = {  # class of the toy reviews -> class of the task
    "sst2": {"negative": "negative", "positive": "positive"},
    "cola": {"negative": "unacceptable", "positive": "acceptable"},
}
N_FIT, N_TEST = 24, 8
COMMANDS = (
    "table1 table2 table3 table4 table5 table9 figure2 figure3 sleb-order".split()
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a hub cache and a sentence encoder."""
    folder = tmp_path_factory.mktemp("paper")
    for task, names in NAMES.items():
        for part, n, seed in (("train", N_FIT, 1), ("test", N_TEST, 2)):
            texts, labels = toy.reviews(n, seed)
            renamed = [names[label] for label in labels]
            write_task(folder / "data", task, part, texts, renamed)
    save_encoder(folder / "encoder")
    for name, hub_name in HUB.items():
        save_tiny(name, folder / name)
        into_hub_cache(folder / "hub", folder / name, hub_name)
    return folder


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch, fresh_backbones: None) -> Any:
    """Run a command on a backbone; its files go where the test says."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.delenv("SKRAEE_BACKBONES", raising=False)
    monkeypatch.setenv("SKRAEE_DATA", "")
    monkeypatch.setattr(latency, "N_TIMED", 2)

    def run(command: str, backbone: str, folder: Path, *more: str) -> list[Any]:
        folder.mkdir(exist_ok=True)
        options = {
            "--backbone": backbone,
            "--data": place / "data",
            "--store": folder / "store",
            "--results": folder / "paper.jsonl",
            "--docs": folder,
            "--encoder": place / "encoder",
            "--dtype": "float32",
            "--n-fit": N_FIT,
            "--n-calibration": 8,
            "--rounds": 1,
        }
        given = [str(part) for option in options.items() for part in option]
        tasks = [] if "--tasks" in more else ["--tasks", *NAMES]
        main([command, *given, *tasks, *more])
        return read(folder)

    return run


def read(folder: Path) -> list[Any]:
    text = (folder / "paper.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def one(lines: list[Any], **wanted: Any) -> Any:
    (found,) = [line for line in lines if wanted.items() <= line.items()]
    return found


@torch.no_grad()
def answers_of_the_library(name: str, folder: Path, task: str, texts: list[str]) -> Any:
    """Answer by the library alone: fill the prompt, run the model, compare words."""
    model = CLASSES[name].from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    masked = name == "roberta"
    prompt = (templates.MASKED if masked else templates.CAUSAL)[task]
    words = tokenizer.convert_tokens_to_ids(list(prompt.label_words.values()))
    found = []
    for text in texts:
        filled = prompt.template.replace("{text}", text).replace("{mask}", "<mask>")
        ids = torch.tensor([tokenizer(filled)["input_ids"]])
        if name == "t5":
            start = torch.tensor([[model.config.decoder_start_token_id]])
            logits = model(input_ids=ids, decoder_input_ids=start).logits[0, 0]
        else:
            logits = model(input_ids=ids).logits[0]
            logits = logits[ids[0] == tokenizer.mask_token_id if masked else -1]
        best = int(logits.flatten()[words].argmax())
        found.append(list(prompt.label_words)[best])
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["roberta", "t5", "llama"])
def test_all_commands_run_on_a_hub_model_and_a_second_run_adds_nothing(
    name: str, run: Callable[..., list[Any]], place: Path, tmp_path: Path
) -> None:
    tasks = list(NAMES) if name == "roberta" else ["cola"]
    lines = run("all", HUB[name], tmp_path, "--tasks", *tasks)
    for task in tasks:
        assert_full_depth_is_that_of_the_library(lines, name, place, task)
    made = {(line["table"], line.get("method")) for line in lines}
    tables = {"table1", "latency", "table3", "table4", "table5", "table9", "table10"}
    assert {table for table, _ in made} == tables | {"figure2", "sleb-order"}
    assert {m for table, m in made if table == "latency"} == {
        m for table, m in made if table == "table1"
    }
    # Five texts are too few for the peers, and nothing else failed.
    failed = {(x["table"], x["method"]) for x in lines if "failed" in x}
    assert failed == {("table4", m) for m in ("tfidf", "encoder-knn", "encoder-linear")}
    images = {path.name for path in (tmp_path / "images").iterdir()}
    assert len(images) == 2
    for command in COMMANDS:
        assert len(run(command, HUB[name], tmp_path, "--tasks", *tasks)) == len(lines)


def assert_full_depth_is_that_of_the_library(
    lines: list[Any], name: str, place: Path, task: str
) -> None:
    texts, labels = toy.reviews(N_TEST, 2)
    y = np.array([NAMES[task][label] for label in labels])
    answers = answers_of_the_library(name, place / name, task, texts)
    full = one(lines, table="table1", task=task, method="full")
    assert full["accuracy"] == 100 * np.mean(answers == y)
    assert full["mcc"] == round(100 * matthews_corrcoef(y, answers), 3)


def test_the_other_decoder_of_the_hub_answers_as_the_library_does(
    run: Callable[..., list[Any]], place: Path, tmp_path: Path
) -> None:
    methods = ("--methods", "full")
    lines = run("table1", HUB["gemma"], tmp_path, "--tasks", "cola", *methods)
    assert_full_depth_is_that_of_the_library(lines, "gemma", place, "cola")


def test_raee_lines_are_those_of_the_estimator(
    run: Callable[..., list[Any]], place: Path, tmp_path: Path
) -> None:
    backbone = str(place / "llama")
    run("table1", backbone, tmp_path, "--methods", "raee")
    run("table3", backbone, tmp_path, "--methods", "raee")
    lines = run("table4", backbone, tmp_path, "--methods", "raee")
    X, y = toy.reviews(N_FIT, 1)
    X_test, y_test = toy.reviews(N_TEST, 2)
    prompt = templates.CAUSAL["sst2"]
    for k in (2, 12):
        clf = RAEEClassifier(
            backbone,
            prompt.template,
            k,
            label_words=prompt.label_words,
            encoder=Encoder(place / "encoder"),
            dtype="float32",
            memory=None,
        ).fit(X, y)
        labels, exits = clf.predict(X_test, return_exit_layers=True)
        expected = {
            "accuracy": 100 * np.mean(labels == y_test),
            "mean_exit": round(float(exits.mean()), 3),
        }
        line = one(lines, table="table3", task="sst2", setting={"k": k})
        assert expected.items() <= line.items()
    whole = [
        one(lines, table="table1", task="sst2"),
        one(lines, table="table4", task="sst2", setting={"share": 1.0}),
    ]
    assert all(expected.items() <= line.items() for line in whole)
    assert lines[0]["backbone"] == "llama"
    assert str(place) not in (tmp_path / "paper.jsonl").read_text("utf-8")


def test_kept_fits_read_and_search_test_texts_anew(
    run: Callable[..., list[Any]],
    place: Path,
    tmp_path: Path,
    rows: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run("table3", str(place / "llama"), tmp_path, "--tasks", "sst2")
    (kept,) = (tmp_path / "store" / "fitted").glob("*_raee_*")
    model, _ = joblib.load(kept)
    texts, _ = toy.reviews(N_TEST, 2)
    searched: list[int] = []
    search = NeighborIndex.search

    def counting(self: NeighborIndex, queries: Any, k: int) -> Any:
        searched.append(len(queries))
        return search(self, queries, k)

    monkeypatch.setattr(NeighborIndex, "search", counting)
    rows.clear()
    for _ in range(2):
        latency.milliseconds(model, texts, len(texts))
    n_distinct = len(set(texts))
    assert rows["run"] == 2 * n_distinct
    assert searched == [n_distinct, n_distinct]


def test_all_that_is_timed_computes_in_one_dtype(
    run: Callable[..., list[Any]], place: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sentence_transformers")
    methods = ("raee", "encoder-knn", "full")
    lines = run(
        "latency",
        str(place / "llama"),
        tmp_path,
        *("--tasks", "sst2", "--dtype", "bfloat16", "--methods", *methods),
    )
    assert {line["encoder_dtype"] for line in lines} == {"bfloat16"}
    assert {line["n_test"] for line in lines} == {2}
    assert all("ms" in line for line in lines)
    (kept,) = (tmp_path / "store" / "fitted").glob("*_raee_*encoder-bfloat16*")
    model, _ = joblib.load(kept)
    assert model.encoder.__self__.dtype == "bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize(
    "methods",
    [
        ("raee-skip", "raee-text", "raee-prompt", "raee-state", "raee-cv"),
        ("calm-vocab", "calm-state", "calm-classifier", "adainfer-gold"),
        ("hashee-ridge", "full-ridge", "sleb-20"),
    ],
)
def test_rows_of_baselines_are_made_and_timed(
    methods: tuple[str, ...],
    run: Callable[..., list[Any]],
    place: Path,
    tmp_path: Path,
) -> None:
    command = (str(place / "roberta"), tmp_path, "--methods", *methods)
    run("table1", *command)
    lines = run("figure3", *command)
    made = [line for line in lines if line["table"] == "table1"]
    assert {line["method"] for line in made} == set(methods)
    assert [line["failed"] for line in lines if "failed" in line] == []
    assert all(line["mean_exit"] <= line["n_layers"] for line in made)
    if "raee-cv" in methods:
        cola = one(made, method="raee-cv", task="cola")
        assert {"k", "tau", "min_exit", "below_tau"} == set(cola["chosen"])
    run("write", str(place / "roberta"), tmp_path)
    page = (tmp_path / "paper.md").read_text("utf-8")
    for method in methods:
        assert f"| {TITLES[method]} |" in page


def test_what_fails_is_shown_with_its_reason_and_run_again_on_request(
    run: Callable[..., list[Any]],
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from skraee.baselines import HashEEClassifier

    def refuse(*_: Any) -> None:
        raise ValueError(f"no hash\nfor {place / 'data'}")

    command = ("table1", str(place / "llama"), tmp_path, "--tasks", "cola")
    methods = ("--methods", "full", "hashee")
    with monkeypatch.context() as patch:
        patch.setattr(HashEEClassifier, "fit", refuse)
        lines = run(*command, *methods)
    assert (
        one(lines, method="hashee")["failed"] == "ValueError: no hash for $SKRAEE_DATA"
    )
    run("write", str(place / "llama"), tmp_path)
    page = (tmp_path / "paper.md").read_text("utf-8")
    accuracy = one(lines, method="full")["mcc"]
    assert f"| full depth | {accuracy:.1f} | {accuracy:.1f} |" in page
    assert "| HashEE | failed |  |" in page
    assert "- HashEE failed on cola (table1): ValueError: no hash" in page

    assert len(run(*command, *methods)) == 2
    lines = run(*command, *methods, "--retry")
    assert len(lines) == 3
    assert lines[-1]["method"] == "hashee"
    assert "accuracy" in lines[-1]
    run("write", str(place / "llama"), tmp_path)
    assert "failed |" not in (tmp_path / "paper.md").read_text("utf-8")


def test_search_for_blocks_goes_on_after_the_last_round_written(
    run: Callable[..., list[Any]],
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "llama"
    save_tiny("llama", folder, n_layers=6)
    command = ("sleb-order", str(folder), tmp_path)
    whole = run(*command)
    assert [line["round"] for line in whole] == [1, 2, 3]
    texts = order.calibration_texts(8, 0)
    assert len(texts) == 8
    loaded = Backbone(folder).load("float32", "cpu")
    exercises = exercises_for(loaded, texts, np.random.RandomState(0))
    best, _ = find_removal_order(loaded, exercises, 3)
    assert [line["removed"] for line in whole] == best

    tried: list[list[int]] = []
    measure = order.losses_without

    def counting(backbone: Any, removed: Any, exercises: Any) -> Any:
        tried.append(list(removed))
        return measure(backbone, removed, exercises)

    monkeypatch.setattr(order, "losses_without", counting)
    written = (tmp_path / "paper.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "paper.jsonl").write_text("".join(written[:2]), "utf-8")
    again = run(*command)
    assert tried == [best[:2]]
    assert [line["removed"] for line in again] == best


def test_slebs_rows_are_made_for_each_number_of_calibration_texts(
    run: Callable[..., list[Any]], place: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "llama"
    save_tiny("llama", folder, n_layers=6)
    methods = ("--tasks", "sst2", "--methods", "sleb", "sleb-20")
    command = ("table1", str(folder), tmp_path, *methods)
    for n_calibration in (8, 12, 12):
        lines = run(*command, "--n-calibration", str(n_calibration))
    made = [
        (line["method"], line["n_calibration"], line["mean_exit"])
        for line in lines
        if line["table"] == "table1"
    ]
    assert sorted(made) == [
        ("sleb", 8, 3.0),
        ("sleb", 12, 3.0),
        ("sleb-20", 8, 5.0),
        ("sleb-20", 12, 5.0),
    ]


def test_methods_are_timed_in_turns_with_full_depth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case: Any = None
    clock = {"full": [9.0, 4.0, 8.0, 4.0], "raee": [9.0, 1.0, 4.0, 3.0]}
    order: list[str] = []

    def milliseconds(model: str, texts: list[str], batch: int) -> float:
        order.append(model)
        if model == "sleb":
            raise ValueError("no blocks")
        return clock[model].pop(0)

    monkeypatch.setattr(latency, "fitted", lambda case, name: (name, 0.0))
    monkeypatch.setattr(latency, "milliseconds", milliseconds)
    found = latency.timed(case, ["sleb", "raee"], ["a"], 1, 3)
    assert order == ["full", "sleb", "raee", *["full", "raee"] * 3]
    assert found["sleb"] == {"failed": "ValueError: no blocks"}
    assert found["raee"] == {
        "ms": 3.0,
        "ms_full": 4.0,
        "ratio": 0.5,  # the median of 1/4, 4/8 and 3/4: the warm-up does not count
        "rounds": [[1.0, 4.0], [4.0, 8.0], [3.0, 4.0]],
    }
