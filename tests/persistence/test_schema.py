"""What the entries of a manifest may be, to the last number that is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from skraee.persistence import array_schema, schema, values
from skraee.persistence.schema import check_device, check_manifest
from tests.support.files import members_of
from tests.support.saved import at, content_of


@cache
def text_of(kind: str) -> bytes:
    return members_of(content_of(kind))["manifest.json"]


def with_entry(kind: str, place: str, value: Any) -> Any:
    manifest = json.loads(text_of(kind))
    at(place, value)(manifest)
    return manifest


BOUNDS: list[tuple[str, str, int, int]] = [
    ("words", "skraee_format", 1, 2**63 - 1),
    ("words", "attributes.n_layers_", 1, 10_000),
    ("words", "attributes.n_samples_fit_", 1, 2**63 - 1),
    ("search", "attributes.k_", 1, 2**63 - 1),
    ("words", "sweep.max_length", 1, 2**31 - 1),
    ("depth", "sweep.encoder", 1, 4),
    ("confidence", "attributes.max_exit_", 0, 4),
    ("confidence", "parameters.min_exit", 0, 4),
    ("words", "database.n_jobs", -1_024, 1_024),
    ("words", "database.seed", 0, 2**31 - 1),
    ("depth", "standardizer.count", 1, 2**63 - 1),
]


@pytest.mark.parametrize(("kind", "place", "least", "most"), BOUNDS)
def test_whole_numbers_are_allowed_to_their_bounds_and_no_further(
    kind: str, place: str, least: int, most: int
) -> None:
    for value in (least, most):
        check_manifest(with_entry(kind, place, value))
    beyond = [most + 1] if place.startswith("param") else [least - 1, most + 1]
    for value in beyond:
        with pytest.raises(ValueError, match=place.rpartition(".")[2]):
            check_manifest(with_entry(kind, place, value))


SHARES = [
    ("search", "attributes.tau_", 0, 1),
    ("ridge", "attributes.budget_", 0, 1),
    ("ridge", "ridge.bag.weight", 0, 1),
    ("ridge", "ridge.bag.penalty", 0, 1e300),
]


@pytest.mark.parametrize(("kind", "place", "least", "most"), SHARES)
def test_numbers_are_allowed_to_their_bounds_and_no_further(
    kind: str, place: str, least: float, most: float
) -> None:
    for value in (least, most, (least + most) / 2):
        check_manifest(with_entry(kind, place, value))
    beyond = [least - 1e-9, float("nan"), True, "1"]
    for value in beyond + ([most + 1e-9] if most == 1 else []):
        with pytest.raises(ValueError, match=place.rpartition(".")[2]):
            check_manifest(with_entry(kind, place, value))


def test_words_of_any_token_are_allowed() -> None:
    check_manifest(with_entry("words", "sweep.token_ids", [0, 2**31 - 1]))
    for strange in (-1, 2**31):
        with pytest.raises(ValueError, match="token_ids"):
            check_manifest(with_entry("words", "sweep.token_ids", [0, strange]))


def test_probes_are_as_many_and_as_long_as_they_may_be() -> None:
    check_manifest(with_entry("words", "probes", [["a" * 10_000]] * 100))
    for probes in ([["a"]] * 101, [["a" * 10_001]]):
        with pytest.raises(ValueError, match="probes"):
            check_manifest(with_entry("words", "probes", probes))


@pytest.mark.parametrize("device", ["auto", 0, 3, "cpu", "cuda:1", ["cpu", "cuda"]])
def test_device_may_be_named_or_numbered(device: Any) -> None:
    check_device("device", device)
    check_device("device", {"tuple": device if isinstance(device, list) else [device]})


@pytest.mark.parametrize("device", [[], -1, True, 1.0, None, "meta", "x", ["cpu", -1]])
def test_what_is_no_device_is_refused(device: Any) -> None:
    with pytest.raises(ValueError, match="device must name devices"):
        check_device("device", device)


CHECKS: dict[str, tuple[values.Check, list[Any], list[Any]]] = {
    "whole": (values.whole(2, 5), [2, 3, 5], [1, 6, True, 2.0, "3", None]),
    "whole without bounds": (
        values.whole(),
        [-(2**63 - 1), 2**63 - 1],
        [2**63, -(2**63)],
    ),
    "real": (values.real(-1, 2), [-1, 0.5, 2, 2.0], [-1.1, 2.1, True, "1", None]),
    "real without bounds": (
        values.real(),
        [1e308, float("inf"), 2**63 - 1, 1 - 2**63],
        [2**63, -(2**63), float("nan"), 10**400],
    ),
    "flag": (values.flag, [True, False], [0, 1, None, "true"]),
    "text": (values.text, ["", "a"], [1, None, b"a"]),
    "sha256": (
        values.sha256,
        ["0a" * 32],
        ["0A" * 32, "0" * 63, "0" * 65, "g" * 64, "0" * 64 + "\n", 1, None],
    ),
    "one of": (values.one_of(1, "a", None), [1, "a", None], [True, 1.0, "b", 0]),
    "optional": (values.optional(values.whole(1)), [None, 1], [0, "a"]),
    "list": (values.list_of(values.flag, 2), [[], [True] * 2], [[1], [True] * 3, {}]),
    "object": (values.dict_of(values.flag), [{}, {"a": True}], [{"a": 1}, [], None]),
    "entries": (
        values.entries({"a": values.flag, "b": values.flag}, missing=("b",)),
        [{"a": True}, {"a": True, "b": False}],
        [{}, {"b": True}, {"a": 1}, {"a": True, "b": 1}, {"a": True, "c": 1}, [], 1],
    ),
    "entries and others": (
        values.entries({"a": values.flag}, strange=True),
        [{"a": True, "c": 1}],
        [{"c": 1}, {"a": 1}],
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_check_lets_through_what_it_is_for_and_nothing_else(name: str) -> None:
    check, allowed, refused = CHECKS[name]
    for value in allowed:
        check("it", value)
    for value in refused:
        with pytest.raises(ValueError, match=r"it|the manifest"):
            check("it", value)


PARTS: list[tuple[str, Callable[[Any], Any], str]] = [
    (
        "words",
        lambda m: m | {"database": None, "sweep": m["sweep"] | {"by_keys": False}},
        "standardizer|neither a database nor a readout|sweep",
    ),
    (
        "words",
        lambda m: m | {"sweep": m["sweep"] | {"by_states": True}},
        "by_states does not agree",
    ),
    (
        "words",
        lambda m: (
            m
            | {"ridge": {"bag": None}, "calibration": {}}
            | {"sweep": m["sweep"] | {"by_states": True}}
        ),
        "a calibration beside the ridge readout",
    ),
    ("words", lambda m: m | {"standardizer": {"count": 3}}, "standardizer does not"),
    (
        "ridge",
        lambda m: m | {"standardizer": {"count": 3}},
        "standardizer does not agree",
    ),
]


@pytest.mark.parametrize(("kind", "edit", "message"), PARTS)
def test_parts_that_do_not_belong_together_are_refused(
    kind: str, edit: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        check_manifest(edit(json.loads(text_of(kind))))


@pytest.mark.parametrize("kind", ["words", "depth", "ridge", "search", "confidence"])
def test_what_is_written_is_allowed(kind: str) -> None:
    check_manifest(json.loads(text_of(kind)))
    assert json.loads(text_of(kind))["attributes"].keys() <= schema.ATTRIBUTES.keys()


@pytest.mark.parametrize(
    "bad", [np.nan, -np.nan, np.inf, -np.inf, 65504, -65504, 6e-8, 0, -0.0]
)
def test_float16_is_finite_where_numpy_says_so(bad: float, monkeypatch: Any) -> None:
    monkeypatch.setattr(array_schema, "_AT_ONCE", 10)
    numbers = np.linspace(-65504, 65504, 64).astype(np.float16).reshape(8, 8)
    assert array_schema._finite(numbers, {})
    for place in ((0, 0), (5, 3), (7, 7)):
        changed = numbers.copy()
        changed[place] = bad
        assert array_schema._finite(changed, {}) == np.isfinite(changed).all()
        assert array_schema._finite(changed.T, {}) == np.isfinite(changed).all()
