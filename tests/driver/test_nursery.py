"""What leaves a session is one exception, and the right one."""

from __future__ import annotations

import pytest
import trio

from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import PeerTimedOut


async def fail(error: Exception, after: int = 0) -> None:
    for _ in range(after):
        await trio.lowlevel.checkpoint()
    raise error


async def test_the_error_of_a_task_arrives_plain() -> None:
    with pytest.raises(PeerTimedOut, match="silent"):
        async with open_session_nursery() as nursery:
            nursery.start_soon(fail, PeerTimedOut("silent"))
            await trio.sleep_forever()


async def test_the_error_of_the_block_wins_and_the_others_are_noted() -> None:
    with pytest.raises(KeyError) as caught:
        async with open_session_nursery() as nursery:

            async def fail_when_cancelled() -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    raise PeerTimedOut("silent too")

            nursery.start_soon(fail_when_cancelled)
            await trio.testing.wait_all_tasks_blocked()
            raise KeyError("mine")
    assert caught.value.__notes__ == ["also: PeerTimedOut: silent too"]


async def test_a_block_that_ends_cancels_the_tasks() -> None:
    async with open_session_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)


async def test_cancellation_from_outside_stays_cancellation() -> None:
    with trio.CancelScope() as scope:
        async with open_session_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_cancellation_does_not_hide_an_error_that_happened_too() -> None:
    with pytest.raises(PeerTimedOut), trio.CancelScope() as scope:
        async with open_session_nursery() as nursery:
            nursery.start_soon(fail, PeerTimedOut("at the same moment"))
            await trio.lowlevel.checkpoint()
            scope.cancel()
            await trio.sleep_forever()


async def test_a_group_that_the_block_raised_is_left_whole() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_session_nursery():
            raise ExceptionGroup("every path failed", [PeerTimedOut("one"), PeerTimedOut("two")])
    assert len(caught.value.exceptions) == 2


async def test_the_return_of_a_block_is_no_error() -> None:
    async def answer() -> int:
        async with open_session_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            return 42

    assert await answer() == 42
