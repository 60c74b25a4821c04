"""Events reach everybody who listens, and nobody has to say that they stopped listening."""

from __future__ import annotations

import gc

import pytest
import trio
import trio.testing

from terzetto.driver.delivery import EventHub


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
        await trio.testing.wait_all_tasks_blocked()
        hub.publish("something")
        await trio.testing.wait_all_tasks_blocked()
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
