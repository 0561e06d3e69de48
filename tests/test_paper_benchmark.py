"""benchmarks/paper.py, on tiny checkpoints of the paper's four architectures.

They lie in a hub cache under their real names, so that the commands of
benchmarks/README.md run as they stand there, offline.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import constants
from sklearn.metrics import matthews_corrcoef
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from skraee import Backbone, Encoder, RAEEClassifier, templates, toy
from skraee.backbone import encoder as encoders
from skraee.backbone.handle import clear_backbones
from skraee.baselines.block_search import find_removal_order
from skraee.baselines.lm_loss import exercises_for
from tests.checkpoints import into_hub_cache
from tests.model_zoo import MODELS

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
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
AROUND = {"roberta": "<s> $A </s>", "t5": "$A </s>"}
NAMES = {  # class of the toy reviews -> class of the task
    "sst2": {"negative": "negative", "positive": "positive"},
    "cola": {"negative": "unacceptable", "positive": "acceptable"},
}
N_FIT, N_TEST = 24, 8
COMMANDS = (
    "table1 table2 table3 table4 table5 table9 figure2 figure3 sleb-order".split()
)
SPLIT = r"\w+|[^\w\s]"


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, imported as its command imports it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import paper

    return paper


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, a hub cache and a sentence encoder."""
    folder = tmp_path_factory.mktemp("paper")
    for task, names in NAMES.items():
        for part, n, seed in (("train", N_FIT, 1), ("test", N_TEST, 2)):
            texts, labels = toy.reviews(n, seed)
            file = folder / "data" / task / f"{part}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("w", encoding="utf-8", newline="") as out:
                rows = zip(texts, (names[label] for label in labels), strict=True)
                csv.writer(out).writerows([("text", "label"), *rows])
    model, tokenizer, _ = toy.backbone()._read(torch.float32)
    model.bert.save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    for name, hub_name in HUB.items():
        save_tiny(name, folder / name)
        into_hub_cache(folder / "hub", folder / name, hub_name)
    return folder


