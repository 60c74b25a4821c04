"""Location: where a redirect leads, relative or not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.location import parse_location
from terzetto.rtsp.wire.url import RtspUrl

ASKED = RtspUrl.parse("rtsp://u:p@cam:8554/a/b?c=d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://other/x", "rtsp://other/x"),
        ("/y", "rtsp://cam:8554/y"),
        ("y", "rtsp://cam:8554/a/y"),
        ("rtsps://h:1/", "rtsps://h:1/"),
    ],
)
def test_location(text: str, expected: str) -> None:
    assert parse_location([text], ASKED).text == expected


@pytest.mark.parametrize("values", [[], [""], ["rtsp://a", "rtsp://b"], ["http://a/"]])
def test_no_location(values: list[str]) -> None:
    with pytest.raises(MalformedPacket):
        parse_location(values, ASKED)


@given(st.text(max_size=80))
def test_locations_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        parse_location([text], ASKED)
