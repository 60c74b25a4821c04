"""Lists of ``key=value``."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.parameters import format_quoted, parse_parameters, split_outside_quotes


@pytest.mark.parametrize(
    ("text", "separator", "expected"),
    [
        ("a=1;b=2", ";", [("a", "1"), ("b", "2")]),
        (" a = 1 ; b=2 ; ", ";", [("a", "1"), ("b", "2")]),
        ("a=1;;b", ";", [("a", "1"), ("b", "")]),
        ('a="1;2";b=3', ";", [("a", "1;2"), ("b", "3")]),
        ('realm="a, b", nonce="c"', ",", [("realm", "a, b"), ("nonce", "c")]),
        (r'a="say \"hi\""', ";", [("a", 'say "hi"')]),
        ('a="1"junk', ";", [("a", "1")]),
        ("a=b=c", ";", [("a", "b=c")]),
        ("=x", ";", [("", "x")]),
        ("", ";", []),
    ],
)
def test_lists(text: str, separator: str, expected: list[tuple[str, str]]) -> None:
    assert parse_parameters(text, separator) == expected


@pytest.mark.parametrize("text", ['a="', 'a="b;c', r'a="\"'])
def test_a_quote_that_stays_open(text: str) -> None:
    with pytest.raises(MalformedPacket):
        parse_parameters(text)


@given(st.text(max_size=40))
def test_what_was_quoted_comes_out(text: str) -> None:
    assert parse_parameters(f"key={format_quoted(text)}") == [("key", text)]


@given(st.text(max_size=60))
def test_lists_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        parse_parameters(text)
    with suppress(MalformedPacket):
        assert ";".join(split_outside_quotes(text, ";")) == text
