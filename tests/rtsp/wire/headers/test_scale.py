"""Scale and Speed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtsp.wire.headers.scale import format_scale, parse_scale, parse_speed


@pytest.mark.parametrize(
    ("text", "factor"),
    [("1", 1.0), (" 2.5 ", 2.5), ("-1.0", -1.0), ("0.25", 0.25), ("+4", 4.0), ("1e1", 10.0)],
)
def test_factors(text: str, factor: float) -> None:
    assert parse_scale(text) == factor
    assert parse_scale(format_scale(factor)) == factor


@pytest.mark.parametrize(
    "text", ["", "0", "-0.0", "nan", "inf", "-inf", "fast", "1_0", "\u0661", "1" * 40, "1 2"]
)
def test_no_factors(text: str) -> None:
    with pytest.raises(MalformedPacket):
        parse_scale(text)


def test_a_speed_has_no_way_back_and_may_name_a_bound() -> None:
    assert parse_speed("2.5") == 2.5
    assert parse_speed("1.0-2.5") == 1.0
    with pytest.raises(MalformedPacket):
        parse_speed("-1")


@given(st.text(max_size=40))
def test_factors_of_strangers_parse_or_are_malformed(text: str) -> None:
    with suppress(MalformedPacket):
        assert parse_scale(text)
    with suppress(MalformedPacket):
        assert parse_speed(text) > 0
