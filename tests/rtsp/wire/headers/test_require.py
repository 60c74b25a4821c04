"""Require and Proxy-Require: option tags, each once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.wire.fields import Fields
from terzetto.rtsp.wire.headers.require import parse_option_tags


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], []),
        ([("Require", "a, b"), ("Require", "a,")], ["a", "b"]),
        ([("Proxy-Require", "p"), ("Require", "r,p")], ["r", "p"]),
        ([("require", " , ")], []),
    ],
)
def test_option_tags_come_once(pairs: list[tuple[str, str]], expected: list[str]) -> None:
    fields = Fields()
    for name, value in pairs:
        fields.add(name, value)
    assert parse_option_tags(fields) == expected


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0"), max_size=40), max_size=4))
def test_tags_of_strangers_never_fail(values: list[str]) -> None:
    fields = Fields()
    for value in values:
        fields.add("Require", value)
    assert all(parse_option_tags(fields))
