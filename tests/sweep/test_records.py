"""Names of records, which are in people's folders; what joins in a record."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skraee import Backbone, Template
from skraee.sweep.records import Records, record_names
from skraee.sweep.settings import SweepSettings
from tests.support.stores import NotingStore

SAMPLES = [("a film", "so good")]


def records(**settings: Any) -> Records:
    """Records of a backbone that never runs."""
    backbone: Any = SimpleNamespace(
        fingerprint="weights",
        config_hash="configuration",
        settings_hash="settings",
        tokenizer=SimpleNamespace(fingerprint="tokenizer"),
    )
    prompts: Any = SimpleNamespace(form=["a", "form"], limit=128)
    sweep_settings = SweepSettings(
        Backbone("nowhere"), Template("{a} {b} {mask}"), **settings
    )
    return Records(sweep_settings, backbone, prompts, NotingStore())


def names_in(kept: Records) -> set[str]:
    assert isinstance(kept.store, NotingStore)
    return {name.hex() for name in kept.store.written}


def test_record_names_tell_fields_apart() -> None:
    samples = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", "")]
    keys = record_names("sweep", ["context"], samples)
    assert len(set(keys)) == 4
    assert keys != record_names("key", ["context"], samples)
    assert keys != record_names("sweep", ["other"], samples)
    assert keys == record_names("sweep", ["context"], samples)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "6ee845e09adbc7d66fe3050967d2fbbfa6b84aef"),
        ({"by_states": True}, "558e7b58e03a3404ff856e0d6813135e2245a451"),
        (
            {"by_states": True, "state_kinds": ("read",)},
            "9d37b3a83727ea63393fd0a21d9e4c9441b9519b",
        ),
    ],
    ids=["logits", "states", "states of a ramp"],
)
def test_name_of_a_sweep_is_what_it_was(settings: dict[str, Any], name: str) -> None:
    kept = records(**settings)
    is_cut = np.array([False])
    if settings:
        states, bag = np.zeros((1, 3, 1, 4), np.float32), np.zeros(2, np.uint16)
        kept.write_states(SAMPLES, states, is_cut, [bag])
        assert [found.hex() for found in kept.names_of_states(SAMPLES)] == [name]
    else:
        kept.write_logits(SAMPLES, [7], np.zeros((1, 3, 1), np.float32), is_cut)
    assert names_in(kept) == {name}


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        (None, "9441ea26e67496d26e9306d8b73eed091b808992"),
        (2, "cfafa3299b16e6b095eb64e687c473569488701e"),
        (np.int64(2), "cfafa3299b16e6b095eb64e687c473569488701e"),
    ],
)
def test_name_of_a_key_is_what_it_was(encoder: Any, name: str) -> None:
    kept = records(encoder=encoder)
    kept.write_keys(SAMPLES, np.zeros((1, 4), np.float32))
    assert names_in(kept) == {name}


def test_names_say_what_was_done_with_a_text_only_where_it_is_long() -> None:
    samples = [("a film", "so good"), ("a film " * 9, "so good")]
    names = {}
    for how in ("cut", "head_tail", "mean"):
        kept = records(by_states=True, long_texts=how)
        prompts: Any = kept.prompts
        prompts.are_long = lambda some: [len(first) > 9 for first, _ in some]
        names[how] = kept.names_of_states(samples)
    assert len({short for short, _ in names.values()}) == 1
    assert len({long for _, long in names.values()}) == 3
    assert names["cut"] == records(by_states=True).names_of_states(samples)


def test_length_of_a_text_is_asked_once_for_a_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skraee.sweep.chunks.CHUNK_SIZE", 2)
    monkeypatch.setattr("skraee.sweep.records.CHUNK_SIZE", 2)
    kept, asked = records(by_states=True, long_texts="mean"), []
    prompts: Any = kept.prompts

    def are_long(samples: Any) -> list[bool]:
        asked.extend(samples)
        return [len(first) > 2 for first, _ in samples]

    prompts.are_long = are_long
    samples = [("a" * n, "b") for n in range(7)]
    for start in range(0, 7, 2):
        some = samples[start : start + 2]
        names = [kept.names_of_states(some) for _ in range(3)]
        assert names[0] == names[1] == names[2]
        plain = records(by_states=True).names_of_states(some)
        same = [a == b for a, b in zip(names[0], plain, strict=True)]
        assert same == [len(first) <= 2 for first, _ in some]
    assert asked == samples


def test_keys_of_code_that_may_do_anything_are_not_kept() -> None:
    kept = records(encoder=len)
    kept.write_keys(SAMPLES, np.zeros((1, 4), np.float32))
    assert names_in(kept) == set()
    assert kept.keys(SAMPLES) == [None]


def test_logits_of_words_that_were_named_earlier_stay() -> None:
    kept, is_cut = records(), np.array([True])
    for tokens in ([7, 5], [3, 5]):
        logits = np.array([[[float(token) for token in tokens]] * 3], np.float32)
        kept.write_logits(SAMPLES, tokens, logits, is_cut)
    (found,) = kept.sweeps(SAMPLES, [7, 3, 5])
    assert found is not None
    assert found.is_cut
    assert found.depths.tolist() == [[7.0, 3.0, 5.0]] * 3
    assert kept.sweeps(SAMPLES, [7, 9]) == [None]
