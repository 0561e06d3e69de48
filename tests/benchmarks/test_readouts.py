"""``python -m benchmarks.readouts``, on a tiny encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import readouts
from benchmarks.readouts import COMPARED
from skraee.readout import bag_readout, ridge
from tests.benchmarks.tiny import save_encoder, write_task
from tests.support.reviews import noisy_reviews


@pytest.mark.parametrize("what", readouts.COMPARED)
def test_command_compares_readouts_on_the_same_texts(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_encoder(tmp_path / "models" / "tiny")
    texts, labels = noisy_reviews(90, 1)
    if what == "discriminant":  # of three classes, two close to each other
        labels = np.where(np.arange(90) % 3 == 0, "neither", labels)
    write_task(tmp_path / "data", "mr", "train", texts, labels)
    page = tmp_path / "candidates.md"
    marks = "<!-- {0} tried -->\n<!-- end of {0} tried -->\n".format
    page.write_text("".join(map(marks, COMPARED)))
    monkeypatch.setenv("SKRAEE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SKRAEE_BACKBONES", str(tmp_path / "models"))
    results = tmp_path / "lines.jsonl"
    command = [what, "--backbone", "tiny", "--tasks", "mr", "--seeds", "2"]
    command += ["--fit", "50", "--held", "30", "--results", str(results)]
    command += ["--docs", str(tmp_path)]
    asked: list[int] = []
    for module in (ridge, bag_readout):
        plain = module.fit_score_map
        monkeypatch.setattr(
            module,
            "fit_score_map",
            lambda *args, _plain=plain: asked.append(1) or _plain(*args),
        )
    for _ in range(2):  # what has its line is not run again
        readouts.main(command)
        lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert [line["readout"] for line in lines] == 2 * list(COMPARED[what])
    assert [line["seed"] for line in lines] == [0, 0, 1, 1]
    assert {(line["n_fit"], line["n_held"]) for line in lines} == {(60, 20)}
    for line in lines:
        assert list(line["cost"].values()) == sorted(line["cost"].values())
        assert line["accuracy"]["all depths"] > 30
    # Without a part it is not asked.
    depths_and_parts, bags = 5 * 2, 1
    with_all = 2 * (depths_and_parts + bags)
    assert len(asked) == with_all + (2 * depths_and_parts if what == "tokens" else 0)
    if what == "tokens":
        assert lines[0]["log_loss"] != lines[1]["log_loss"]  # the tokens have a say
    rows = [row for row in page.read_text("utf-8").splitlines() if row.startswith("|")]
    of_task = ["gain on mr"] if what == "discriminant" else []
    assert [row.split("|")[1].strip() for row in rows] == [
        *("readout", "---", *COMPARED[what], "gain", *of_task)
    ]


def test_gain_is_that_of_pairs_with_the_error_of_the_seeds() -> None:
    def case(seed: int, gain: float) -> dict[str, readouts.Line]:
        first, second = COMPARED["tokens"]
        return {
            first: {"seed": seed, "accuracy": {"0.1": 70.0 + gain}},
            second: {"seed": seed, "accuracy": {"0.1": 70.0}},
        }

    cases = [case(0, 1.0), case(0, 3.0), case(1, 0.0), case(1, 2.0)]
    assert readouts._gain("tokens", cases, "0.1") == "+1.50 ± 0.50"
    assert readouts._gain("tokens", cases[:2], "0.1") == "+2.00"
