"""Sums over texts, against regressions that have all texts at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skraee.readout.moments import Moments, merged, solve_moments
from skraee.readout.ridge import fit_ridge, fit_ridge_by_moments
from skraee.readout.ridge_regression import PENALTIES, solve

N, DEPTHS, PARTS, FEATURES, CLASSES = 240, 3, 2, 12, 3
ONE = np.array([100.0])


def drawn(seed: int = 0, shift: float = 5.0) -> tuple[Any, Any, Any]:
    """Return states whose features say something of the codes, codes and weights."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, CLASSES, N)
    signs = rng.normal(size=(CLASSES, FEATURES))
    noise = rng.normal(size=(N, DEPTHS, PARTS, FEATURES))
    depths = np.arange(1, DEPTHS + 1)[:, None, None]
    states = shift + noise + 0.4 * depths * signs[codes][:, None, None]
    states *= 10.0 ** rng.integers(-2, 3, FEATURES)
    weights = np.array([0.5, 1.0, 2.5])[codes]
    return states.astype(np.float32), codes, weights


def folded(states: Any, codes: Any, weights: Any, n_folds: int = 4) -> list[Moments]:
    """Return the sums of each fold, made in pieces of odd sizes."""
    folds = np.arange(len(codes)) % n_folds
    found = []
    for fold in range(n_folds):
        rows = np.flatnonzero(folds == fold)
        pieces = np.split(rows, [7, 20, 21])
        found.append(merged([of(states, codes, weights, piece) for piece in pieces]))
    return found


def of(states: Any, codes: Any, weights: Any, rows: Any) -> Moments:
    return Moments.of(states[rows], codes[rows], CLASSES, weights[rows])


def targets_of(codes: Any) -> Any:
    return np.where(codes[:, None] == np.arange(CLASSES), 1.0, -1.0)


@pytest.mark.parametrize("shift", [0.0, 3e3])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_regression_is_that_of_all_texts_for_the_same_penalty(
    is_weighted: bool, shift: float
) -> None:
    states, codes, weights = drawn(shift=shift)
    weights = weights if is_weighted else np.ones(N)
    found = solve_moments(folded(states, codes, weights), ONE)
    for at in np.ndindex(DEPTHS, PARTS):
        features = states[:, at[0], at[1]]
        known = solve(features, targets_of(codes), weights, ONE)
        scale = np.abs(known.coef).max()
        np.testing.assert_allclose(found.coef[at], known.coef, atol=1e-6 * scale)
        scores = features @ found.coef[at] + found.intercept[at]
        wanted = features @ known.coef + known.intercept
        np.testing.assert_allclose(scores, wanted, atol=1e-6)


def test_regression_without_a_fold_is_that_of_the_others() -> None:
    states, codes, weights = drawn()
    found = solve_moments(folded(states, codes, weights), ONE)
    folds = np.arange(N) % 4
    scores = found.left_out(states, folds)
    at = 1, 1
    known = solve(states[:, 1, 1], targets_of(codes), weights, ONE)
    wanted = known.without_folds(folds)
    np.testing.assert_allclose(scores[:, at[0], at[1]], wanted, atol=2e-5)


def test_penalty_has_the_least_error_of_folds_that_were_left_out() -> None:
    states, codes, weights = drawn(3)
    found = solve_moments(folded(states, codes, weights))
    folds = np.arange(N) % 4
    for at in np.ndindex(DEPTHS, PARTS):
        errors = []
        for penalty in PENALTIES:
            one = solve(
                states[:, at[0], at[1]],
                targets_of(codes),
                weights,
                np.array([penalty]),
            )
            off = targets_of(codes) - one.without_folds(folds)
            errors.append(float((weights[:, None] * off**2).sum()))
        assert found.penalty[at] == PENALTIES[int(np.argmin(errors))]


def test_sums_do_not_hang_on_how_texts_were_dealt_to_machines() -> None:
    states, codes, weights = drawn()
    whole = of(states, codes, weights, np.arange(N))
    pieces = np.array_split(np.random.default_rng(0).permutation(N), 9)
    again = merged([of(states, codes, weights, rows) for rows in pieces])
    assert again.n == N
    for name, value in vars(whole).items():
        np.testing.assert_allclose(getattr(again, name), value, rtol=1e-9, atol=1e-9)


def test_texts_without_a_weight_and_empty_parts_take_no_part() -> None:
    states, codes, weights = drawn()
    light = np.where(codes == 0, 0.0, weights)
    heavy = np.flatnonzero(codes)
    found = of(states, codes, light, np.arange(N)).merged(
        of(states, codes, light, np.flatnonzero(codes == 0))
    )
    wanted = of(states, codes, weights, heavy)
    assert found.n == len(heavy)
    np.testing.assert_allclose(found.gram, wanted.gram)
    nothing = of(states, codes, weights, heavy[:0])
    assert nothing.merged(wanted) is wanted
    assert wanted.merged(nothing) is wanted


def test_features_that_say_nothing_have_no_coefficient() -> None:
    states, codes, weights = drawn()
    states[..., 3] = 7.0
    found = solve_moments(folded(states, codes, weights))
    assert np.isfinite(found.coef).all()
    assert (found.coef[:, :, 3] == 0).all()


def test_folds_without_texts_are_left_out_of_the_choice() -> None:
    states, codes, weights = drawn()
    folds = folded(states, codes, weights)
    nothing = of(states, codes, weights, np.arange(0))
    found = solve_moments([*folds, nothing])
    assert found.penalty.tolist() == solve_moments(folds).penalty.tolist()
    with pytest.raises(ValueError, match="1 of 3 have a text; give more texts"):
        solve_moments([nothing, folds[0], nothing])


def test_readout_of_sums_reads_as_well_as_that_of_all_texts() -> None:
    states, codes, weights = drawn(1)
    folds = np.arange(N) % 4
    solved = solve_moments(folded(states, codes, weights))
    left_out = solved.left_out(states, folds)
    readout, proba = fit_ridge_by_moments(solved, left_out, codes, weights)
    known, known_proba = fit_ridge(states, codes, CLASSES, weights)
    assert proba.shape == known_proba.shape
    right = (proba.argmax(axis=2) == codes[:, None]).mean(axis=0)
    known_right = (known_proba.argmax(axis=2) == codes[:, None]).mean(axis=0)
    np.testing.assert_allclose(right, known_right, atol=0.05)
    new, new_codes, _ = drawn(1)
    answers = readout.scores(new)[:, -1].argmax(axis=1)
    wanted = known.scores(new)[:, -1].argmax(axis=1)
    assert (answers == wanted).mean() > 0.97
    assert (answers == new_codes).mean() > 0.9
