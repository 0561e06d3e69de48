"""The closed-form readout: at every depth small linear maps from states to classes.

It is solved, not trained: at each depth a ridge regression onto the classes for each
part of the states (read position, text, words around it), whose penalty is chosen by
its exact leave-one-out error, which the same decomposition gives. The parts are solved
apart and their log-probabilities averaged: that costs a seventh of one solution for
all of them, and reads better (docs/candidates.md). Before the first depth stands what
the text's tokens say by themselves (``skraee.readout.bag_readout``). A part that is on
trial, as a sentence encoder's own pooling, is left out unless the average is surely
better with it (``skraee.readout.averages``). Whatever the classifier learns about its
depths on the way (temperatures, weights, exit information) comes from leave-one-out
scores, since fitted ones would all look right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from skraee.engine.states import States, unpacked
from skraee.exceptions import BackboneChangedError
from skraee.readout.averages import (
    LeftOutAverage,
    Passed,
    average_that_earns,
    choices_of_parts,
)
from skraee.readout.bag_readout import BAG_SAMPLES, BagReadout, fit_bags
from skraee.readout.discriminant import ScoreMap, fit_score_map
from skraee.readout.moments import SolvedByMoments
from skraee.readout.ridge_regression import solve
from skraee.readout.sample import Sample
from skraee.readout.weights import gain_over_chance
from skraee.text.token_bags import TokenBags

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
IntegerArray = npt.NDArray[np.integer]

Kind = TypeVar("Kind")

#: A readout counts by this power of its gain over chance: good ones more than in
#: proportion (docs/candidates.md has other powers).
POWER = 6


@dataclass(frozen=True, eq=False)
class RidgeReadout:
    """States at the depths passed to scores of the classes.

    Attributes
    ----------
    coef : ndarray of shape (m + 1, P, H, C), float32
        On the features as they come, for each of the P parts of a state that are read.
    intercept : ndarray of shape (m + 1, P, C), float32
        `coef` and `intercept` hold already how the regression's scores become
        log-probabilities (``skraee.readout.discriminant``).
    weight : ndarray of shape (m + 1, P)
        Of a part's log-probabilities in the average over the depths passed: the sixth
        power of how far its leave-one-out accuracy is from chance.
    inverse_temperature : ndarray of shape (m + 1,)
        Factor on the average; what it gives are calibrated log-probabilities but for
        a constant.
    penalty : ndarray of shape (m + 1, P)
        Chosen for each part; for information.
    parts : ndarray of shape (P,), int64, or None
        Which parts of a state are read, in their order; None for all.
    bag : BagReadout or None
        Reads the text's bag of tokens, once and before all depths. None where that
        tells nothing, or the bags of the texts of fit were not known.
    """

    coef: Float32Array
    intercept: Float32Array
    weight: Float64Array
    inverse_temperature: Float64Array
    penalty: Float64Array
    parts: IntArray | None = None
    bag: BagReadout | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return int(self.intercept.shape[2])

    def kinds_read(self, kinds: Sequence[Kind]) -> list[Kind]:
        """Return those of a sweep's kinds of states that are read.

        Parameters
        ----------
        kinds : sequence
            Of all parts of a state, in their order.
        """
        return list(kinds) if self.parts is None else [kinds[i] for i in self.parts]

    def scores(self, states: States, bags: TokenBags | None = None) -> Float32Array:
        """Score texts at every depth.

        The plain form of what `skraee.readout.scorers` does on the way.

        Parameters
        ----------
        states : ndarray of shape (n, m + 1, n_parts, H)
            As a sweep has them, with all parts.
        bags : TokenBags, optional
            Of the texts; needed where the readout has a `bag`.

        Returns
        -------
        scores : ndarray of shape (n, m + 1, C), float32
            Softmax gives the probabilities.

        Raises
        ------
        BackboneChangedError
            If the states lack a part that is read, or are of another size.
        ValueError
            If the texts' bags are needed and not given.
        """
        n, n_depths, n_parts = states.shape[:3]
        if self.parts is not None and self.parts.max() >= n_parts:
            raise BackboneChangedError(
                f"the readout reads part {self.parts.max() + 1} of each state and the "
                f"backbone gives {n_parts}: its folder named another pooling at fit; "
                "fetch it as it was, or fit again."
            )
        if (n_depths, states.shape[3]) != (len(self.coef), self.coef.shape[2]):
            raise BackboneChangedError(
                f"the readout reads states of {self.coef.shape[2]} numbers at "
                f"{len(self.coef)} depths and the backbone gives {states.shape[3]} at "
                f"{n_depths}; name the backbone of the fit, or fit again."
            )
        scores = np.empty((n, n_depths, self.n_classes), np.float32)
        passed = Passed()
        if self.bag is not None:
            if bags is None:
                raise ValueError(
                    "the readout reads the texts' tokens beside their states, and "
                    "bags=None has none; give the bags of the same sweep."
                )
            passed.start(self.bag.logs(bags), self.bag.weight)
        for depth in range(n_depths):
            features = _features(states, depth, self.parts)
            linear = features @ self.coef[depth] + self.intercept[depth][:, None]
            averaged = passed.add(log_softmax(linear, axis=2), self.weight[depth])
            scores[:, depth] = averaged * self.inverse_temperature[depth]
        return scores


def fit_ridge(
    states: States,
    codes: IntegerArray,
    n_classes: int,
    weights: Float64Array,
    seed: Any = 0,
    n_on_trial: int = 0,
    bags: TokenBags | None = None,
) -> tuple[RidgeReadout, Float32Array]:
    """Solve every depth and read the texts without themselves.

    Parameters
    ----------
    states : ndarray of shape (n, m + 1, P, H)
        One depth at a time is in memory as floats.
    codes : ndarray of shape (n,)
        Class codes, 0 to n_classes - 1.
    n_classes : int
        Number of classes C; some may have no text.
    weights : ndarray of shape (n,)
        Of the texts. One without weight is read, but takes no part in the solution.
    seed : int
        Of the sample, where there are more than `READOUT_SAMPLES` texts.
    n_on_trial : int, default=0
        So many of the last parts are read only where the average with them is surely
        better than without (``skraee.readout.averages``).
    bags : TokenBags, optional
        Of the texts; without them the tokens by themselves have no say.

    Returns
    -------
    readout : RidgeReadout
    proba : ndarray of shape (n, m + 1, C), float32
        Of every text, by a readout that did not see it.

    Raises
    ------
    ValueError
        If there are fewer than two texts with a weight.
    """
    n, n_depths, n_parts = states.shape[:3]
    sample = Sample.draw(codes, n_classes, weights, seed)

    def read(depth: int) -> list[tuple[_Map, Float64Array]]:
        return [_read_by(features, sample) for features in _features(states, depth)]

    shape = n, n_depths, n_classes
    bag = None
    if bags is not None:
        bag = _read_bags(bags, codes, n_classes, weights, seed)
    return _averaged(read, sample, shape, n_parts, n_on_trial, bag)


def fit_ridge_by_moments(
    solved: SolvedByMoments,
    left_out: Float32Array,
    codes: IntegerArray,
    weights: Float64Array,
    seed: Any = 0,
    n_on_trial: int = 0,
    bags: TokenBags | None = None,
) -> tuple[RidgeReadout, Float32Array]:
    """Make a readout of regressions that were solved from sums over texts.

    How scores become probabilities, and what counts how much, is found on some of the
    texts, each read by regressions without its fold: the other parameters are as in
    `fit_ridge`, of these texts.

    Parameters
    ----------
    solved : SolvedByMoments
        Of all texts.
    left_out : ndarray of shape (n, m + 1, P, C)
        Scores of some.

    Returns
    -------
    readout : RidgeReadout
    proba : ndarray of shape (n, m + 1, C), float32
    """
    n, n_depths, n_parts, n_classes = left_out.shape
    sample = Sample.draw(codes, n_classes, weights, seed)

    def read(depth: int) -> list[tuple[_Map, Float64Array]]:
        scores = left_out[:, depth].astype(np.float64)
        return [_read_left_out(scores, solved, depth, i, sample) for i in parts]

    parts, shape = range(n_parts), (n, n_depths, n_classes)
    bag = None
    if bags is not None:
        bag = _read_bags(bags, codes, n_classes, weights, seed)
    return _averaged(read, sample, shape, n_parts, n_on_trial, bag)


def _read_bags(
    bags: TokenBags,
    codes: IntegerArray,
    n_classes: int,
    weights: Float64Array,
    seed: Any,
) -> tuple[BagReadout, Float64Array]:
    some = Sample.draw(codes, n_classes, weights, seed, BAG_SAMPLES)
    return fit_bags(bags, some, POWER)


def _averaged(
    read: Callable[[int], list[tuple[_Map, Float64Array]]],
    sample: Sample,
    shape: tuple[int, int, int],
    n_parts: int,
    n_on_trial: int,
    bag: tuple[BagReadout, Float64Array] | None,
) -> tuple[RidgeReadout, Float32Array]:
    """Read depth after depth, and average over those passed."""
    averages = {
        parts: LeftOutAverage(parts, sample, shape)
        for parts in choices_of_parts(n_parts, n_on_trial)
    }
    if bag is not None:
        for average in averages.values():
            average.start(bag[1], bag[0].weight)
    maps = []
    for depth in range(shape[1]):
        own_maps, logs = zip(*read(depth), strict=True)
        part_weights = np.array([own.weight for own in own_maps])
        for average in averages.values():
            average.add(depth, np.stack(logs), part_weights)
        maps.append(own_maps)
    best = average_that_earns(averages, n_on_trial)
    return _readout_of(maps, best, None if bag is None else bag[0]), best.proba


class _Map(NamedTuple):
    """One part's way from features to scores, at one depth."""

    coef: Float64Array
    intercept: Float64Array
    penalty: float
    weight: float

    @classmethod
    def of(
        cls,
        coef: Float64Array,
        intercept: Float64Array,
        penalty: float,
        mapped: ScoreMap,
        sample: Sample,
    ) -> _Map:
        gain = gain_over_chance(mapped.logs, sample.codes, sample.weights)
        return cls(coef @ mapped.matrix, mapped(intercept), penalty, gain**POWER)


