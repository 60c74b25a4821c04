from __future__ import annotations

import random

import trio
from trio.testing import MockClock

from terzetto.driver.reconnecting import ReconnectEvent, Reconnector
from terzetto.primitives.reconnection import ReconnectGivenUp, Reconnection, ReconnectScheduled


def tries(policy: Reconnection | None) -> tuple[Reconnector, list[ReconnectEvent]]:
    told: list[ReconnectEvent] = []
    return Reconnector(policy, "there", entropy=random.Random(1).randbytes, tell=told.append), told


async def test_each_try_is_told_before_it_is_waited_for_and_so_is_giving_up(
    autojump_clock: MockClock,
) -> None:
    again, told = tries(Reconnection(initial=1, jitter=0, most_attempts=3))
    began = trio.current_time()
    assert await again.wait("no answer")
    assert await again.wait("refused")
    assert trio.current_time() - began == 3
    assert not await again.wait("refused again")
    assert told == [
        ReconnectScheduled("there", 1, 1.0, "no answer"),
        ReconnectScheduled("there", 2, 2.0, "refused"),
        ReconnectGivenUp("there", 3, "refused again"),
    ]


async def test_without_a_policy_nothing_follows_and_nothing_is_told(autojump_clock: MockClock) -> None:
    again, told = tries(None)
    again.succeeded()
    again.lasted(1000)
    assert not await again.wait("no answer")
    assert told == []


async def test_only_what_outlasted_the_longest_wait_counts_as_a_success(autojump_clock: MockClock) -> None:
    again, told = tries(Reconnection(initial=1, longest=8, jitter=0))
    for lasted in (8.0, 8.0, 8.1):
        again.lasted(lasted)
        assert await again.wait("broke off")
    again.succeeded()
    assert await again.wait("broke off")
    assert [event.delay for event in told if isinstance(event, ReconnectScheduled)] == [1, 2, 1, 1]
