"""``python -m benchmarks.backbones``, on tiny backbones and toy reviews."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import accuracy_score

from benchmarks.backbones import measure
from benchmarks.backbones.__main__ import main
from benchmarks.backbones.figures import averaged, current
from benchmarks.backbones.prompts import PAPER, PLAIN, names_for, template_of
from benchmarks.backbones.sides import BUDGETS, EXIT, FULL, LINEAR
from benchmarks.backbones.tables import by_budget, by_task, recommended
from benchmarks.data import TASKS, read_task, sample
from benchmarks.lines import Lines
from benchmarks.peers import regression
from skraee import EarlyExitClassifier, Encoder, templates, toy
from tests.benchmarks.tiny import save_sentence_encoder, save_tiny, write_task

N_TRAIN, N_TEST = 60, 30
EMPTY = "before\n<!-- backbones -->\n<!-- end of backbones -->\nafter\n"

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tasks, a sentence encoder and a language model."""
    pytest.importorskip("sentence_transformers")
    folder = tmp_path_factory.mktemp("backbones")
    save_sentence_encoder(folder / "models" / "encoder")
    save_tiny("llama", folder / "models" / "llama")
    for task in ("sst2", "banking77"):
        for part, size in (("train", N_TRAIN + 20), ("test", N_TEST)):
            write_task(folder / "data", task, part, *toy.reviews(size, seed=size))
    return folder


