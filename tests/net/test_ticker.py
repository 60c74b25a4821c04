"""The kernel's own tick, where there is one."""

from __future__ import annotations

import sys

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from terzetto.net.coalesce import CoalescingReader
from terzetto.net.ticker import KernelTicker, has_kernel_ticker

from .endpoints import opened, pair, small_options, to

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has timerfd")


async def test_ticks_come_at_their_period() -> None:
    ticker = KernelTicker()
    began = trio.current_time()
    for _ in range(10):
        await ticker.wait(0.01)
    assert trio.current_time() - began >= 0.099
    ticker.close()


async def test_several_missed_ticks_count_as_one() -> None:
    ticker = KernelTicker()
    await ticker.wait(0.01)
    await trio.sleep(0.055)
    began = trio.current_time()
    for _ in range(6):
        await ticker.wait(0.01)
    # The first comes at once for all that were missed, and the next one some time within its period.
    assert trio.current_time() - began > 0.035
    ticker.close()


async def test_after_a_rest_the_next_tick_is_a_whole_period_away() -> None:
    ticker = KernelTicker()
    await ticker.wait(0.01)
    ticker.rest()
    await trio.sleep(0.03)
    began = trio.current_time()
    await ticker.wait(0.02)
    assert trio.current_time() - began >= 0.019
    ticker.close()


async def test_closing_wakes_whoever_waits_and_is_harmless_twice() -> None:
    ticker = KernelTicker()

    async def wait() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await ticker.wait(10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        ticker.close()
    ticker.close()


async def test_a_clock_that_jumps_is_not_held_up_by_the_kernels(autojump_clock: MockClock) -> None:
    assert not has_kernel_ticker()
    async with opened(small_options()) as (endpoint,):
        began = trio.current_time()
        await endpoint.wait_tick(1000)
        assert trio.current_time() - began == 1000


async def test_a_reader_ticks_by_it_and_falls_back_to_waiting() -> None:
    async with pair() as (sending, receiving):
        reader = CoalescingReader(receiving, tick=0.01)
        await sending.send(to(receiving, [b"one"]))
        assert await reader.receive()
        await sending.send(to(receiving, [b"two"]))
        began = trio.current_time()
        assert await reader.receive()
        assert trio.current_time() - began >= 0.009
        for _ in range(3):
            assert await reader.receive() == []
        assert not reader.flowing
        with trio.move_on_after(0.05) as waiting:
            await reader.receive()
        assert waiting.cancelled_caught


async def test_a_closed_endpoint_ticks_no_more() -> None:
    async with opened(small_options()) as (endpoint,):
        endpoint.close()
        with pytest.raises(trio.ClosedResourceError):
            await endpoint.wait_tick(0.001)
