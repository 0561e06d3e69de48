"""Numbers that are none are refused before anything is chosen by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skraee import toy
from tests.support.classifiers import WAYS, closed_form

X, Y = toy.reviews(20)


@pytest.mark.parametrize("part", ["keys", "logits", "states"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_sweep_with_numbers_that_are_none_is_refused_by_its_place(part, value):
    clf = closed_form()
    sweep = clf.sweep(X)
    numbers = getattr(sweep, part).copy()
    numbers[(3, 2) if part != "keys" else 3] = value
    if numbers.size == 0:
        pytest.skip("this readout has none")
    place = "in the key" if part == "keys" else f"in the {part} of depth 2"
    match = rf"not finite, {place} of the text at position 3 \(1 of 20 texts\)"
    with pytest.raises(ValueError, match=match):
        clf.fit_sweep(replace(sweep, **{part: numbers}), Y)


@pytest.mark.parametrize("way", WAYS)
def test_sweep_of_finite_numbers_is_taken_by_every_way(way):
    clf = closed_form(**way)
    assert clf.fit_sweep(clf.sweep(X), Y).score(X, Y) > 0.5
