"""Require: option tags, each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.wire.headers.require import parse_option_tags


def test_option_tags_come_once() -> None:
    assert parse_option_tags(["a, b", "a,"]) == ["a", "b"]


@given(st.lists(st.text(max_size=40), max_size=4))
def test_tags_of_strangers_never_fail(values: list[str]) -> None:
    assert all(parse_option_tags(values))