def _read_by(features: Float32Array, sample: Sample) -> tuple[_Map, Float64Array]:
    """Solve for the features of one part, and read all texts (n, C) by it."""
    rows, rest = sample.rows, sample.rest
    solved = solve(features[rows], sample.targets, sample.weights)
    mapped = fit_score_map(solved.left_out, solved.without_folds, sample)
    found = _Map.of(solved.coef, solved.intercept, solved.penalty, mapped, sample)
    logs = np.empty((len(features), len(found.intercept)))
    logs[rows] = mapped.logs
    logs[rest] = log_softmax(features[rest] @ found.coef + found.intercept, axis=1)
    return found, logs


def _read_left_out(
    scores: Float64Array,
    solved: SolvedByMoments,
    depth: int,
    part: int,
    sample: Sample,
) -> tuple[_Map, Float64Array]:
    """Take what is solved for one part, and read all texts by their scores (n, P, C).

    Whatever folds a discriminant deals out, the whole fold of each text was left out of
    what it is told.
    """
    own = scores[:, part]
    rows, rest = sample.rows, sample.rest
    mapped = fit_score_map(own[rows], lambda folds: own[rows], sample)
    at = depth, part
    penalty = float(solved.penalty[at])
    found = _Map.of(solved.coef[at], solved.intercept[at], penalty, mapped, sample)
    logs = np.empty(own.shape)
    logs[rows] = mapped.logs
    logs[rest] = log_softmax(mapped(own[rest]), axis=1)
    return found, logs


def _readout_of(
    maps: list[tuple[_Map, ...]], best: LeftOutAverage, bag: BagReadout | None
) -> RidgeReadout:
    def stacked(name: str) -> Float64Array:
        return np.array(
            [[getattr(of_depth[i], name) for i in best.parts] for of_depth in maps]
        )

    return RidgeReadout(
        coef=stacked("coef").astype(np.float32),
        intercept=stacked("intercept").astype(np.float32),
        weight=stacked("weight"),
        inverse_temperature=best.inverse_temperature,
        penalty=stacked("penalty"),
        parts=best.parts,
        bag=bag if bag is not None and bag.weight > 0 else None,
    )


def _features(
    states: States, depth: int, parts: IntArray | None = None
) -> Float32Array:
    """Return the features (P, n, H) of a depth."""
    of_depth = states[:, depth] if parts is None else states[:, depth, parts]
    return unpacked(np.ascontiguousarray(of_depth.swapaxes(0, 1)))