def save_tiny(name: str, folder: Path, n_layers: int | None = None) -> None:
    """Save a tiny model with a tokenizer that has the words of prompts and texts."""
    tokenizer = tokenizer_for(name)
    model_class, make_config = MODELS[name]
    config = make_config()
    config.vocab_size = len(tokenizer)
    if n_layers is not None:
        config.num_hidden_layers = n_layers
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config).eval()
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def tokenizer_for(name: str) -> PreTrainedTokenizerFast:
    prompts = [p[task] for p in (templates.MASKED, templates.CAUSAL) for task in NAMES]
    written = [p.template for p in prompts]
    written += [word for p in prompts for word in p.label_words.values()]
    written += toy.reviews(200)[0]
    split = pre_tokenizers.Split(Regex(SPLIT), "removed", invert=True)
    words = {word for text in written for word, _ in split.pre_tokenize_str(text)}
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {word: i for i, word in enumerate([*specials, *sorted(words)])}
    rust = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    rust.pre_tokenizer = split
    single = AROUND.get(name, "<s> $A")
    rust.post_processor = processors.TemplateProcessing(
        single=single,
        special_tokens=[(s, vocabulary[s]) for s in specials if s in single],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=rust,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


@pytest.fixture
def run(place: Path, paper: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command on a backbone; its files go where the test says."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place / "hub"))
    monkeypatch.delenv("SKRAEE_BACKBONES", raising=False)
    monkeypatch.setenv("SKRAEE_DATA", "")
    monkeypatch.setattr(paper, "N_ALONE", 2)

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
        paper.main([command, *given, *tasks, *more])
        return read(folder)

    yield run
    clear_backbones()
    encoders.clear_encoders()


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
@pytest.mark.parametrize("name", HUB)
def test_all_commands_run_on_a_hub_model_and_a_second_run_adds_nothing(
    name: str, run: Callable[..., list[Any]], place: Path, tmp_path: Path
) -> None:
    tasks = list(NAMES) if name == "roberta" else ["cola"]
    lines = run("all", HUB[name], tmp_path, "--tasks", *tasks)
    texts, labels = toy.reviews(N_TEST, 2)
    for task in tasks:
        y = np.array([NAMES[task][label] for label in labels])
        answers = answers_of_the_library(name, place / name, task, texts)
        full = one(lines, table="table1", task=task, method="full")
        assert full["accuracy"] == 100 * np.mean(answers == y)
        assert full["mcc"] == round(100 * matthews_corrcoef(y, answers), 3)
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
) -> None:
    run("table3", str(place / "llama"), tmp_path, "--tasks", "sst2")
    (kept,) = (tmp_path / "store" / "fitted").glob("*_raee_*")
    model, _ = joblib.load(kept)
    texts, _ = toy.reviews(N_TEST, 2)
    exits = model.exit_layers(texts)
    distinct = {text for text, exit in zip(texts, exits, strict=True)}
    rows.clear()
    model.predict(texts)
    assert rows["run_to"] == len(distinct)
    assert not model._fitted.database.shared


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
    paper: ModuleType,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import paper_order

    folder = tmp_path / "llama"
    save_tiny("llama", folder, n_layers=6)
    command = ("sleb-order", str(folder), tmp_path)
    whole = run(*command)
    assert [line["round"] for line in whole] == [1, 2, 3]
    texts = paper_order.calibration_texts(8, 0)
    assert len(texts) == 8
    loaded = Backbone(folder).load("float32", "cpu")
    exercises = exercises_for(loaded, texts, np.random.RandomState(0))
    order, _ = find_removal_order(loaded, exercises, 3)
    assert [line["removed"] for line in whole] == order

    tried: list[list[int]] = []
    measure = paper_order.losses_without

    def counting(backbone: Any, removed: Any, exercises: Any) -> Any:
        tried.append(list(removed))
        return measure(backbone, removed, exercises)

    monkeypatch.setattr(paper_order, "losses_without", counting)
    written = (tmp_path / "paper.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "paper.jsonl").write_text("".join(written[:2]), "utf-8")
    again = run(*command)
    assert tried == [order[:2]]
    assert [line["removed"] for line in again] == order


# What is said of the lines, on lines made up


def made_up(table: str, method: str | None, value: float, **more: Any) -> Any:
    fields = {"task": "sst2", "setting": None, "n_fit": 10, "n_test": 5, "seed": 0}
    place = {"backbone": "b", "encoder": "e", "dtype": "auto"}
    found = {"accuracy": value, "machine": {"gpu": None}}
    return {"table": table, "method": method, **fields, **place, **found, **more}


def said_of(paper: ModuleType, lines: list[Any]) -> dict[str, str]:
    """Return the findings: what is claimed -> the verdict."""
    import paper_findings
    import paper_section

    (section,) = paper_section.sections_of(lines, [])
    found = paper_findings.findings(section)
    return dict(re.findall(r"- ([^:]*): \*\*(\w+)\*\*", found))


@pytest.mark.parametrize(
    ("raee", "verdict"), [(70.0, "confirmed"), (60.0, "contradicted")]
)
def test_findings_say_whether_raee_is_above_its_backbone(
    paper: ModuleType, raee: float, verdict: str
) -> None:
    lines = [made_up("table1", "full", 65.0), made_up("table1", "raee", raee)]
    assert said_of(paper, lines)["RAEE above its backbone"] == verdict


def test_findings_are_mixed_where_average_and_tasks_disagree(
    paper: ModuleType,
) -> None:
    values = {"sst2": (60.0, 90.0), "mr": (60.0, 59.0), "cr": (60.0, 59.0)}
    lines = [
        made_up("table1", method, pair[i], task=task)
        for task, pair in values.items()
        for i, method in enumerate(("full", "raee"))
    ]
    assert said_of(paper, lines)["RAEE above its backbone"] == "mixed"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({2: 50, 12: 70, 20: 60}, "confirmed"),
        ({2: 50, 12: 69.8, 20: 70}, "mixed"),
        ({2: 70, 12: 60, 20: 60}, "contradicted"),
    ],
)
def test_findings_compare_twelve_neighbors_with_the_best_k(
    paper: ModuleType, values: dict[int, float], verdict: str
) -> None:
    lines = [made_up("table1", "raee", 60.0)]
    lines += [made_up("table3", "raee", v, setting={"k": k}) for k, v in values.items()]
    assert said_of(paper, lines)["k about 12 is best"] == verdict


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((50, 60, 70), "confirmed"),
        ((50, 45, 70), "mixed"),
        ((70, 75, 70), "contradicted"),
    ],
)
def test_findings_say_whether_more_of_the_database_is_better(
    paper: ModuleType, values: tuple[float, ...], verdict: str
) -> None:
    lines = [made_up("table1", "raee", 60.0)]
    for share, value in zip((0.2, 0.5, 1.0), values, strict=True):
        lines.append(made_up("table4", "raee", value, setting={"share": share}))
    assert said_of(paper, lines)["More of the database is better"] == verdict


def test_exits_are_compared_with_deebert_and_times_with_full_depth(
    paper: ModuleType,
) -> None:
    lines = [
        made_up("table1", "raee", 60.0, mean_exit=9.0),
        made_up("table1", "deebert", 60.0, mean_exit=8.0),
        made_up("latency", "raee", 0, ratio=0.5, ms=1.0, setting={"batch": 1}),
        made_up("latency", "raee", 0, ratio=1.5, ms=1.0, setting={"batch": 64}),
    ]
    said = said_of(paper, lines)
    assert said["Earlier exits than DeeBERT"] == "contradicted"
    assert said["RAEE is faster than its backbone"] == "mixed"


