"""Holding packets until they are due."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.core.playout import Inserted, Playout, Slot


def slot(deadline: int, payload: bytes = b"x") -> Slot:
    return (deadline, deadline - 1000, payload, 0)


def holding(*sequences: int, begin: int = 0) -> Playout:
    """A playout in which each packet is due at ten times its number."""
    playout = Playout()
    playout.begin(begin)
    for sequence in sequences:
        assert playout.insert(sequence, slot(10 * sequence)) is Inserted.STORED
    return playout


def released(playout: Playout, now: int) -> list[tuple[int, int]]:
    return [(packet.sequence, packet.lost_before) for packet in playout.release(now, 1)]


def test_packets_leave_when_they_are_due_in_order() -> None:
    playout = holding(2, 0, 1)
    assert playout.next_deadline() == 0
    assert released(playout, 10) == [(0, 0), (1, 0)]
    assert playout.next_deadline() == 20
    assert released(playout, 19) == []
    assert released(playout, 20) == [(2, 0)]
    assert playout.next_deadline() is None


def test_a_hole_is_waited_for_until_the_next_packet_is_due() -> None:
    playout = holding(0, 3)
    assert released(playout, 29) == [(0, 0)]
    assert playout.insert(2, slot(20)) is Inserted.STORED
    assert playout.next_deadline() == 20
    assert released(playout, 29) == [(2, 1)]
    assert released(playout, 30) == [(3, 0)]


def test_a_hole_that_stays_is_skipped_and_marked_on_the_packet_after_it() -> None:
    assert released(holding(0, 4), 40) == [(0, 0), (4, 3)]


def test_nothing_is_stored_twice() -> None:
    playout = holding(0, 1)
    assert playout.insert(1, slot(10, b"again")) is Inserted.DUPLICATE
    released(playout, 10)
    assert playout.insert(1, slot(10)) is Inserted.DUPLICATE


def test_what_was_given_up_comes_too_late_once_and_then_twice() -> None:
    playout = holding(0, 2)
    released(playout, 20)
    assert playout.insert(1, slot(10)) is Inserted.TOO_LATE
    assert playout.insert(1, slot(10)) is Inserted.DUPLICATE


def test_the_beginning_moves_back_until_something_has_left() -> None:
    playout = holding(200, begin=200)
    assert playout.insert(198, slot(1980)) is Inserted.STORED
    assert playout.insert(198 - 129, slot(0)) is not Inserted.STORED, "nobody is overtaken by so many"
    assert released(playout, 2000) == [(198, 0), (200, 1)]
    assert playout.insert(197, slot(1970)) is Inserted.DUPLICATE


def test_what_lies_too_far_ahead_has_no_room() -> None:
    playout = holding(0)
    assert playout.insert(65_536, slot(5)) is Inserted.FULL
    assert playout.insert(65_535, slot(5)) is Inserted.STORED
    assert not playout.has_room(65_536)


def test_a_long_hole_is_stepped_over() -> None:
    playout = holding(0, 60_000)
    assert released(playout, 10**9) == [(0, 0), (60_000, 59_999)]
    assert playout.insert(59_990, slot(0)) is Inserted.TOO_LATE
    assert playout.insert(5, slot(0)) is Inserted.DUPLICATE, "so many holes are not remembered"


@given(steps=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 1000), st.booleans()), max_size=200))
def test_whatever_comes_in_what_leaves_is_in_order_once_and_accounted_for(
    steps: list[tuple[int, int, bool]],
) -> None:
    playout = Playout()
    playout.begin(100)
    out: list[tuple[int, int]] = []
    stored: set[int] = set()
    now = 0
    for sequence, time, then_release in steps:
        if playout.insert(sequence, slot(now + time)) is Inserted.STORED:
            stored.add(sequence)
        due = playout.next_deadline()
        assert (due is None) == (len(playout) == 0)
        if then_release:
            now += time
            out += released(playout, now)
            due = playout.next_deadline()
            assert due is None or due > now
    out += released(playout, 10**9)
    numbers = [number for number, _ in out]
    assert numbers == sorted(stored)
    for (before, _), (after, lost) in itertools.pairwise(out):
        assert after - before == lost + 1
