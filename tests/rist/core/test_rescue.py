"""What goes again when a path falls silent, and how fast."""

from __future__ import annotations

from terzetto.rist.core.rescue import Rescue

MS = 1000


def owed(rescue: Rescue, now: int) -> list[list[int]]:
    """Everything that is due from now on, step by step."""
    steps = []
    while (due := rescue.next_timeout()) is not None:
        now = max(now, due)
        steps.append(rescue.due(now))
    return steps


def test_what_was_given_to_a_silent_path_since_it_was_last_known_to_work_is_due_once() -> None:
    rescue = Rescue(window=1000 * MS)
    for number in range(10):
        rescue.carried(number % 2, 5 * number, 5 * number + 5, now=number * 100 * MS)
    assert rescue.next_timeout() is None
    rescue.doubt(0, since=450 * MS, now=900 * MS)
    assert rescue.due(899 * MS) == []
    assert owed(rescue, 900 * MS) == [[30, 31, 32, 33, 34, 40, 41, 42, 43, 44]]
    rescue.doubt(0, since=450 * MS, now=950 * MS)
    assert owed(rescue, 950 * MS) == []


def test_what_is_older_than_the_buffer_is_let_go() -> None:
    rescue = Rescue(window=1000 * MS)
    for number in range(4000):
        rescue.carried(0, number, number + 1, now=number * MS)
    assert len(rescue._carried[0]) <= 1002
    rescue.doubt(0, since=None, now=3999 * MS)
    sequences = [sequence for step in owed(rescue, 3999 * MS) for sequence in step]
    assert sequences == list(range(2999, 4000))


def test_a_path_that_said_goodbye_is_not_doubted() -> None:
    rescue = Rescue(window=1000 * MS)
    rescue.carried(0, 0, 100, now=0)
    rescue.leave(0)
    rescue.doubt(0, since=None, now=1)
    assert rescue.next_timeout() is None


def test_what_is_owed_leaves_in_small_steps_or_in_an_eighth_of_a_second() -> None:
    rescue = Rescue(window=1000 * MS)
    rescue.carried(0, 0, 100, now=0)
    rescue.doubt(0, since=None, now=0)
    assert [len(step) for step in owed(rescue, 0)] == [24, 24, 24, 24, 4]
    rescue.carried(0, 100, 10_100, now=0)
    rescue.doubt(0, since=None, now=0)
    began = now = rescue.next_timeout() or 0
    while (due := rescue.next_timeout()) is not None:
        now = due
        rescue.due(now)
    assert now - began <= 125 * MS
