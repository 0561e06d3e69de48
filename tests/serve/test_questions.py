"""What a body holds, read without a server and without the extra."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from skraee.serve.limits import Limits
from skraee.serve.page import CONTENT_POLICY, page
from skraee.serve.questions import example, samples_of
from skraee.serve.refusals import Refusal

PAIR = ("premise", "hypothesis")


def samples(found: Any, fields: Any = ("text",), **limits: Any) -> list[Any]:
    body = found if isinstance(found, bytes) else json.dumps(found).encode()
    return samples_of(body, fields, Limits(**limits), most=4)


def test_texts_come_in_their_order() -> None:
    assert samples({"texts": ["b", "a"]}) == [("b",), ("a",)]


def test_fields_come_in_the_order_of_the_template() -> None:
    one = {"hypothesis": "h", "premise": "p"}
    assert samples({"texts": [one]}, PAIR) == [("p", "h")]


def test_length_is_that_of_all_fields_together() -> None:
    one = {"premise": "a" * 6, "hypothesis": "b" * 5}
    with pytest.raises(
        Refusal, match=r"may have 10 characters here, texts\[0\] has 11"
    ):
        samples({"texts": [one]}, PAIR, max_length=10)


@pytest.mark.parametrize("fields", [("text",), PAIR])
def test_body_that_errors_show_is_right(fields: Any) -> None:
    assert len(samples(example(fields).encode(), fields)) == 1


def test_any_bytes_are_read_or_refused_without_a_word_of_them() -> None:
    draw = random.Random(0)
    whole = '{"texts": ["secret words", "\\ud83d\\ude00", "ä"]}'.encode()
    n_read = 0
    for _ in range(3_000):
        junk = bytearray(whole)
        for _ in range(draw.randrange(1, 4)):
            junk[draw.randrange(len(junk))] = draw.randrange(256)
        try:
            samples(bytes(junk))
        except Refusal as refusal:
            assert refusal.status in (400, 422)  # noqa: PT017
            assert "secret" not in refusal.sentence  # noqa: PT017
        else:
            n_read += 1
    assert 0 < n_read < 3_000


def test_page_shows_paths_and_no_markup_of_names() -> None:
    body = {"content": {"application/json": {"schema": {}, "example": {"texts": []}}}}
    post = {"summary": "a <b> & c", "requestBody": body, "responses": {}}
    shown = page(
        {"info": {"title": "t", "version": "1"}, "paths": {"/p": {"post": post}}}
    )
    assert "a &lt;b&gt; &amp; c" in shown
    assert "POST /p" in shown
    assert "http" not in shown.replace("http-equiv", "")
    assert "default-src 'none'" in CONTENT_POLICY
