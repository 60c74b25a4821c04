"""RTP-Info: commas and semicolons inside URLs, numbers out of range."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.rtp_info import RtpInfo, format_rtp_info, parse_rtp_info


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "url=rtsp://h/s=0;seq=954;rtptime=732618788, url=rtsp://h/s=1;seq=1;rtptime=2",
            [
                RtpInfo(url="rtsp://h/s=0", sequence=954, timestamp=732618788),
                RtpInfo(url="rtsp://h/s=1", sequence=1, timestamp=2),
            ],
        ),
        ("url=trackID=1;rtptime=5", [RtpInfo(url="trackID=1", timestamp=5)]),
        ('url="rtsp://h/a,b;c";seq=3', [RtpInfo(url="rtsp://h/a,b;c", sequence=3)]),
        ("url=rtsp://h/a,b;c=1;seq=3", [RtpInfo(url="rtsp://h/a,b;c=1", sequence=3)]),
        ("seq=3;rtptime=9;url=x", [RtpInfo(url="x", sequence=3, timestamp=9)]),
        ("url=x;seq=70000;rtptime=99999999999", [RtpInfo(url="x")]),
        ("URL=x; seq=4,", [RtpInfo(url="x", sequence=4)]),
    ],
)
def test_rtp_info(text: str, expected: list[RtpInfo]) -> None:
    assert parse_rtp_info(text) == expected


def test_rtp_info_without_a_url_is_refused() -> None:
    with pytest.raises(MalformedPacket):
        parse_rtp_info("seq=1;rtptime=2")


def test_rtp_info_survives() -> None:
    entries = [RtpInfo(url="rtsp://h/a", sequence=1, timestamp=2), RtpInfo(url="rtsp://h/b")]
    assert parse_rtp_info(format_rtp_info(entries)) == entries


@given(st.text(max_size=80))
def test_infos_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        parse_rtp_info(text)
