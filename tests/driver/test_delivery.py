"""Packets reach their one reader, or a consumer at once; events reach everybody who listens, until they stop."""

from __future__ import annotations

import gc

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from terzetto.driver.delivery import EventHub, PacketQueue


async def test_every_listener_hears_every_event_in_order() -> None:
    hub = EventHub[int]()
    one, other = hub.listen(), hub.listen()
    for number in range(5):
        hub.publish(number)
    hub.close()
    assert [event async for event in one] == [event async for event in other] == [0, 1, 2, 3, 4]


async def test_a_late_listener_hears_what_happened_lately() -> None:
    hub = EventHub[int]()
    for number in range(100):
        hub.publish(number)
    hub.close()
    assert [event async for event in hub.listen()] == list(range(100 - 64, 100))


async def test_a_listener_that_pauses_misses_the_oldest() -> None:
    hub = EventHub[int]()
    listener = hub.listen()
    for number in range(1000):
        hub.publish(number)
    hub.close()
    assert [event async for event in listener] == list(range(1000 - 256, 1000))


async def test_a_waiting_listener_is_woken_by_an_event_and_by_the_end() -> None:
    hub, heard = EventHub[str](), list[str]()

    async def listen() -> None:
        heard.extend([event async for event in hub.listen()])
        heard.append("end")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await wait_all_tasks_blocked()
        hub.publish("something")
        await wait_all_tasks_blocked()
        hub.close()
    assert heard == ["something", "end"]


async def test_a_loop_left_by_break_leaves_nothing_behind() -> None:
    hub = EventHub[int]()
    hub.publish(1)
    async for event in hub.listen():
        assert event == 1
        break
    gc.collect()  # a ResourceWarning would fail this test
    hub.publish(2)
    assert hub._living() == []


async def test_cancelled_while_waiting_it_has_taken_nothing() -> None:
    hub = EventHub[int]()
    listener = hub.listen()
    with trio.move_on_after(0):
        await anext(listener)
    hub.publish(1)
    assert await anext(listener) == 1


async def test_closed_it_ends() -> None:
    listener = EventHub[int]().listen()
    await listener.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(listener)


async def test_a_consumer_gets_what_waits_and_then_everything_at_once(autojump_clock: MockClock) -> None:
    queue = PacketQueue[int](100)
    queue.put([1])
    queue.put([2, 3])
    got: list[list[int]] = []
    queue.divert(got.append)
    assert got == [[1, 2, 3]]
    queue.put([4])
    assert got == [[1, 2, 3], [4]]
    assert len(queue) == 0


async def test_without_its_consumer_a_queue_is_a_queue_again(autojump_clock: MockClock) -> None:
    queue = PacketQueue[int](100)
    got: list[list[int]] = []
    queue.divert(got.append)
    queue.put([1])
    queue.divert(None)
    queue.put([2])
    assert got == [[1]]
    assert await queue.get() == [2]


async def test_whoever_waits_beside_a_consumer_is_woken_by_the_end_alone(autojump_clock: MockClock) -> None:
    queue = PacketQueue[int](100)
    queue.divert(lambda packets: None)
    ended = trio.Event()

    async def wait() -> None:
        assert await queue.get() == []
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        queue.put([1, 2])
        await wait_all_tasks_blocked()
        assert not ended.is_set()
        queue.end()
        with trio.fail_after(1):
            await ended.wait()


async def test_beyond_its_limit_the_oldest_batches_are_shed(autojump_clock: MockClock) -> None:
    queue = PacketQueue[int](4)
    for number in range(5):
        queue.put([2 * number, 2 * number + 1])
    assert queue.shed == 6
    assert await queue.get() == [6, 7, 8, 9]
