"""Session: tokens of every camera, and timeouts."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.session import SessionHeader


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s9SBZYSux2F08-mW", SessionHeader("s9SBZYSux2F08-mW")),
        ("1134068888;timeout=60", SessionHeader("1134068888", 60)),
        (" a$-_.+ ; TIMEOUT = 5 ", SessionHeader("a$-_.+", 5)),
        ("x;timeout=soon;y", SessionHeader("x")),
    ],
)
def test_sessions(text: str, expected: SessionHeader) -> None:
    assert SessionHeader.parse(text) == expected


@pytest.mark.parametrize("text", ["", ";timeout=60", "a b", "x" * 300])
def test_no_session(text: str) -> None:
    with pytest.raises(MalformedPacket):
        SessionHeader.parse(text)


@given(st.text(max_size=80))
def test_sessions_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        SessionHeader.parse(text)
