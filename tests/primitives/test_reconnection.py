"""When to try again, and when to stop."""

from __future__ import annotations

import random

import pytest

from terzetto.errors import InvalidOption
from terzetto.primitives.reconnection import Reconnection, RetrySchedule

SECOND = 1_000_000


def waits(policy: Reconnection, count: int, seed: int = 1) -> list[int | None]:
    """The waits of a row of failures, each try failing at once."""
    schedule = RetrySchedule(policy, entropy=random.Random(seed).randbytes)
    now = 0
    result: list[int | None] = []
    for _ in range(count):
        wait = schedule.failed(now=now)
        result.append(wait)
        now += wait or 0
    return result


def test_waits_grow_up_to_the_longest() -> None:
    policy = Reconnection(initial=1, factor=2, longest=5, jitter=0)
    assert waits(policy, 5) == [SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND, 5 * SECOND]


def test_chance_takes_its_part_and_no_more() -> None:
    for seed in range(50):
        wait = waits(Reconnection(initial=2, jitter=0.5), 1, seed)[0]
        assert wait is not None
        assert SECOND <= wait <= 2 * SECOND


def test_the_same_seed_waits_the_same() -> None:
    assert (
        waits(Reconnection(), 9, seed=5)
        == waits(Reconnection(), 9, seed=5)
        != waits(Reconnection(), 9, seed=6)
    )


def test_it_gives_up_after_so_many_failures() -> None:
    tried = waits(Reconnection(most_attempts=3), 3)
    assert [wait is None for wait in tried] == [False, False, True]


def test_it_gives_up_after_so_long() -> None:
    tried = waits(Reconnection(initial=1, factor=1, jitter=0, give_up_after=2.5), 3)
    assert tried == [SECOND, SECOND, None]


def test_success_begins_anew() -> None:
    schedule = RetrySchedule(
        Reconnection(initial=1, jitter=0, most_attempts=2), entropy=random.Random(1).randbytes
    )
    assert schedule.failed(now=0) == SECOND
    schedule.succeeded()
    assert schedule.failed(now=99 * SECOND) == SECOND
    assert schedule.failed(now=100 * SECOND) is None


def test_many_failures_in_a_row_overflow_nothing() -> None:
    assert waits(Reconnection(factor=100, longest=9, jitter=0), 2000)[-1] == 9 * SECOND


@pytest.mark.parametrize(
    "wrong",
    [
        {"initial": 0},
        {"longest": -1},
        {"factor": 0.5},
        {"jitter": 2},
        {"most_attempts": 0},
        {"give_up_after": -1},
    ],
)
def test_a_policy_that_cannot_be_says_why(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidOption, match=next(iter(wrong))):
        Reconnection(**wrong)  # type: ignore[arg-type]
