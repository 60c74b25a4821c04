"""Content-Type: what is a session description, said or not."""

from __future__ import annotations

import pytest

from terzetto.rtsp.wire.headers.content_type import is_sdp


@pytest.mark.parametrize(
    ("value", "body", "expected"),
    [
        ("application/sdp", b"", True),
        ("Application/SDP; charset=utf-8", b"", True),
        (None, b"v=0\r\n", True),
        (None, b"s=x\r\nm=video", True),
        (None, b"hello", False),
        ("text/plain", b"v=0", False),
    ],
)
def test_what_is_a_session_description(value: str | None, body: bytes, expected: bool) -> None:
    assert is_sdp(value, body) is expected
