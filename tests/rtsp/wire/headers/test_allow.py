"""Allow: what is possible, in the order it was said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.wire.headers.allow import format_allow, parse_allow


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([""], []),
        (["PLAY,TEARDOWN"], ["PLAY", "TEARDOWN"]),
        (["play ,, PAUSE,", "PLAY"], ["PLAY", "PAUSE"]),
        (["X-CAMERA"], ["X-CAMERA"]),
    ],
)
def test_what_is_possible(values: list[str], expected: list[str]) -> None:
    assert parse_allow(values) == expected
    assert parse_allow([format_allow(expected)]) == expected


@given(st.lists(st.text(max_size=40), max_size=4))
def test_lists_of_strangers_never_fail(values: list[str]) -> None:
    assert all(parse_allow(values))
