from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.core.advanced_timeline import Framing, ReceiveTimeline, SendTimeline, widen
from tests.strategies import u32

MASK = 0xFFFF_FFFF


@given(u32, st.integers(-32_768, 32_767))
def test_a_short_sequence_means_the_nearest_long_one(near: int, ahead: int) -> None:
    wanted = (near + ahead) & MASK
    assert widen(wanted & 0xFFFF, near) == wanted


@given(u32)
def test_a_flow_goes_on_from_main_without_a_gap(first: int) -> None:
    timeline = ReceiveTimeline(2)
    in_main = [timeline.of_main((first + n) & 0xFFFF) for n in range(5)]
    wire = [(first + n) & MASK for n in range(5, 10)]
    shift = timeline.advanced_shift(wire)
    in_advanced = [(each - shift) & MASK for each in wire]
    told = in_main + in_advanced
    assert [(each - told[0]) & MASK for each in told] == list(range(10))
    # What is missing is asked for in the sender's own counting.
    assert timeline.on_the_wire(in_advanced) == wire


def test_time_runs_on_when_the_clock_of_the_packets_changes() -> None:
    timeline = ReceiveTimeline(2)
    # Main: 90 kHz, a packet every 10 ms, from just before its wrap.
    ticks = (1 << 32) - 1000
    times = []
    for n in range(5):
        micros = timeline.micros_of((ticks + 900 * n) & MASK, 90_000)
        times.append(timeline.time(Framing.MAIN, micros, now=10_000 * n))
        timeline.heard(Framing.MAIN, times[-1], now=10_000 * n)
    # Advanced: microseconds from anywhere.
    for n in range(5, 10):
        times.append(timeline.time(Framing.ADVANCED, 77_000_000 + 10_000 * n, now=10_000 * n))
        timeline.heard(Framing.ADVANCED, times[-1], now=10_000 * n)
    assert [(b - a) & MASK for a, b in itertools.pairwise(times)] == [10_000] * 9
    # A straggler of before the change keeps its place.
    assert (timeline.time(Framing.MAIN, timeline.micros_of(ticks & MASK, 90_000), now=100_000)) == times[0]


def test_reports_are_read_in_the_clock_that_makes_sense() -> None:
    timeline = ReceiveTimeline(2)
    timeline.heard(Framing.MAIN, timeline.time(Framing.MAIN, timeline.micros_of(900_000, 90_000), 0), 0)
    start = timeline.time_of_report(900_000, 0)
    timeline.heard(Framing.ADVANCED, timeline.time(Framing.ADVANCED, 5_000_000, 1000), 1000)
    assert (timeline.time_of_report(5_000_000, 1000) - start) & MASK == 1000
    assert (timeline.time_of_report(900_180, 2000) - start) & MASK == 2000


def test_without_a_clock_packets_have_the_time_of_those_they_came_with() -> None:
    timeline = ReceiveTimeline(2)
    assert timeline.arrivals([10, 11, 12], 1000) == [1000] * 3
    assert timeline.arrivals([13, 14], 2000) == [2000] * 2
    assert timeline.arrival_of(11, 9000) == 1000
    assert timeline.arrival_of(14, 9000) == 2000
    assert timeline.arrival_of(3, 9000) == 1000
    assert timeline.arrivals([14], 5000) == [2000]  # a copy
    assert timeline.arrivals([15], 6000) == [6000]
    # A source that begins to count anew is no straggler.
    assert timeline.arrivals([(15 - 70_000) & MASK], 7000) == [7000]
    assert timeline.arrivals([(16 - 70_000) & MASK], 8000) == [8000]


def test_what_is_remembered_of_arrivals_is_bounded() -> None:
    timeline = ReceiveTimeline(2)
    for n in range(20_000):
        timeline.arrivals([n], n)
    assert len(timeline._mark_times) <= 8192
    assert timeline.arrival_of(19_000, 0) == 19_000


@given(st.lists(st.integers(-1000, 1_000_000), max_size=40), u32)
def test_ticks_run_on_over_the_wrap_of_microseconds(steps: list[int], start: int) -> None:
    timeline = SendTimeline(90_000)
    assert timeline.ticks(start) == start * 9 // 100 & MASK
    moment = start
    for step in steps:
        moment = max(moment + step, 0)
        assert timeline.ticks(moment & MASK) == moment * 9 // 100 & MASK


def test_a_late_repeat_does_not_set_the_clock() -> None:
    timeline = ReceiveTimeline(2)
    timeline.heard(Framing.MAIN, timeline.time(Framing.MAIN, 1_000_000, 0), 0)
    assert timeline.time(Framing.ADVANCED, 500_000, now=400_000, is_late=True) == 1_000_000
    assert timeline.time(Framing.ADVANCED, 910_000, now=10_000) == 1_010_000
