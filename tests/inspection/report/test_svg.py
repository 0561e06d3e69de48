"""Axes and marks of the report's pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest

from skraee.inspection.report.svg import Plot, depth_ticks, over_depths, ticks


@pytest.mark.parametrize("most", [4, 6, 8])
@pytest.mark.parametrize("low", [0.0, 0.13, 0.977])
@pytest.mark.parametrize("width", [1e-6, 0.01, 0.1234, 1.0, 37.0])
def test_ticks_are_few_even_and_between_the_limits(width, low, most):
    found = ticks(low, low + width, most)
    assert 1 <= len(found) <= most + 1
    assert low - 1e-9 <= found[0]
    assert found[-1] <= low + width + 1e-9
    if len(found) > 2:
        steps = np.diff(found)
        np.testing.assert_allclose(steps, steps[0], rtol=1e-2)


@pytest.mark.parametrize("n_layers", [1, 2, 6, 12, 18, 48, 126])
def test_depths_have_whole_numbers(n_layers):
    found = depth_ticks(n_layers)
    assert found == [int(tick) for tick in found]
    assert found[0] == 0
    assert found[-1] <= n_layers
    assert 2 <= len(found) <= 12


def test_what_lies_outside_stands_at_the_rim():
    plot = over_depths(4, 1.0, "share")
    assert plot.place(0, 2.0) == plot.place(0, 1.0)
    assert plot.place(-9, 0.0) == plot.place(-0.6, 0.0)
    assert plot.place(1, 0.5)[0] < plot.place(2, 0.5)[0]
    assert plot.place(1, 0.5)[1] > plot.place(1, 0.6)[1]  # from above to below


def test_bars_are_as_high_as_what_they_stand_for():
    plot = Plot((0, 2), (0, 1), x_label="x", y_label="y", x_ticks=[], y_ticks=[])
    plot.bar(1, 0.0, 0.5, "right")
    plot.bar(1, 0.5, 0.75, "wrong")
    drawn = plot.picture("name", "a title", "about < it")
    right, wrong = (
        [float(number) for number in re.findall(r'(?:y|height)="([\d.]+)"', bar)]
        for bar in re.findall(r'<rect class="(?:right|wrong)"[^>]*>', drawn)
    )
    assert right[1] == pytest.approx(2 * wrong[1], abs=0.2)
    assert wrong[0] + wrong[1] == pytest.approx(right[0], abs=0.2)
    assert '<title id="name-title">a title</title>' in drawn
    assert "about &lt; it</desc>" in drawn
