"""Session, RTP-Info, Range, Public, CSeq, Content-Type, Content-Base, Location, Require: odd cases."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.content_base import parse_content_base
from terzetto.rtsp.wire.headers.content_type import is_sdp
from terzetto.rtsp.wire.headers.cseq import parse_cseq
from terzetto.rtsp.wire.headers.location import parse_location
from terzetto.rtsp.wire.headers.public import parse_methods
from terzetto.rtsp.wire.headers.range import NOW, ClockRange, NptRange, Range, SmpteRange, parse_range
from terzetto.rtsp.wire.headers.require import parse_option_tags
from terzetto.rtsp.wire.headers.rtp_info import RtpInfo, format_rtp_info, parse_rtp_info
from terzetto.rtsp.wire.headers.session import SessionHeader
from terzetto.rtsp.wire.url import RtspUrl

ASKED = RtspUrl.parse("rtsp://u:p@cam:8554/a/b?c=d")


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("npt=0.000-", NptRange(0)),
        ("npt=now-", NptRange(NOW)),
        ("npt=10.5-20", NptRange(10_500_000, 20_000_000)),
        ("npt=0:10:20-", NptRange(620_000_000)),
        ("npt=1:00:00.5-", NptRange(3_600_500_000)),
        ("npt=-20", NptRange(None, 20_000_000)),
        ("NPT = 0-now", NptRange(0)),
        ("npt=.5-", NptRange(500_000)),
        ("smpte=0:10:20-0:10:33:15.75", SmpteRange("0:10:20", "0:10:33:15.75")),
        ("smpte-30-drop=10:12:33:20-", SmpteRange("10:12:33:20", None, "smpte-30-drop")),
        ("clock=19700101T000001.125Z-", ClockRange(1_125_000)),
        ("clock=19700101T000001Z-19700101T000002Z", ClockRange(1_000_000, 2_000_000)),
        ("npt=0-;time=19700101T000001Z", NptRange(0, None, 1_000_000)),
    ],
)
def test_ranges_survive(text: str, expected: Range) -> None:
    assert parse_range(text) == expected
    assert parse_range(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "npt",
        "npt=",
        "npt=-",
        "npt=5",
        "npt=x-",
        "clock=-",
        "clock=20241301T000000Z-",
        "clock=2024-",
        "smpte=-1:2:3",
        "smpte=1-",
        "furlong=1-2",
        "npt=0-;time=soon",
    ],
)
def test_no_range(text: str) -> None:
    with pytest.raises(MalformedPacket):
        parse_range(text)


def test_a_live_start_is_written_as_cameras_expect_it() -> None:
    assert str(NptRange(0)) == "npt=0-"
    assert str(ClockRange(1_125_000)) == "clock=19700101T000001.125Z-"


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
def test_strangers_headers_parse_or_are_malformed(text: str) -> None:
    for parse in (parse_range, parse_rtp_info, SessionHeader.parse, parse_cseq):
        with suppress(MalformedPacket):
            parse(text)
    for parse_url in (parse_content_base, parse_location):
        with suppress(MalformedPacket):
            parse_url([text], ASKED)


def test_method_lists_with_and_without_blanks() -> None:
    assert parse_methods(["OPTIONS,DESCRIBE, play", "", "PAUSE,"]) == {"OPTIONS", "DESCRIBE", "PLAY", "PAUSE"}


def test_option_tags_come_once() -> None:
    assert parse_option_tags(["a, b", "a,"]) == ["a", "b"]


def test_cseq_is_a_number() -> None:
    assert parse_cseq(" 12 ") == 12
    for text in ("", "-1", "1x", "²"):
        with pytest.raises(MalformedPacket):
            parse_cseq(text)


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
