"""The report's picture of what accuracy costs."""

from __future__ import annotations

import pytest

from skraee.inspection import CostAccuracyDisplay
from skraee.inspection.report.curve import curve_chart
from tests.support.page_checks import Page


def test_candidate_without_a_score_is_not_drawn():
    shown = CostAccuracyDisplay([0.2, 0.5], [0.8, float("nan")], is_curve=False)
    page = Page(curve_chart(shown))
    dots = [one for one in page.all("circle") if "cx" in one.attributes]
    drawn = [one for one in dots if not one.is_in("li")]
    assert len(drawn) == 1
    assert "nan" not in drawn[0].attributes["cy"]


def test_numbers_of_a_long_curve_are_some_and_the_chosen_one_is_among_them():
    costs = [i / 500 for i in range(500)]
    shown = CostAccuracyDisplay(costs, [0.5 + c / 3 for c in costs], chosen=123)
    page = Page(curve_chart(shown))
    rows = [one.text for one in page.all("tr")][1:]
    assert 50 < len(rows) <= 61
    assert [row for row in rows if row.endswith("chosen")] == ["0.246 0.582 chosen"]
    assert "of 500" in page.all("caption")[0].text


def test_numbers_that_say_the_same_again_are_left_out():
    shown = CostAccuracyDisplay([0.1] * 50 + [0.2], [0.7] * 50 + [0.8])
    rows = [one.text for one in Page(curve_chart(shown)).all("tr")][1:]
    assert rows == ["0.100 0.700", "0.200 0.800"]


@pytest.mark.parametrize("name", ["budget", "least_score"])
def test_limits_have_a_line_and_a_name(name):
    shown = CostAccuracyDisplay([0.1, 0.9], [0.7, 0.8], **{name: 0.75})
    page = Page(curve_chart(shown))
    lines = [one for one in page.all("polyline") if one.attributes["class"] == "limit"]
    assert len(lines) == 2  # one of them beside its name
    assert "0.75" in page.all("figcaption")[0].text
