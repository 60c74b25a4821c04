"""Round trips, playout, acknowledgements, reordering, rates: each machine alone."""

from __future__ import annotations

import pytest

from terzetto.srt.core.acknowledging import AckKind, AckSchedule
from terzetto.srt.core.playout_clock import DRIFT_LIMIT, DRIFT_SAMPLES, PlayoutClock
from terzetto.srt.core.rates import LinkCapacity, ReceiveRate
from terzetto.srt.core.reorder import ReorderTolerance
from terzetto.srt.core.round_trip import RoundTrip

SECOND = 1_000_000


def test_the_first_round_trip_is_taken_whole_and_later_ones_are_smoothed() -> None:
    trip = RoundTrip()
    assert (trip.smoothed, trip.variance) == (100_000, 50_000)
    trip.measure(20_000)
    assert (trip.smoothed, trip.variance) == (20_000, 10_000)
    trip.measure(28_000)
    assert (trip.variance, trip.smoothed) == ((3 * 10_000 + 8_000) // 4, (7 * 20_000 + 28_000) // 8)


def test_a_senders_round_trip_is_what_the_receiver_says_once_it_has_measured() -> None:
    trip = RoundTrip()
    trip.adopt(100_000, 50_000)
    assert not trip.is_measured
    trip.adopt(3977, 1988)
    assert (trip.smoothed, trip.variance) == (3977, 1988)
    trip.measure(8000)
    trip.adopt(16_000, 0)
    assert trip.smoothed == 9000, "who measures itself takes the peer's figures as samples"


def test_packets_play_a_delay_after_their_timestamp() -> None:
    clock = PlayoutClock(base=5_000_000, delay=120_000)
    assert clock.play_at(1_000, now=5_010_000) == 5_121_000


@pytest.mark.parametrize("silence", [0, 40 * 60 * SECOND, 3 * 3600 * SECOND])
def test_timestamps_wrap_without_a_trace_even_after_hours_of_silence(silence: int) -> None:
    clock = PlayoutClock(base=0, delay=0)
    moment = (1 << 32) - 1000 + silence
    assert clock.play_at(moment & 0xFFFFFFFF, now=moment + 700) == moment
    assert clock.play_at((moment + 5000) & 0xFFFFFFFF, now=moment + 5700) == moment + 5000
    assert clock.play_at((moment - 2000) & 0xFFFFFFFF, now=moment + 9000) == moment - 2000


def test_drift_is_the_mean_of_a_thousand_samples_and_large_drift_moves_the_base() -> None:
    clock = PlayoutClock(base=0, delay=0)
    for number in range(DRIFT_SAMPLES - 1):
        clock.trace(number * 10_000, now=number * 10_000 + 3_000, round_trip=None)
    assert clock.drift == 0
    clock.trace(0, now=3_000, round_trip=None)
    assert (clock.base, clock.drift) == (0, 3_000)
    for _ in range(DRIFT_SAMPLES):
        clock.trace(0, now=7_000, round_trip=None)
    assert (clock.base, clock.drift) == (DRIFT_LIMIT, 2_000)


def test_a_longer_round_trip_is_not_taken_for_drift() -> None:
    clock = PlayoutClock(base=0, delay=0)
    clock.trace(0, now=10_000, round_trip=20_000)
    for _ in range(DRIFT_SAMPLES - 1):
        clock.trace(0, now=20_000, round_trip=40_000)
    assert clock.base + clock.drift == 10_000


def ack_schedule() -> AckSchedule:
    return AckSchedule(first=0)


def test_a_light_acknowledgement_is_due_each_64_packets() -> None:
    acks = ack_schedule()
    assert [number for number in range(1, 200) if acks.arrived(1, now=0)] == [64, 128, 192]
    assert acks.due_at == 10_000
    assert ack_schedule().arrived(500, now=0), "a batch that crosses several marks says it once"


def decide(acks: AckSchedule, position: int, *, now: int, room: int = 100) -> AckKind:
    return acks.decide(position, room, patience=50_000, is_measured=True, now=now)


def test_acknowledgements_are_full_each_10_ms_small_in_between_and_repeated_until_confirmed() -> None:
    acks = ack_schedule()
    acks.arrived(1, now=10_000)
    assert decide(acks, 1, now=20_000) is AckKind.FULL
    assert acks.sent(AckKind.FULL, 1, now=20_000) == 1
    assert decide(acks, 2, now=25_000) is AckKind.SMALL
    assert acks.sent(AckKind.SMALL, 2, now=25_000) == 2
    assert decide(acks, 2, now=60_000) is AckKind.NONE
    assert decide(acks, 2, now=80_000) is AckKind.FULL
    assert acks.sent(AckKind.FULL, 2, now=80_000) == 3
    assert acks.confirmed(3, now=90_000) == 10_000
    assert acks.confirmed(3, now=95_000) is None, "each answer measures once"
    assert acks.confirmed(1, now=95_000) is None, "older ones are settled by it"
    assert decide(acks, 2, now=200_000) is AckKind.NONE
    assert acks.due_at is None


def test_room_after_a_full_buffer_is_announced_without_other_news() -> None:
    acks = ack_schedule()
    assert decide(acks, 5, now=20_000, room=0) is AckKind.FULL
    acks.confirmed(acks.sent(AckKind.FULL, 5, now=20_000), now=21_000)
    acks.reopened(now=30_000)
    assert acks.due_at == 30_000
    assert decide(acks, 5, now=30_000, room=50) is AckKind.FULL


def test_acknowledgement_records_are_bounded() -> None:
    acks = ack_schedule()
    for number in range(3000):
        acks.sent(AckKind.SMALL, number, now=number)
    assert len(acks._records) == 1024
    assert acks.confirmed(1, now=5000) is None
    assert acks.confirmed(3000, now=5000) == 5000 - 2999


def test_without_tolerance_nothing_waits() -> None:
    tolerance = ReorderTolerance(0)
    assert not tolerance.is_active
    tolerance.came_late(5, 3)
    assert tolerance.tolerance == 0


def test_a_gap_is_reported_after_as_many_packets_as_are_tolerated() -> None:
    tolerance = ReorderTolerance(3)
    tolerance.add(10, 12)
    assert [tolerance.arrived(in_order=False) for _ in range(3)] == [[], [], [(10, 12)]]


def test_tolerance_rises_with_distance_and_falls_with_order() -> None:
    tolerance = ReorderTolerance(10)
    tolerance.arrived(50)
    assert tolerance.tolerance == 9
    for _ in range(9):
        tolerance.arrived(50)
    assert tolerance.tolerance == 0
    tolerance.came_late(5, 4)
    assert tolerance.tolerance == 4
    tolerance.came_late(5, 40)
    assert tolerance.tolerance == 10


def test_the_receive_rate_is_that_of_a_steady_stream_and_zero_after_silence() -> None:
    rate = ReceiveRate()
    assert rate.per_second(now=0) == (0, 0)
    for tick in range(200):
        rate.arrived(8, 8 * 1360, now=tick * 4_000)
    packets, size = rate.per_second(now=199 * 4_000)
    assert 1980 <= packets <= 2020
    assert 1980 * 1360 <= size <= 2020 * 1360
    assert rate.per_second(now=10 * SECOND) == (0, 0)


def test_the_link_capacity_comes_from_pairs_told_apart() -> None:
    capacity = LinkCapacity()
    assert capacity.estimate == 1000
    for pair in range(16):
        capacity.arrived(16 * pair, 1456, 1456, now=pair * 10_000)
        capacity.arrived(16 * pair + 1, 1456, 1456, now=pair * 10_000 + 100)
    assert capacity.estimate == 10_000
    capacity.arrived(1024, 1456, 1456, now=SECOND)
    capacity.arrived(1025, 1456, 1456, now=SECOND)
    assert capacity.estimate == 10_000, "a pair that arrived at once says nothing"
