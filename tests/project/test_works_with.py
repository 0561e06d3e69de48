"""The page of what works with scikit-learn says what comes of running it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from skraee import toy

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")

SCRIPT = Path(__file__).parents[2] / "docs" / "_scripts" / "works_with.py"


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


works_with = imported(SCRIPT)
NUMBERED = [case for case in works_with.CASES if case.is_numbered]


def test_page_is_what_running_its_rows_gives() -> None:
    committed = works_with.PAGE.read_text(encoding="utf-8")
    assert committed == works_with.page(), f"run {SCRIPT}"


@pytest.mark.parametrize("case", NUMBERED, ids=lambda case: case.name)
def test_a_dict_of_words_where_classes_are_numbers_is_told_of_the_list(
    case: Any,
) -> None:
    message = (
        r"no word for 0, 1 .* class numbers, give a list in the sorted order of cla"
    )
    with pytest.raises(ValueError, match=message):
        case.run(works_with.classifier(toy.LABEL_WORDS))


def test_rows_that_the_users_of_scikit_learn_look_for_are_there() -> None:
    names = {case.name for case in works_with.CASES}
    assert {case.name for case in NUMBERED} >= {"VotingClassifier"}
    assert len(names) == len(works_with.CASES) >= 15
