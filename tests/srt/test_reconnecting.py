"""A stream that is made again, on a simulated network: what a user sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from terzetto.errors import AuthenticationFailed, PeerError, PeerTimedOut, UnsupportedOperation
from terzetto.net.network import use_network
from terzetto.primitives.reconnection import ReconnectGivenUp, Reconnection, ReconnectScheduled
from terzetto.srt.api import open_srt_stream
from terzetto.srt.events import PeerClosed, PeerConnected, PeerLost, SrtEvent
from terzetto.srt.listening import SrtListener
from terzetto.srt.reconnecting import SrtReconnectingStream
from terzetto.srt.stream import SrtStream
from tests.srt.test_api import World

QUICK = Reconnection(initial=0.2, factor=1, jitter=0)
SHORT = "peeridletimeo=1000&latency=50"


@asynccontextmanager
async def kept(
    world: World, policy: Reconnection = QUICK
) -> AsyncIterator[tuple[SrtReconnectingStream, SrtListener]]:
    """A caller that calls again, and the listener."""
    async with world.listener(SHORT) as listener:
        with use_network(world.here):
            async with open_srt_stream(f"srt://there:9000?{SHORT}", reconnect=policy) as caller:
                yield caller, listener


async def events_so_far(stream: SrtReconnectingStream) -> list[SrtEvent]:
    events: list[SrtEvent] = []
    with trio.move_on_after(0.001):
        async for event in stream.events():
            events.append(event)
    return events


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (whatever the condition is)
        await trio.sleep(0.01)


def cut(world: World) -> Callable[[], None]:
    """Let nothing pass; what is returned mends it."""
    links = world.network.links_between(world.here, world.there)
    for link in links:
        link.cut()

    def mend() -> None:
        for link in links:
            link.mend()

    return mend


async def test_a_sender_goes_on_with_the_next_connection(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with kept(world) as (caller, listener):
        first = await listener.accept()
        await caller.send_packet(b"one")
        assert (await first.receive_packet()).payload == b"one"
        mend = cut(world)
        await until(lambda: not caller.is_connected)
        with pytest.raises(trio.WouldBlock):
            caller.send_packets_nowait([b"lost"])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.send_packet, b"two")
            mend()
            second = await listener.accept()
            assert (await second.receive_packet()).payload == b"two"
        events = await events_so_far(caller)
    kinds = [type(event) for event in events if isinstance(event, PeerConnected | PeerLost)]
    assert kinds == [PeerConnected, PeerLost, PeerConnected]
    tries = [event for event in events if isinstance(event, ReconnectScheduled)]
    assert [event.attempt for event in tries] == list(range(1, len(tries) + 1))
    assert "silent" in tries[0].reason
    assert tries[0].delay == 0.2


async def test_a_receiver_reads_what_came_before_and_what_comes_after(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with kept(World()) as (caller, listener), trio.open_nursery() as nursery:

        async def serve() -> None:
            for number in range(3):
                stream = await listener.accept()
                for index in range(5):
                    await stream.send_packet(b"%d" % (number * 5 + index))
                await stream.aclose()

        nursery.start_soon(serve)
        assert [(await caller.receive_packet()).payload for _ in range(15)] == [b"%d" % n for n in range(15)]
        events = await events_so_far(caller)
    assert sum(isinstance(event, PeerClosed) for event in events) >= 2


async def test_both_directions_go_on(autojump_clock: trio.testing.MockClock) -> None:
    async with kept(World()) as (caller, listener):
        for _ in range(3):
            stream: SrtStream = await listener.accept()
            await trio.sleep(0.05)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(caller.send_all, b"up" * 1000)
                nursery.start_soon(stream.send_packet, b"down")
                assert (await caller.receive_packet()).payload == b"down"
                data = b""
                while len(data) < 2000:
                    data += await stream.receive_some()
            assert caller.statistics().sent_unique == 2
            stream.abort()
            await until(lambda: caller.stream is None or not caller.stream.statistics().sent_unique)


async def test_giving_up_raises_what_went_wrong_last(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with kept(world, Reconnection(initial=0.2, most_attempts=3)) as (caller, listener):
        (await listener.accept()).abort()
        cut(world)
        with pytest.raises(PeerTimedOut):
            await caller.receive_packet()
        with pytest.raises(PeerTimedOut):
            await caller.send_packet(b"late")
        given_up = [event for event in await events_so_far(caller) if isinstance(event, ReconnectGivenUp)]
    assert [event.attempts for event in given_up] == [3]


async def test_a_goodbye_that_no_other_try_follows_is_an_error(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with kept(World(), Reconnection(most_attempts=1)) as (caller, listener):
        (await listener.accept()).abort()
        with pytest.raises(PeerError, match="goodbye"):
            await caller.receive_packet()


async def test_who_listens_takes_the_next_caller(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    received: list[bytes] = []

    async def listen(task_status: trio.TaskStatus[None]) -> None:
        with use_network(world.there):
            task_status.started()
            async with open_srt_stream(f"srt://:9000?{SHORT}", reconnect=QUICK) as stream:
                while len(received) < 3:
                    received.append(bytes((await stream.receive_packet()).payload))

    async with trio.open_nursery() as nursery:
        await nursery.start(listen)
        with use_network(world.here):
            for number in range(3):
                async with open_srt_stream(f"srt://there:9000?{SHORT}", connect_timeout=5.0) as caller:
                    await caller.send_packet(b"%d" % number)
                await trio.sleep(0.5)
    assert received == [b"0", b"1", b"2"]


async def test_the_first_connection_is_tried_once_and_says_what_is_wrong(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.listener("passphrase=correct-horse-battery"):
        with use_network(world.here), pytest.raises(AuthenticationFailed):
            async with open_srt_stream("srt://there:9000?passphrase=another-horse-entirely", reconnect=QUICK):
                pass


async def test_a_file_does_not_go_on_in_the_middle() -> None:
    with pytest.raises(UnsupportedOperation, match="live"):
        async with open_srt_stream("srt://there:9000?transtype=file", reconnect=QUICK):
            pass


async def test_closing_wakes_everybody_whether_connected_or_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for is_cut in (False, True):
        world = World()
        async with kept(world) as (caller, listener), trio.open_nursery() as nursery:
            stream = await listener.accept()
            if is_cut:
                stream.abort()
                cut(world)
                await until(lambda caller=caller: not caller.is_connected)  # type: ignore[misc]

            async def receive(caller: SrtReconnectingStream = caller) -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await caller.receive_packet()

            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            await caller.aclose()
            with pytest.raises(trio.ClosedResourceError):
                await caller.send_packet(b"late")
