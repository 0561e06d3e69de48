"""What explanations of confident exits hold, and how they print."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from skraee.inspection.confidence_explanation import ConfidenceExplanation

CLASSES = np.array(["no", "yes"])
# The running answers of one text, from depth 0 to depth 3.
LAYER_PROBA = np.array([[0.6, 0.4], [0.25, 0.75], [0.05, 0.95], [0.9, 0.1]])


def explained(exit_layer: int, **changes: Any) -> ConfidenceExplanation:
    given = {"threshold": 0.9, "min_exit": 0, "max_exit": 3, "classes": CLASSES}
    given |= changes
    return ConfidenceExplanation.of(
        "a lovely film", layer_proba=LAYER_PROBA, exit_layer=exit_layer, **given
    )


def test_answer_is_that_of_the_exit_and_not_of_the_last_layer() -> None:
    told = explained(2)
    assert (told.label, told.exit_layer, told.n_layers) == ("yes", 2, 3)
    assert told.proba == {"no": 0.05, "yes": 0.95}


def test_running_answers_are_of_every_depth_those_behind_the_exit_too() -> None:
    told = explained(1, threshold=0.7)
    assert told.labels == ("no", "yes", "yes", "no")
    assert told.confidence == (0.6, 0.75, 0.95, 0.9)


@pytest.mark.parametrize(
    ("exit_layer", "min_exit", "passed"),
    [(0, 0, ()), (2, 0, (0, 1)), (3, 1, (1, 2)), (2, 2, ())],
)
def test_depths_that_were_passed_are_those_where_it_might_have_stopped(
    exit_layer: int, min_exit: int, passed: tuple[int, ...]
) -> None:
    assert explained(exit_layer, min_exit=min_exit).passed == passed


def test_report_has_a_line_for_each_depth_and_says_which_were_not_run() -> None:
    assert str(explained(1, threshold=0.7)).splitlines() == [
        "'a lovely film' -> yes (no 0.25, yes 0.75)",
        "  answered at layer 1 of 3: at or above 0.70",
        "  layer  0  0.60  no",
        "  layer  1  0.75  yes  exit",
        "  layer  2  0.95  yes  not run",
        "  layer  3  0.90  no  not run",
    ]


def test_report_says_which_depths_min_exit_kept_from_stopping() -> None:
    assert str(explained(2, threshold=0.5, min_exit=2)).splitlines()[1:] == [
        "  answered at layer 2 of 3: at or above 0.50",
        "  layer  0  0.60  no  before min_exit=2",
        "  layer  1  0.75  yes  before min_exit=2",
        "  layer  2  0.95  yes  exit",
        "  layer  3  0.90  no  not run",
    ]


def test_report_marks_only_the_depths_before_min_exit() -> None:
    lines = str(explained(2, min_exit=1)).splitlines()
    assert lines[2] == "  layer  0  0.60  no  before min_exit=1"
    assert lines[3] == "  layer  1  0.75  yes"


def test_report_of_the_last_layer_says_that_no_layer_before_was_confident() -> None:
    lines = str(explained(3, threshold=0.99)).splitlines()
    assert lines[1] == (
        "  answered at layer 3 of 3: no layer before was at or above 0.99"
    )
    assert lines[-1] == "  layer  3  0.90  no  exit"
    assert "not run" not in "".join(lines)


def test_report_of_the_last_layer_names_min_exit_where_it_allows_no_other() -> None:
    lines = str(explained(3, threshold=0.0, min_exit=3)).splitlines()
    assert lines[1] == "  answered at layer 3 of 3: min_exit=3 allows no other"
    assert [line.endswith("before min_exit=3") for line in lines[2:]] == [
        *(True, True, True),
        False,
    ]


def test_report_shortens_a_long_text() -> None:
    text = "a lovely film " * 9
    told = replace(explained(1), text=text)
    assert str(told).startswith(f"'{text[:57]}...' -> yes (")


@pytest.mark.parametrize("classes", [np.array([3, 7]), np.array([False, True])])
def test_classes_may_be_of_any_type(classes: np.ndarray) -> None:
    told = explained(1, threshold=0.7, classes=classes)
    assert told.label == classes[1]
    assert list(told.proba) == classes.tolist()
    assert f" -> {classes[1]} ({classes[0]} 0.25, {classes[1]} 0.75)" in str(told)


def test_a_last_exit_before_the_last_layer_is_told_of() -> None:
    def why(exit_layer: int, **changes: Any) -> str:
        line = str(explained(exit_layer, max_exit=2, **changes)).splitlines()[1]
        return line.removeprefix(f"  answered at layer {exit_layer} of 3: ")

    assert why(1, threshold=0.7) == "at or above 0.70"
    assert why(2, threshold=0.99) == (
        "no layer before was at or above 0.99, and no text goes deeper"
    )
    assert why(2, threshold=2.0) == "all texts run as deep, and no text goes deeper"
    assert why(2, min_exit=2) == "min_exit=2 allows no other"
