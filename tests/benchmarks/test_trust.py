"""``python -m benchmarks.trust``: every trial runs, a few times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.trust.__main__ import main
from benchmarks.trust.trial import Trial
from benchmarks.trust.trials import TRIALS

# Two tries of these take minutes.
LONG = {"ended-fits", "stores-damaged-in-use", "left-running", "import", "mutants"}
SHORT = [trial for trial in TRIALS if trial.name not in LONG]


@pytest.mark.slow
@pytest.mark.parametrize("trial", SHORT, ids=lambda trial: trial.name)
def test_trial_counts_what_it_is_to_count(trial: Trial, tmp_path: Path) -> None:
    results, page = tmp_path / "lines.jsonl", tmp_path / "trust.md"
    page.write_text("<!-- trials -->\n<!-- end of trials -->")
    command = [trial.name, "--tries", "2", "--seed", "3"]
    for _ in range(2):  # what has its line is not run again
        main([*command, "--results", str(results), "--docs", str(tmp_path)])
    (line,) = map(json.loads, results.read_text("utf-8").splitlines())
    assert (line["trial"], line["tries"], line["seed"]) == (trial.name, 2, 3)
    for name in trial.none_of:
        assert line["counts"][name] == 0
    assert f"| {trial.harm} | 2 (seed 3) |" in page.read_text("utf-8")


def test_trial_whose_module_is_not_there_is_left_out_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(tries: int, seed: int) -> dict[str, int]:
        raise AssertionError

    lacking = Trial("lacking", "Nothing", fail, 1, needs="no_such_module")
    monkeypatch.setattr("benchmarks.trust.__main__.TRIALS", (lacking,))
    (tmp_path / "trust.md").write_text("<!-- trials -->\n<!-- end of trials -->")
    places = ["--results", str(tmp_path / "lines.jsonl"), "--docs", str(tmp_path)]
    main(places)
    with pytest.raises(SystemExit):
        main(["lacking", *places])
    assert "lacking needs no_such_module" in capsys.readouterr().err


def test_names_of_trials_are_unique_and_lead_to_a_run() -> None:
    names = [trial.name for trial in TRIALS]
    assert len(set(names)) == len(names)
    with pytest.raises(SystemExit):
        main(["no-such-trial"])
