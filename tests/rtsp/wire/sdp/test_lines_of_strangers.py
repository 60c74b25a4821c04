"""The lines of a description, one reader each: odd cases, and whatever a stranger writes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.sdp.connection import Connection
from terzetto.rtsp.wire.sdp.crypto import Crypto
from terzetto.rtsp.wire.sdp.fmtp import format_fmtp, parse_fmtp
from terzetto.rtsp.wire.sdp.lines import join_lines, split_lines
from terzetto.rtsp.wire.sdp.media_line import MediaLine
from terzetto.rtsp.wire.sdp.rtpmap import RtpMap


@pytest.mark.parametrize(
    ("text", "encoding", "clock", "channels"),
    [
        ("96 H264/90000", "H264", 90000, None),
        (" 97  opus/48000/2 ", "opus", 48000, 2),
        ("110 SPEEX/16000/1", "SPEEX", 16000, 1),
    ],
)
def test_rtpmaps_of_cameras(text: str, encoding: str, clock: int, channels: int | None) -> None:
    found = RtpMap.parse(text)
    assert (found.encoding, found.clock_rate, found.channels) == (encoding, clock, channels)
    assert RtpMap.parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("96 packetization-mode=1; sprop-parameter-sets=Z2Q=,aOs=;", {"packetization-mode": "1"}),
        ("96 Packetization-Mode=1;profile", {"packetization-mode": "1"}),
    ],
)
def test_fmtps_of_cameras(text: str, parameters: dict[str, str]) -> None:
    payload_type, found = parse_fmtp(text)
    assert payload_type == 96
    assert parameters.items() <= found.items()
    assert parse_fmtp(format_fmtp(payload_type, found)) == (payload_type, found)


@given(st.text(max_size=80))
def test_lines_of_strangers_parse_or_are_malformed(text: str) -> None:
    for parse in (Connection.parse, parse_fmtp, MediaLine.parse, RtpMap.parse, Crypto.parse):
        with suppress(MalformedPacket):
            parse(text)


@given(st.text(max_size=200))
def test_what_was_split_joins_to_what_splits_the_same(text: str) -> None:
    lines = split_lines(text)
    assert split_lines(join_lines(lines)) == lines
