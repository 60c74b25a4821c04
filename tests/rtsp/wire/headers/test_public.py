"""Public: lists of methods, however they are written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.wire.headers.public import parse_methods


def test_method_lists_with_and_without_blanks() -> None:
    assert parse_methods(["OPTIONS,DESCRIBE, play", "", "PAUSE,"]) == {"OPTIONS", "DESCRIBE", "PLAY", "PAUSE"}


@given(st.lists(st.text(max_size=40), max_size=4))
def test_lists_of_strangers_never_fail(values: list[str]) -> None:
    assert all(parse_methods(values))
