"""From circular timestamps to our own time."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.core.source_clock import SourceClock

SECOND = 1_000_000


def test_a_wrap_is_no_jump_however_the_packets_around_it_are_ordered() -> None:
    clock = SourceClock(90_000)
    before = clock.source_time(0xFFFF_FFFF - 89_999)
    after = clock.source_time(90_000)
    overtaken = clock.source_time(0xFFFF_FFFF - 44_999)
    assert after - before == 2 * SECOND
    assert overtaken - before == SECOND // 2
    assert clock.source_time(180_000) - before == 3 * SECOND


@given(start=st.integers(0, 0xFFFF_FFFF), steps=st.lists(st.integers(0, 90_000 * 3600), max_size=40))
def test_time_runs_on_over_any_number_of_wraps(start: int, steps: list[int]) -> None:
    clock = SourceClock(90_000)
    ticks = start
    first = clock.source_time(ticks)
    for step in steps:
        ticks += step
        moment = clock.source_time(ticks & 0xFFFF_FFFF)
        assert abs((moment - first) - (ticks - start) * SECOND // 90_000) <= 1


def test_the_first_packet_sets_the_offset() -> None:
    clock = SourceClock(90_000)
    source_time = clock.source_time(90_000)
    clock.anchor(source_time, 5 * SECOND)
    assert clock.is_anchored
    assert clock.packet_time(clock.source_time(180_000)) == 6 * SECOND


def test_drift_is_followed_and_jitter_is_not() -> None:
    clock = SourceClock(90_000)
    chance = random.Random(4)
    clock.anchor(clock.source_time(0), 0)
    offsets = []
    for n in range(2048 * 20):
        source_time = n * 1000
        # The source's crystal is 50 ppm slow, the path adds up to 20 ms now and then.
        arrival = source_time * 1_000_050 // SECOND + (chance.random() < 0.3) * chance.randrange(20_000)
        clock.sample(source_time, arrival)
        offsets.append(clock.offset)
    assert abs(offsets[-1] - 2048 * 19.5 * 1000 * 50 // SECOND) < 200
    assert max(abs(b - a) for a, b in itertools.pairwise(offsets)) < 500


def test_a_backlog_counts_as_one_sample() -> None:
    clock = SourceClock(90_000)
    clock.anchor(0, 0)
    for n in range(1, 2040):
        clock.sample(n * 1000, n * 1000)
    for n in range(5000):  # half a second's worth, all of it read late
        clock.sample(2_040_000 + n * 100, 2_600_000)
    for n in range(2600, 2700):
        clock.sample(n * 1000, n * 1000)
    assert clock.offset == 0


def test_samples_from_before_an_anchor_are_forgotten() -> None:
    clock = SourceClock(90_000)
    clock.anchor(0, 0)
    for n in range(2047):
        clock.sample(n, SECOND + n)
    clock.anchor_to_wall_clock(-77)
    clock.sample(2047, SECOND + 2047)
    assert clock.offset == -77


def test_other_rates_count_in_their_own_ticks() -> None:
    clock = SourceClock(8_000)
    start = clock.source_time(0)
    assert clock.source_time(8_000) - start == SECOND
