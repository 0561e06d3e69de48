"""The page of what works with scikit-learn says what comes of running it."""

from __future__ import annotations

from typing import Any

import pytest

from skraee import toy
from tests.support.pages import script

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")

works_with = script("works_with")
NUMBERED = [case for case in works_with.CASES if case.is_numbered]


def test_page_is_what_running_its_rows_gives() -> None:
    committed = works_with.PAGE.read_text(encoding="utf-8")
    assert committed == works_with.page(), "run docs/_scripts/works_with.py"


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
