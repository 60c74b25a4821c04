"""Content-Base: absolute, or from the root of the server."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.content_base import parse_content_base
from terzetto.rtsp.wire.url import RtspUrl

ASKED = RtspUrl.parse("rtsp://u:p@cam:8554/a/b?c=d")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["rtsp://10.0.0.9/x/"], "rtsp://10.0.0.9/x/"),
        (["/x"], "rtsp://cam:8554/x"),
        (["rtsp://h/x", " rtsp://h/x"], "rtsp://h/x"),
    ],
)
def test_content_base(values: list[str], expected: str) -> None:
    assert parse_content_base(values, ASKED).text == expected


@pytest.mark.parametrize("values", [[], ["rtsp://a/", "rtsp://b/"], ["x"], [""]])
def test_no_content_base(values: list[str]) -> None:
    with pytest.raises(MalformedPacket):
        parse_content_base(values, ASKED)


@given(st.text(max_size=80))
def test_bases_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        parse_content_base([text], ASKED)
