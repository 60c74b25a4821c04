"""Connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtsp.wire.headers.connection import wants_close


@pytest.mark.parametrize(
    ("values", "closes"),
    [
        ([], False),
        (["close"], True),
        ([" Close "], True),
        (["keep-alive"], False),
        (["keep-alive, close"], True),
        (["keep-alive", "close"], True),
        (["closed"], False),
        ([""], False),
    ],
)
def test_who_wants_to_close(values: list[str], closes: bool) -> None:
    assert wants_close(values) is closes


@given(st.lists(st.text(max_size=40), max_size=4))
def test_wishes_of_strangers_never_fail(values: list[str]) -> None:
    assert wants_close([*values, "close"])
