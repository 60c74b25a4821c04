"""Range: three units, open ends, and what is none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.range import NOW, ClockRange, NptRange, Range, SmpteRange, parse_range


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


@given(st.text(max_size=80))
def test_ranges_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        found = parse_range(text)
        assert parse_range(str(found)) == found