@pytest.fixture
def run(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_backbones: None,
    fresh_sweeps: None,
) -> Run:
    """Run the command; return the lines of its results file."""
    monkeypatch.setenv("SKRAEE_DATA", str(place / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(place / "models"))
    monkeypatch.setattr(measure, "N_TURN", 20)
    monkeypatch.setattr(measure, "N_WARM", 4)
    results, docs = tmp_path / "backbones.jsonl", tmp_path / "docs"
    docs.mkdir()
    (docs / "which-backbone.md").write_text(EMPTY)

    def run(*arguments: str) -> list[dict[str, Any]]:
        given = ["--results", str(results), "--docs", str(docs)]
        given += ["--train", str(N_TRAIN), "--dtype", "float32"]
        main([*arguments, *given])
        return [json.loads(line) for line in results.read_text("utf-8").splitlines()]

    return run


def test_all_sides_of_a_backbone_have_one_line_of_the_same_run(
    run: Run, tmp_path: Path
) -> None:
    lines = run("--tasks", "sst2", "banking77")
    found = [
        (x["backbone"], x["task"], x["template"], x["method"], x["budget"])
        for x in lines
    ]
    ours = [*((EXIT, budget) for budget in BUDGETS), (FULL, None)]
    names = (("sst2", PLAIN), ("sst2", PAPER), ("banking77", PLAIN))
    expected = [
        (backbone, *name, *own)
        for backbone in ("encoder", "llama")
        for name in names
        for own in ours
    ]
    expected += [("encoder", task, None, LINEAR, None) for task, _ in names[1:]]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert {(x["n_fit"], x["n_test"]) for x in lines} == {(N_TRAIN, N_TEST)}
    linear = {x["task"]: x["ms"] for x in lines if x["method"] == LINEAR}
    for line in lines:
        of_encoder = line["backbone"] == "encoder"
        assert line["encoder_ms"] == (linear[line["task"]] if of_encoder else None)
        assert line["share"] == 1.0 or line["method"] == EXIT
        assert line["ms"] > 0
    page = (tmp_path / "docs" / "which-backbone.md").read_text("utf-8")
    assert page.startswith("before\n<!-- backbones -->\n## In float32, on 1 threads")
    assert "### banking77" in page
    assert page.endswith("<!-- end of backbones -->\nafter\n")


def test_lines_are_what_the_classifier_and_the_peer_answer(
    run: Run, place: Path
) -> None:
    lines = run("--tasks", "sst2", "--templates", PAPER)
    train = sample(*read_task("sst2", "train"), N_TRAIN, seed=0)
    X, y = read_task("sst2", "test")
    prompts = {"encoder": templates.MASKED, "llama": templates.CAUSAL}
    shares = set()
    for line in lines:
        folder = place / "models" / line["backbone"]
        if line["method"] == LINEAR:
            encode = Encoder(folder).encode
            model = regression(None).fit(encode(train[0]), train[1])
            labels = model.predict(encode(X))
        elif line["method"] == EXIT:
            clf = EarlyExitClassifier(
                str(folder),
                prompts[line["backbone"]]["sst2"].template,
                budget=line["budget"],
                dtype="float32",
                memory=None,
            ).fit(*train)
            labels, exits = clf.predict(X, return_exit_layers=True)
            assert line["share"] == round(float(clf.cost_[exits].mean()), 4)
            shares.add(line["share"])
        else:
            continue
        assert line["accuracy"] == round(100 * accuracy_score(y, labels), 3)
    assert len(shares) > 1


def test_training_texts_pass_once_for_each_template_and_test_texts_for_each_side(
    run: Run, rows: Counter[str]
) -> None:
    run("--backbones", "llama", "--tasks", "sst2")
    n_train, n_test = (
        len(set(texts))
        for texts in (
            sample(*read_task("sst2", "train"), N_TRAIN, seed=0)[0],
            read_task("sst2", "test")[0],
        )
    )
    n_sides = 2 * (len(BUDGETS) + 1)
    assert rows == {"sweep": 2 * n_train, "run": n_sides * (n_test + 4)}
    rows.clear()
    run("--backbones", "llama", "--tasks", "sst2")
    assert not rows


def test_a_template_that_is_added_is_measured_beside_the_encoder(run: Run) -> None:
    options = ("--backbones", "encoder", "--tasks", "sst2", "--templates")
    before = run(*options, PLAIN)
    added = run(*options, PLAIN, "Review: {text}")[len(before) :]
    assert [x["template"] for x in added] == ["Review: {text}"] * (len(BUDGETS) + 1)
    assert {x["encoder_ms"] for x in added} != {before[0]["encoder_ms"]}
    assert None not in {x["encoder_ms"] for x in added}


def test_backbone_that_cannot_be_measured_is_told_and_the_others_go_on(
    run: Run, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    (models / "a-broken-one").mkdir(parents=True)
    (models / "a-broken-one" / "config.json").write_text('{"model_type": "none"}')
    (models / "llama").symlink_to(place / "models" / "llama")
    monkeypatch.setenv("SKRAEE_BACKBONES", str(models))
    lines = run("--tasks", "sst2", "--templates", PLAIN, "--test", "8")
    assert lines[0]["backbone"] == "a-broken-one"
    assert "none" in lines[0]["failed"]
    assert {x["backbone"] for x in lines[1:]} == {"llama"}
    assert {x["n_test"] for x in lines[1:]} == {8}


def test_tables_without_figures_are_refused(run: Run) -> None:
    with pytest.raises(SystemExit, match=r"no figures in .*backbones\.jsonl; measure"):
        run("--table")


def test_prompts_are_for_a_few_tasks_unless_tasks_are_named() -> None:
    names = (PLAIN, PAPER, "A: {text}")
    assert names_for("trec", names, only=None) == names
    assert names_for("mr", names, only=None) == (PLAIN,)
    assert names_for("mr", names, only=["mr"]) == names
    assert names_for("clinc150", names, only=["clinc150"]) == (PLAIN, "A: {text}")


def test_the_papers_prompt_is_that_of_the_kind_of_model() -> None:
    masked, causal = (toy.backbone(kind).load() for kind in ("masked", "causal"))
    assert template_of(PAPER, "trec", masked) == templates.MASKED["trec"].template
    assert template_of(PAPER, "trec", causal) == templates.CAUSAL["trec"].template
    assert template_of("A: {text}", "trec", causal) == "A: {text}"


@pytest.mark.parametrize("n_texts", [1, 19, 20, 21, 50])
def test_turns_are_over_blocks_of_nearly_the_same_size(
    n_texts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "N_TURN", 20)
    texts = [str(i) for i in range(n_texts)]
    found = list(measure.blocks(texts))
    assert [text for block in found for text in block] == texts
    sizes = {len(block) for block in found}
    assert max(sizes) <= 20
    assert max(sizes) - min(sizes) <= 1


# Tables


def line(accuracy: float, ms: float, **fields: Any) -> dict[str, Any]:
    machine = {"gpu": None, "threads": 2}
    usual = {
        "backbone": "mpnet-base",
        "dtype": "bfloat16",
        "template": PLAIN,
        "task": "sst2",
        "seed": 0,
        "method": EXIT,
        "budget": 0.2,
        "n_train": 2_000,
        "n_test": 100,
        "share": 0.18,
        "encoder_ms": 8.0,
        "machine": machine,
    }
    return {**usual, "accuracy": accuracy, "ms": ms, **fields}


def side(method: str, accuracy: float, ms: float, **fields: Any) -> dict[str, Any]:
    template = None if method == LINEAR else PLAIN
    others = {"method": method, "budget": None, "template": template, "share": 1.0}
    return line(accuracy, ms, **others, **fields)


def test_lines_on_more_texts_count_and_of_those_the_last() -> None:
    lines = [
        line(70.0, 1.0, n_train=200),
        line(81.0, 1.0, n_test=50),
        line(82.0, 1.0),
        line(83.0, 1.0),
        line(90.0, 1.0, n_test=50),
        line(84.0, 1.0, task="cr"),
        line(60.0, 1.0, task="mr", n_train=200),
        {"backbone": "other", "failed": "it is none"},
    ]
    found = [(x["task"], x["accuracy"]) for x in current(lines)]
    assert sorted(found) == [("cr", 84.0), ("sst2", 83.0)]


def test_only_seeds_that_have_all_tasks_are_averaged() -> None:
    lines = [
        line(80.0, 1.0),
        line(70.0, 3.0, task="cr"),
        line(82.0, 5.0, seed=1),
        line(76.0, 7.0, seed=1, task="cr"),
        line(10.0, 99.0, seed=2),
        line(50.0, 1.0, budget=0.3),
    ]
    (found,) = averaged(lines, ["sst2", "cr"])
    assert found.column == (EXIT, 0.2)
    assert found.accuracies == [75.0, 79.0]
    assert (found.ms, found.encoder_ms) == (4.0, 8.0)


def test_table_has_accuracy_share_and_time_of_each_budget() -> None:
    lines = [line(80.0, 2.0), side(FULL, 84.0, 9.0), side(LINEAR, 81.0, 8.0)]
    lines += [line(79.0, 3.0, backbone="mine", encoder_ms=None)]
    head, _, *rows = by_budget(averaged(lines, ["sst2"])).splitlines()
    assert head == (
        "| backbone | template |  | 0.1 | 0.2 | 0.3 | 0.5 | full depth "
        "| embeddings + LR |"
    )
    assert rows == [
        "| mine | `{text}` | accuracy |  | 79.0 |  |  |  |  |",
        "|  |  | share of the model |  | 0.18 |  |  |  |  |",
        "|  |  | ms per text |  | 3.00 |  |  |  |  |",
        "| all-mpnet-base-v2 | `{text}` | accuracy |  | 80.0 |  |  | 84.0 | 81.0 |",
        "|  |  | share of the model |  | 0.18 |  |  | 1.00 | 1.00 |",
        "|  |  | ms per text |  | 2.00 |  |  | 9.00 | 8.00 |",
        "|  |  | of the encoder's time |  | 0.25 |  |  | 1.12 | 1.00 |",
    ]


def test_recommended_is_the_fastest_that_is_good_enough() -> None:
    lines = [
        line(81.2, 2.0),
        line(83.5, 4.0, budget=0.5),
        side(FULL, 84.0, 9.0),
        side(LINEAR, 81.0, 8.0),
        line(84.4, 20.0, backbone="mine", encoder_ms=None),
        line(60.0, 0.1, backbone="mine", encoder_ms=None, budget=0.1),
    ]
    rows = recommended(averaged(lines, ["sst2"])).splitlines()[2:]
    assert rows == [
        "| the most accurate | mine | 0.2 | 84.4 | 0.18 | 20.00 |",
        "| within 1 point of it | all-mpnet-base-v2 | 0.5 | 83.5 | 0.18 | 4.00 |",
        "| as accurate as the best embeddings + LR | all-mpnet-base-v2 | 0.2 | 81.2 "
        "| 0.18 | 2.00 |",
        "| the best embeddings + LR | all-mpnet-base-v2 |  | 81.0 | 1.00 | 8.00 |",
    ]


def test_tasks_have_a_column_each_and_embeddings_stand_last() -> None:
    lines = [line(80.0, 2.0), line(70.0, 1.0, template=PAPER, task="cola")]
    lines += [side(LINEAR, 81.0, 8.0)]
    assert by_task(lines, ["sst2", "cola"]).splitlines() == [
        "| backbone | template | budget | sst2 | cola |",
        "|---|---|---|---|---|",
        "| all-mpnet-base-v2 | `{text}` | 0.2 | 80.0 |  |",
        "| all-mpnet-base-v2 | `paper` | 0.2 |  | 70.0 |",
        "| all-mpnet-base-v2 |  | embeddings + LR | 81.0 |  |",
    ]


def test_page_has_no_table_of_texts_alone_without_any(run: Run, tmp_path: Path) -> None:
    stored = Lines(tmp_path / "backbones.jsonl", measure.NAMING)
    for own in (
        line(80.0, 2.0, template="A: {text}", task="clinc150"),
        side(LINEAR, 81.0, 8.0, task="clinc150"),
    ):
        stored.add(**{k: v for k, v in own.items() if k != "machine"})
    run("--table")
    page = (tmp_path / "docs" / "which-backbone.md").read_text("utf-8")
    assert "### clinc150" not in page
    assert "| all-mpnet-base-v2 | `A: {text}` | 0.2 | 80.0 |" in page


def test_page_draws_the_mean_of_the_eight_tasks(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    stored = Lines(tmp_path / "backbones.jsonl", measure.NAMING)
    for task in TASKS:
        for own in (line(80.0, 2.0, task=task), side(LINEAR, 81.0, 8.0, task=task)):
            stored.add(**{k: v for k, v in own.items() if k != "machine"})
    run("--table")
    page = (tmp_path / "docs" / "which-backbone.md").read_text("utf-8")
    assert "### Mean of the eight tasks" in page
    assert "| as accurate as the best" not in page
    assert (tmp_path / "docs" / "images" / "which-backbone.png").is_file()
