from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.timestamps import TimestampClock, micros_from_ticks, ticks_from_micros


def test_a_second_of_90_khz_is_a_million_microseconds() -> None:
    clock = TimestampClock(90_000)
    assert clock.micros(90_000) - clock.micros(0) == 1_000_000
    assert micros_from_ticks(45_000, 90_000) == 500_000
    assert ticks_from_micros(500_000, 90_000) == 45_000


def test_time_goes_on_across_the_wrap_and_back_for_a_late_packet() -> None:
    clock = TimestampClock(90_000)
    before = clock.micros(0xFFFFFFFF - 44_999)
    after = clock.micros(45_000)
    assert after - before == 1_000_000
    assert clock.micros(0xFFFFFFFF - 44_999) == before


def test_many_wraps_add_up() -> None:
    clock = TimestampClock(1_000_000)
    start = clock.micros(0)
    quarters = [clock.micros((step << 30) & 0xFFFFFFFF) for step in range(1, 41)]
    assert quarters[-1] - start == 40 << 30


def test_after_a_reset_the_next_timestamp_stands_for_itself() -> None:
    clock = TimestampClock(90_000)
    clock.ticks(0xFFFFFFFF)
    assert clock.ticks(0) == 1 << 32
    clock.reset()
    assert clock.ticks(0) == 0


@pytest.mark.parametrize("rate", [0, -1])
def test_a_clock_ticks(rate: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        TimestampClock(rate)


@given(st.integers(0, 0xFFFFFFFF), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30))
def test_any_walk_of_less_than_half_the_range_is_followed(start: int, steps: list[int]) -> None:
    clock = TimestampClock(90_000)
    true = clock.ticks(start)
    for step in steps:
        true += step
        assert clock.ticks(true & 0xFFFFFFFF) == true
