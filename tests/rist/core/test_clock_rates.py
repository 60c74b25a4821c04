"""Payload types and their clocks."""

from __future__ import annotations

import pytest

from terzetto.rist.core.clock_rates import clock_rate


@pytest.mark.parametrize(
    ("payload_type", "rate"),
    [
        (33, 90_000),
        (0, 8_000),
        (6, 16_000),
        (10, 44_100),
        (14, 90_000),
        (17, 22_050),
        (21, 65_536),
        (96, 90_000),
    ],
)
def test_static_types_have_their_clock_and_all_others_count_in_90_khz(payload_type: int, rate: int) -> None:
    assert clock_rate(payload_type) == rate
