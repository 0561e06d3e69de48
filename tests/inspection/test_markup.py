"""Text of a user inside HTML."""

from __future__ import annotations

from html import unescape

import pytest

from skraee.inspection.markup import escaped, in_a_line, isolated


def test_every_character_can_be_written_in_a_page():
    every = "".join(map(chr, range(0x110000)))
    shown = escaped(every)
    shown.encode("utf-8")
    assert not set(shown) & {"\0", "\x1b", "\x7f", "\x85", "\ufffe", "\U0010ffff"}
    assert not set(shown) & {"<", ">", '"', "'"}
    assert "\U0001f467" in shown
    assert "\t" in shown


@pytest.mark.parametrize(
    "text", ["", "plain", "a & b", "<b>", "שלום", "\u202ea", "a\nb"]
)
def test_text_is_shown_as_it_is(text):
    assert unescape(escaped(text)) == text
    assert isolated(text) == f"<bdi>{escaped(text)}</bdi>"


def test_what_is_no_text_is_shown_as_it_prints():
    assert escaped(True) == "True"
    assert escaped(2.5) == "2.5"


def test_long_text_is_cut_before_it_is_escaped():
    assert escaped("&" * 10, 4) == "&amp;" * 3 + "…"
    assert escaped("abc", 3) == "abc"


def test_title_has_one_line_and_one_direction():
    assert in_a_line(" a\r\n\u202eb\u2066 \tc ") == "a b c"
