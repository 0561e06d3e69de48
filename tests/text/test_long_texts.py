"""Texts beyond the limits: cut, cut in the middle, or read in windows."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import pytest

from skraee.exceptions import TruncationWarning
from skraee.text.long_texts import MOST_WINDOWS, fitted_rows
from tests.support.prompts import encoder

WAYS = ["cut", "head_tail", "mean"]


def tokens(n: int, first: int = 0) -> list[int]:
    return list(range(first, first + n))


@pytest.mark.parametrize("long_texts", WAYS)
@pytest.mark.parametrize("room", [None, 12, 99])
def test_text_that_fits_is_left_as_it_is(long_texts: Any, room: int | None) -> None:
    row = (tokens(5), tokens(7))
    assert fitted_rows(row, room, long_texts) == ([row], False)


def test_head_tail_keeps_a_quarter_from_the_beginning_the_rest_from_the_end() -> None:
    rows, is_cut = fitted_rows((tokens(1000),), 510, "head_tail")
    assert rows == [(tokens(127) + tokens(383, 617),)]
    assert is_cut


@pytest.mark.parametrize("room", [1, 2, 3])
def test_head_tail_of_a_few_tokens_is_mostly_the_tail(room: int) -> None:
    assert fitted_rows((tokens(9),), room, "head_tail")[0] == [
        (tokens(room, 9 - room),)
    ]


def test_head_tail_cuts_each_field_as_much_as_cut_does() -> None:
    row = (tokens(4), tokens(30), tokens(40))
    [cut], _ = fitted_rows(row, 20, "cut")
    [both_ends], _ = fitted_rows(row, 20, "head_tail")
    assert list(map(len, both_ends)) == list(map(len, cut)) == [4, 8, 8]
    assert both_ends[0] == tokens(4)
    assert both_ends[1] == tokens(2) + tokens(6, 24)
    assert both_ends[2] == tokens(2) + tokens(6, 34)


@pytest.mark.parametrize("room", [1, 2, 3, 7, 10, 50])
@pytest.mark.parametrize("n", [2, 3, 11, 15, 16, 51])
def test_windows_hold_every_token_in_as_few_as_will_do(n: int, room: int) -> None:
    rows, is_cut = fitted_rows((tokens(n),), room, "mean")
    windows = [ids for (ids,) in rows]
    kept = min(n, room * MOST_WINDOWS)
    assert is_cut == (kept < n)
    assert len(windows) == -(-kept // room)
    assert len({len(window) for window in windows}) == 1
    assert len(windows[0]) <= room
    assert sorted({i for window in windows for i in window}) == tokens(kept)
    assert sum(map(len, windows)) - kept < len(windows)
    for one, following in pairwise(windows):
        assert 0 <= one[-1] + 1 - following[0] <= 1
        assert one == tokens(len(one), one[0])


def test_windows_are_of_the_longest_field_in_the_room_that_cut_leaves_it() -> None:
    short, long = tokens(4), tokens(30)
    rows, is_cut = fitted_rows((short, long), 14, "mean")
    assert rows == [(short, long[i : i + 10]) for i in (0, 10, 20)]
    assert not is_cut
    rows, is_cut = fitted_rows((long, tokens(40)), 20, "mean")
    assert rows == [(long[:10], tokens(10, i)) for i in (0, 10, 20, 30)]
    assert is_cut  # the other field was


def test_windows_of_a_field_that_has_no_room_are_none() -> None:
    rows, is_cut = fitted_rows((tokens(5), tokens(9)), 1, "mean")
    assert rows == [([i], []) for i in range(5)]
    assert is_cut


def test_each_window_has_the_template_around_it(pair: Any) -> None:
    _, tokenizer = pair
    texts = [("good bad " * 40,), ("good",)]
    for kind, template in (
        ("masked", "it {text} It was {mask}."),
        ("causal", "it {text} It was"),
        ("seq2seq", "it {text} It was"),
    ):
        long, short = encoder(template, tokenizer, kind).encode(texts)
        limited = encoder(template, tokenizer, kind, max_length=20, long_texts="mean")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, same = limited.encode(texts)
        assert same == short
        assert same.windows == (short,)
        [(start, stop)], read = long.spans, []
        for window in found.windows:
            [(at, end)] = window.spans
            assert len(window.ids) == len(found.ids) <= 20
            assert window.ids[:at] == long.ids[:start]
            assert window.ids[end:] == long.ids[stop:]
            assert window.read - end == long.read - stop
            assert window.n_prefix == long.n_prefix
            assert not window.is_cut
            read += window.ids[at:end]
        n_windows = len(found.windows)
        assert n_windows > 2
        assert 0 <= len(read) - (stop - start) < n_windows
        assert limited.are_long(texts) == [True, False]


@pytest.mark.parametrize(
    ("long_texts", "told"),
    [
        ("cut", r"^2 text\(s\) were cut to fit prompts of 20 tokens; raise"),
        ("head_tail", r"^2 text\(s\) were cut to fit prompts of 20 tokens; raise"),
        ("mean", r"^1 text\(s\) were cut to fit 16 prompts of 20 tokens; raise"),
    ],
)
def test_texts_that_lose_something_are_told(
    zoo: Any, long_texts: Any, told: str
) -> None:
    limited = encoder(
        "{text} It was",
        zoo["gemma"][1],
        "causal",
        max_length=20,
        long_texts=long_texts,
    )
    with pytest.warns(TruncationWarning, match=told):
        limited.encode([("good " * 400,), ("good",), ("bad " * 40,)])


def test_without_a_limit_no_text_is_long(zoo: Any) -> None:
    unlimited = encoder("{text}", zoo["gemma"][1], "causal", long_texts="mean")
    assert unlimited.are_long([("good " * 400,)]) == [False]


def test_windows_lose_their_first_tokens_together(zoo: Any) -> None:
    limited = encoder(
        "it was {text}", zoo["gemma"][1], "causal", max_length=9, long_texts="mean"
    )
    [prompt] = limited.encode([("good " * 20,)])
    rest = prompt.without_first(prompt.n_prefix)
    for window, whole in zip(rest.windows, prompt.windows, strict=True):
        assert window.ids == whole.ids[prompt.n_prefix :]
        assert window.spans[0][0] == 0
