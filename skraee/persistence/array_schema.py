"""What the arrays of a file are: their names, dtypes, shapes and ranges.

Letters stand for sizes that must agree wherever they occur: C classes, D depths, L
depths of the probes, N texts of fit, n texts that are stored. A generator has no class
but C = 2 readings of each depth; the probes of an encoder-decoder count the layers of
the encoder, too, which do not generate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skraee.persistence.archive import Arrays, Manifest
from skraee.sweep.records import NAME_BYTES
from skraee.text.token_bags import N_BUCKETS

Array = npt.NDArray[Any]
Sizes = dict[str, int]
Rule = Callable[[Array, Sizes], bool]


_LARGEST = 1e20
_LARGEST_FACTOR = 1e6


# Bits of a float16 that are all set in infinity and NaN only, and how many numbers are
# looked at in one go.
_EXPONENT = np.uint16(0x7C00)
_AT_ONCE = 2**20


def _finite(array: Array, sizes: Sizes) -> bool:
    if array.dtype == np.float16:  # which processors do not compare
        bits = array.reshape(-1).view(np.uint16)
        parts = range(0, len(bits), _AT_ONCE)
        found = (bits[start : start + _AT_ONCE] & _EXPONENT for start in parts)
        return not any((part == _EXPONENT).any() for part in found)
    # Unlike isfinite these need no room, and NaN is the smallest and the largest.
    return array.size == 0 or bool(np.isfinite([array.min(), array.max()]).all())


def _positive(array: Array, sizes: Sizes) -> bool:
    return _finite(array, sizes) and bool(array.min(initial=1) > 0)


def _not_negative(array: Array, sizes: Sizes) -> bool:
    return _finite(array, sizes) and bool(array.min(initial=0) >= 0)


def _moderate(array: Array, sizes: Sizes) -> bool:
    # Products with states stay far from what a float32 holds.
    return _finite(array, sizes) and bool(
        array.min(initial=0) >= -_LARGEST and array.max(initial=0) <= _LARGEST
    )


def _factors(array: Array, sizes: Sizes) -> bool:
    return _positive(array, sizes) and bool(array.max(initial=1) <= _LARGEST_FACTOR)


def _probabilities(array: Array, sizes: Sizes) -> bool:
    return _not_negative(array, sizes) and bool(array.max(initial=0) < 1.001)


def _codes(array: Array, sizes: Sizes) -> bool:
    return array.size == 0 or bool(array.min() >= 0 and array.max() < sizes["C"])


def _positions(array: Array, sizes: Sizes) -> bool:
    inside = bool(array.min(initial=0) >= 0 and array.max(initial=0) < sizes["N"])
    return inside and _ascending(array, sizes)


def _ascending(array: Array, sizes: Sizes) -> bool:
    return bool(array.min(initial=0) >= 0 and (array[1:] > array[:-1]).all())


def _buckets(array: Array, sizes: Sizes) -> bool:
    return _ascending(array, sizes) and bool(array.max(initial=0) < N_BUCKETS)


def _any(array: Array, sizes: Sizes) -> bool:
    return True


class Spec(NamedTuple):
    """What an array must be.

    Attributes
    ----------
    dtypes : str
        Names of numpy, of which it has one.
    shape : tuple of str or int
        Its sizes by their letters.
    rule : callable
        Whether its numbers will do.
    what : str
        Says the rule.
    """

    dtypes: str
    shape: tuple[str | int, ...]
    rule: Rule = _finite
    what: str = "finite"


_CODES = "codes of classes"
_MODERATE = f"from -{_LARGEST:g} to {_LARGEST:g}"
_FACTORS = f"above 0 and at most {_LARGEST_FACTOR:g}"
_SPECS = {
    "attributes/layer_scores_": Spec("f8", ("D",)),
    "attributes/cost_": Spec("f8", ("D",)),
    "attributes/temperatures_": Spec("f8", ("D",), _positive, "above 0"),
    "database/keys": Spec("f4 f2", ("n", "d")),
    "database/proba": Spec("f4", ("n", "D", "C"), _probabilities, "probabilities"),
    "database/labels": Spec("u1 u2 u4 u8", ("n",), _codes, _CODES),
    "database/kept": Spec("i8", ("n",), _positions, "places of texts, ascending"),
    "standardizer/mean": Spec("f8", ("d",)),
    "standardizer/variance": Spec("f8", ("d",), _not_negative, "at least 0"),
    "ridge/coef": Spec("f4", ("D", "P", "H", "C"), _moderate, _MODERATE),
    "ridge/intercept": Spec("f4", ("D", "P", "C"), _moderate, _MODERATE),
    "ridge/weight": Spec("f8", ("D", "P"), _probabilities, "from 0 to 1"),
    "ridge/inverse_temperature": Spec("f8", ("D",), _factors, _FACTORS),
    "ridge/penalty": Spec("f8", ("D", "P")),
    "ridge/parts": Spec("i8", ("P",), _ascending, "numbers of parts, ascending"),
    "ridge/bag/buckets": Spec("u2", ("B",), _buckets, "buckets, ascending"),
    "ridge/bag/coef": Spec("f4", ("B", "C"), _moderate, _MODERATE),
    "ridge/bag/intercept": Spec("f4", ("C",), _moderate, _MODERATE),
    "calibration/temperatures": Spec("f8", ("D",), _positive, "above 0"),
    "calibration/logits": Spec("f4", ("n", "D", "C")),
    "texts/records": Spec("u1", ("N", NAME_BYTES), _any, ""),
    "texts/codes": Spec("i8", ("N",), _codes, _CODES),
    # Answers that are no numbers are warned of when the backbone is there to compare.
    "probes": Spec("f4", ("probes", "L", "C"), _any, ""),
}
_CLASSES = "attributes/classes_"

# Estimators without classes, and how many numbers they have of each depth instead.
_READINGS = {"RAEEGenerator": 2}

#: Names of fitted attributes that are arrays.
ARRAY_ATTRIBUTES = ("classes_", "layer_scores_", "cost_", "temperatures_")

# Those that need not be there where the rest of their folder is.
_OPTIONAL = {
    *("database/kept", "ridge/parts", "calibration/logits", "texts/records"),
    "attributes/temperatures_",
}


def check_arrays(manifest: Manifest, arrays: Arrays, classes: Array | None) -> None:
    """Refuse arrays that are not those of a manifest, or at odds with one another.

    Parameters
    ----------
    manifest : dict
        Of today's format, and checked.
    arrays : dict of str to ndarray
    classes : ndarray or None
        Of the manifest or the arrays; None where there are none.

    Raises
    ------
    ValueError
        For the first array that is wrong.
    """
    n_classes = _check_classes(classes, manifest["estimator"])
    _check_names(manifest, arrays)
    attributes = manifest["attributes"]
    sizes = {
        "C": n_classes,
        "D": attributes["n_layers_"] + 1,
        "N": attributes["n_samples_fit_"],
        "probes": len(manifest["probes"]),
    }
    if manifest["estimator"] not in _READINGS:
        sizes["L"] = sizes["D"]
    for name, spec in _SPECS.items():
        if name in arrays:
            _check_array(name, arrays[name], spec, sizes)
    _check_counts(manifest, arrays, sizes)


def _check_classes(classes: Array | None, estimator: str) -> int:
    """Return how many classes there are, or what an estimator has in their place."""
    if estimator in _READINGS:
        if classes is not None:
            raise ValueError(f"{estimator} has classes_")
        return _READINGS[estimator]
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) == 0:
        raise ValueError("classes_ is no list of classes")
    if classes.dtype == bool and classes.view(np.uint8).max() > 1:
        raise ValueError("classes_ holds what is neither true nor false")
    names = classes.tolist()
    # Letters that are none, and dates that no calendar has, are told by now.
    ordered = all(one < other for one, other in pairwise(names))
    if not ordered or any(name != name for name in names):
        raise ValueError("classes_ is not ascending")
    return len(classes)


def _check_names(manifest: Manifest, arrays: Mapping[str, Array]) -> None:
    """Refuse arrays of parts that are not there, and parts without their arrays."""
    if strange := sorted(arrays.keys() - _SPECS.keys() - {_CLASSES}):
        raise ValueError(f"array {strange[0]!r} is not known")
    folders = {"attributes", "probes"}
    parts = ("database", "standardizer", "ridge", "calibration")
    folders |= {name for name in parts if manifest[name] is not None}
    if manifest["ridge"] is not None and manifest["ridge"]["bag"] is not None:
        folders.add("ridge/bag")
    expected = {name for name in _SPECS if _folder(name) in folders}
    allowed = expected | {_CLASSES, "texts/records"}
    if manifest["database"] is None:
        expected.add("texts/codes")
        allowed.add("texts/codes")
    if strange := sorted(arrays.keys() - allowed):
        raise ValueError(f"array {strange[0]!r} belongs to no part that there is")
    if missing := sorted(expected - _OPTIONAL - arrays.keys()):
        raise ValueError(f"array {missing[0]!r} is missing")


def _folder(name: str) -> str:
    return name.rpartition("/")[0] or name


def _check_array(name: str, array: Array, spec: Spec, sizes: Sizes) -> None:
    if array.dtype not in [np.dtype(code) for code in spec.dtypes.split()]:
        raise ValueError(f"array {name!r} is of dtype {array.dtype}")
    if array.ndim != len(spec.shape):
        raise ValueError(f"array {name!r} is of shape {array.shape}")
    for size, letter in zip(array.shape, spec.shape, strict=True):
        expected = letter
        if isinstance(letter, str):
            expected = sizes.setdefault(letter, size)
        if size != expected:
            raise ValueError(
                f"array {name!r} is of shape {array.shape}, and {letter} is {expected}"
            )
    if not spec.rule(array, sizes):
        raise ValueError(f"array {name!r} holds numbers that are not all {spec.what}")


def _check_counts(manifest: Manifest, arrays: Arrays, sizes: Sizes) -> None:
    """Refuse sizes that suit each array and not all that is said of them."""
    n_words = len(manifest["sweep"]["token_ids"])
    if n_words not in (0, sizes["C"]):
        raise ValueError(f"there are {n_words} words for {sizes['C']} classes")
    empty = [letter for letter in "ndPH" if sizes.get(letter) == 0]
    if empty:
        raise ValueError(f"arrays are empty: {empty[0]} is 0")
    n_stored = sizes.get("n", sizes["N"])
    if n_stored > sizes["N"] or (
        n_stored < sizes["N"] and "database/kept" not in arrays
    ):
        raise ValueError(f"{n_stored} texts are stored of {sizes['N']} of fit")
