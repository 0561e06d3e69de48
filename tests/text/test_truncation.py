"""Texts that are too long."""

import pytest

from skraee.exceptions import TruncationWarning
from tests.support.prompts import encode_one, encoder


def test_truncation_cuts_text_only_and_from_its_end(pair):
    _, tokenizer = pair
    texts = [(" ".join(["good"] * 50),), ("good",), (" ".join(["bad"] * 50),)]
    for kind, template in (
        ("masked", "it {text} It was {mask}."),
        ("causal", "it {text} It was"),
        ("seq2seq", "it {text} It was"),
    ):
        whole = encoder(template, tokenizer, kind).encode(texts)
        limited = encoder(template, tokenizer, kind, max_length=20, limit=512)
        with pytest.warns(TruncationWarning, match=r"2 text.* prompts of 20 tokens"):
            cut = limited.encode(texts)
        assert [len(p.ids) for p in cut] == [20, len(whole[1].ids), 20]
        for long, short in zip(whole, cut, strict=True):
            [(start, stop)], [(_, end)] = short.spans, long.spans
            assert short.ids[:stop] == long.ids[:stop]
            assert short.ids[stop:] == long.ids[end:]
            assert long.read - end == short.read - stop
            assert start == long.spans[0][0]


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ((10, 20), 5, [3, 2]),
        ((2, 20), 9, [2, 7]),
        ((20, 2), 9, [7, 2]),
        ((5, 5), 9, [5, 4]),
        ((4, 9, 9), 12, [4, 4, 4]),
        ((1, 9, 9), 12, [1, 6, 5]),
        ((0, 9), 1, [0, 1]),
    ],
)
def test_truncation_cuts_the_longest_field_first(zoo, lengths, room, kept):
    tokenizer = zoo["wordpiece"][1]
    names = "abc"[: len(lengths)]
    template = " ".join(f"{{{name}}}" for name in names)
    texts = tuple(" ".join(["good"] * n) for n in lengths)
    limited = encoder(template, tokenizer, "seq2seq", max_length=room + 2)
    with pytest.warns(TruncationWarning, match="1 text"):
        [prompt] = limited.encode([texts])
    assert [stop - start for start, stop in prompt.spans] == kept


def test_truncation_of_nothing_does_not_warn(zoo):
    prompt = encode_one("{text}", zoo["gemma"][1], "good", kind="causal", max_length=2)
    assert len(prompt.ids) == 2


def test_limit_is_the_smaller_of_both(zoo):
    tokenizer = zoo["gemma"][1]
    template, kind = "{text} It was", "causal"
    assert encoder(template, tokenizer, kind, 30, 40).limit == 30
    assert encoder(template, tokenizer, kind, None, 40).limit == 40
    assert encoder(template, tokenizer, kind, 30, None).limit == 30
    assert encoder(template, tokenizer, kind).limit is None
