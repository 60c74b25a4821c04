"""Content-Location: absolute, or relative to what was asked for."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.content_location import parse_content_location
from terzetto.rtsp.wire.url import RtspUrl

ASKED = RtspUrl.parse("rtsp://u:p@cam:8554/a/b?c=d")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["rtsp://10.0.0.9/x/"], "rtsp://10.0.0.9/x/"),
        (["/x"], "rtsp://cam:8554/x"),
        (["x/"], "rtsp://cam:8554/a/x/"),
        (["../x"], "rtsp://cam:8554/x"),
        (["rtsp://h/x", " rtsp://h/x"], "rtsp://h/x"),
    ],
)
def test_content_location(values: list[str], expected: str) -> None:
    assert parse_content_location(values, ASKED).text == expected


@pytest.mark.parametrize("values", [[], ["rtsp://a/", "rtsp://b/"], [""], ["http://cam/x"], ["rtsp://:99/"]])
def test_no_content_location(values: list[str]) -> None:
    with pytest.raises(MalformedPacket):
        parse_content_location(values, ASKED)


@given(st.text(max_size=80))
def test_locations_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        parse_content_location([text], ASKED)
