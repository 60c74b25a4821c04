from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtp.ntp import (
    delay_units,
    micros_from_delay_units,
    middle_32,
    ntp_difference,
    ntp_from_unix,
    round_trip,
    rtp_ticks,
    unix_from_ntp,
)

START_OF_1970 = 0x83AA7E80 << 32
ERA_1 = 2_085_978_496_000_000  # 7 February 2036, 06:28:16 UTC


def test_1970_is_2208988800_seconds_after_1900() -> None:
    assert ntp_from_unix(0) == START_OF_1970
    assert ntp_from_unix(1_250_000) == START_OF_1970 + 0x1_4000_0000
    assert unix_from_ntp(START_OF_1970 + 0x1_4000_0000) == 1_250_000


def test_the_seconds_start_again_in_2036() -> None:
    assert ntp_from_unix(ERA_1) == 0
    assert unix_from_ntp(0) == ERA_1
    assert unix_from_ntp(ntp_from_unix(ERA_1 + 1_000_000)) == ERA_1 + 1_000_000


@given(st.integers(0, 2 * ERA_1 - 1))
def test_every_microsecond_until_2102_survives(moment: int) -> None:
    assert unix_from_ntp(ntp_from_unix(moment)) == moment


@given(st.integers(0, 2 * ERA_1), st.integers(-(10**12), 10**12))
def test_differences_are_right_across_the_wrap(moment: int, gap: int) -> None:
    difference = ntp_difference(ntp_from_unix(moment + gap), ntp_from_unix(moment))
    assert abs(difference - gap) <= 1


def test_the_middle_bits_of_a_sender_report() -> None:
    assert middle_32(0xEEAB6AF5_D4B61FE2) == 0x6AF5D4B6


def test_delays_count_in_65536ths_of_a_second() -> None:
    assert delay_units(1_000_000) == 65536
    assert micros_from_delay_units(71145) == 1_085_586
    assert delay_units(-5) == 0
    assert delay_units(10**12) == 0xFFFFFFFF


@given(st.integers(0, 0xFFFFFFFF))
def test_delays_survive_to_a_unit(units: int) -> None:
    assert abs(delay_units(micros_from_delay_units(units)) - units) <= 1


def test_the_round_trip_is_what_the_report_did_not_spend_at_the_peer() -> None:
    # The figure of RFC 3550, section 6.4.1: sent b705:2000, held 5.250 s, back b710:8000.
    sent, held, back = 0xB705_2000, 0x0005_4000, 0xB710_8000
    assert round_trip(back << 16, sent, held) == 6_125_000


def test_no_report_yet_gives_no_round_trip() -> None:
    assert round_trip(START_OF_1970, 0, 0) is None


def test_a_negative_round_trip_is_no_sample() -> None:
    assert round_trip(START_OF_1970, middle_32(START_OF_1970), 1) is None


@pytest.mark.parametrize(
    ("rate", "ticks"), [(90_000, 0x83AA7E80 * 90_000 + 45_000), (1_000_000, 0x83AA7E80 * 10**6 + 500_000)]
)
def test_an_rtp_clock_made_from_ntp_time(rate: int, ticks: int) -> None:
    assert rtp_ticks(START_OF_1970 + (1 << 31), rate) == ticks & 0xFFFFFFFF