def test_sections_keep_the_run_on_most_texts_and_take_setfit_over(
    paper: ModuleType,
) -> None:
    import paper_section

    lines = [
        made_up("table1", "raee", 60.0, n_fit=2_000),
        made_up("table1", "raee", 90.0, n_fit=20),
        made_up("table1", "raee", 61.0, n_fit=2_000, seed=1),
    ]
    setfit = {"method": "SetFit", "test": "sst2", "task": "sst2", "accuracy": 80.0}
    elsewhere = {**setfit, "test": "mpqa", "accuracy": 10.0}
    on_fewer = {**setfit, "n_fit": 1_000, "accuracy": 20.0}
    rest = {"mcc": 0.6, "mean_exit": None, "cost": None, "seed": 0}
    rest |= {"n_fit": 2_000, "n_test": 5}
    accuracy = [rest | line for line in (setfit, elsewhere, on_fewer)]
    (section,) = paper_section.sections_of(lines, accuracy)
    assert section.cells("table1", "raee", "score") == {"sst2": 60.5}
    assert section.cells("table1", "setfit", "score") == {"sst2": 80.0}
    assert section.cells("table1", "setfit", "mean_exit") == {}


def test_commands_beside_the_tables_say_on_what_they_ran(paper: ModuleType) -> None:
    import paper_section

    asked = {"n_fit": 1_000, "n_test": 500}
    lines = [
        made_up("table1", "raee", 60.0, task="trec", asked=asked),
        made_up("table1", "raee", 60.0, task="sst2", asked=asked),
        made_up("table1", "raee", 60.0, backbone="whole"),
        made_up("sleb-order", None, 0, backbone="whole", n_calibration=32, round=1),
    ]
    few, whole = paper_section.sections_of(lines, [])
    options = " --encoder e --tasks sst2 trec --n-fit 1000 --n-test 500`"
    assert few.command("table1").strip().endswith(options)
    assert whole.command("table1").strip().endswith(" --tasks sst2 --n-calibration 32`")


def test_readme_shows_the_averages_between_its_marks(
    paper: ModuleType, tmp_path: Path
) -> None:
    import paper_lines
    import paper_page

    lines = paper_lines.Lines(tmp_path / "paper.jsonl")
    alone, batched = {"batch": 1}, {"batch": 64}
    took: Any = {"ms": 1.0, "rounds": [[1.0, 2.0]]}
    for line in (
        made_up("table1", "raee", 60.0, mean_exit=3.0, n_layers=4),
        made_up("table1", "raee", 70.0, mean_exit=2.0, n_layers=4, task="mr"),
        made_up("latency", "raee", 0, ratio=0.5, setting=alone, **took),
        made_up("latency", "raee", 0, ratio=0.25, setting=batched, **took),
    ):
        lines.add(**{**line, "backbone": "gemma3-270m"})
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- paper -->\nold\n<!-- end of paper -->\nafter\n")
    paper_page.write_page(lines, tmp_path / "docs")
    before, _, table = readme.read_text("utf-8").partition("<!-- paper -->\n")
    assert before == "before\n"
    assert "| method | accuracy | layers of 4 | time, one text |" in table
    assert "| RAEE, encoder keys | 65.0 | 2.5 | 0.50 | 0.25 |" in table
    assert table.endswith("<!-- end of paper -->\nafter\n")


def test_file_without_marks_is_left_alone(paper: ModuleType, tmp_path: Path) -> None:
    import accuracy_table

    readme = tmp_path / "README.md"
    for text in ("mine\n", "mine\n<!-- paper -->\nthe end mark is gone\n"):
        readme.write_text(text, "utf-8")
        accuracy_table.between_marks(readme, "paper", "table\n")
        assert readme.read_text("utf-8") == text


def test_methods_are_timed_in_turns_with_full_depth(
    paper: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import paper_measure

    clock = {"full": [9.0, 4.0, 8.0, 4.0], "raee": [9.0, 1.0, 4.0, 3.0]}
    order: list[str] = []

    def milliseconds(model: str, texts: list[str], batch: int) -> float:
        order.append(model)
        if model == "sleb":
            raise ValueError("no blocks")
        return clock[model].pop(0)

    monkeypatch.setattr(paper_measure, "fitted", lambda case, name: (name, 0.0))
    monkeypatch.setattr(paper_measure, "milliseconds", milliseconds)
    found = paper_measure.timed(None, ["sleb", "raee"], ["a"], 1, 3)
    assert order == ["full", "sleb", "raee", *["full", "raee"] * 3]
    assert found["sleb"] == {"failed": "ValueError: no blocks"}
    assert found["raee"] == {
        "ms": 3.0,
        "ms_full": 4.0,
        "ratio": 0.5,  # the median of 1/4, 4/8 and 3/4: the warm-up does not count
        "rounds": [[1.0, 4.0], [4.0, 8.0], [3.0, 4.0]],
    }


def test_reported_figures_average_to_what_the_paper_prints(paper: ModuleType) -> None:
    import paper_reported

    printed = {"RoBERTa-large": (54.05, 63.41), "T5-large": (36.86, 42.44)}
    printed |= {"Llama-3-8B": (41.80, 57.39), "Gemma-7B": (36.19, 55.66)}
    for reported in paper_reported.REPORTED.values():
        found = [np.mean(reported.scores[m]) for m in ("full", "raee")]
        np.testing.assert_allclose(found, printed[reported.title], atol=0.011)
