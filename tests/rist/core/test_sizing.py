"""The adapting recovery buffer."""

from __future__ import annotations

import itertools

from terzetto.rist.core.sizing import BufferSizer

MS = 1000


def fresh(shortest: int = 100 * MS, longest: int = 1000 * MS, **more: int) -> BufferSizer:
    return BufferSizer(shortest, longest, multiplier=7, reorder=15 * MS, now=0, **more)


def live(sizer: BufferSizer, start: int, end: int, *, round_trip: int) -> list[int]:
    """Call it whenever it wants to be called; the lengths it went through."""
    lengths = [sizer.current]
    now = start
    while (due := sizer.next_timeout()) is not None and due <= end:
        now = max(now, due)
        sizer.handle_timeout(now=now, round_trip=round_trip)
        lengths.append(sizer.current)
    return lengths


def test_equal_limits_fix_the_length() -> None:
    sizer = fresh(500 * MS, 500 * MS)
    sizer.note_lost(1000)
    assert sizer.is_fixed
    assert sizer.next_timeout() is None
    assert not sizer.handle_timeout(now=10**9, round_trip=10**6)
    assert sizer.current == 500 * MS


def test_it_begins_midway() -> None:
    assert fresh().current == 550 * MS


def test_a_long_round_trip_makes_it_grow_in_small_steps() -> None:
    sizer = fresh()
    lengths = live(sizer, 0, 10_000 * MS, round_trip=120 * MS)
    assert lengths[-1] == 7 * 120 * MS + 15 * MS
    steps = [b - a for a, b in itertools.pairwise(lengths)]
    assert min(steps) >= 0
    assert max(steps) <= 4 * MS


def test_losses_make_it_grow() -> None:
    sizer = fresh()
    sizer.note_lost(10)
    assert sizer.handle_timeout(now=2_000 * MS, round_trip=80 * MS)
    assert sizer.target == (7 * 80 + 15) * MS * 150 // 100


def test_many_losses_make_it_as_long_as_it_may_be() -> None:
    sizer = fresh()
    sizer.note_lost(26)
    sizer.handle_timeout(now=2_000 * MS, round_trip=1 * MS)
    assert sizer.target == 1000 * MS


def test_recoveries_that_took_many_requests_count_too() -> None:
    sizer = fresh()
    for requests in (1, 2, 3, 3, 4, 9):
        sizer.note_recovered(requests)
    sizer.handle_timeout(now=2_000 * MS, round_trip=100 * MS)
    assert sizer.target == 715 * MS * 106 // 100


def test_it_gives_length_back_slowly() -> None:
    sizer = fresh()
    lengths = live(sizer, 0, 60_000 * MS, round_trip=5 * MS)
    assert lengths[-1] == 100 * MS
    drops = [a - b for a, b in itertools.pairwise(lengths)]
    assert max(drops) <= 1 * MS
    sizer = fresh()
    sizer.handle_timeout(now=2_000 * MS, round_trip=5 * MS)
    assert sizer.target == 500 * MS, "at most 50 ms less at a time"


def test_it_leaves_room_for_the_fewest_requests() -> None:
    sizer = fresh(100 * MS, 3000 * MS, min_requests=30, request_floor=50 * MS)
    live(sizer, 0, 60_000 * MS, round_trip=20 * MS)
    assert sizer.current == 30 * 50 * MS + 15 * MS


def test_it_stays_within_its_limits() -> None:
    sizer = fresh()
    assert max(live(sizer, 0, 20_000 * MS, round_trip=10_000 * MS)) == 1000 * MS
    assert min(live(sizer, 20_000 * MS, 200_000 * MS, round_trip=0)) == 100 * MS


def test_it_waits_no_longer_than_the_sender_can_repeat() -> None:
    one = fresh(200 * MS, 2_000 * MS)
    one.limit(700_000)
    assert one.target == 700_000
    for now in range(0, 10_000_000, 20_000):
        one.note_lost(30)
        one.handle_timeout(now=now, round_trip=50_000)
    assert one.current == 700_000
    one.limit(100_000)
    for now in range(10_000_000, 20_000_000, 20_000):
        one.note_lost(30)
        one.handle_timeout(now=now, round_trip=50_000)
    assert one.current == 200_000, "less than what the user wants it is not"
    assert one.next_timeout() is None
