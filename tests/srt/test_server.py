"""Servers: one publisher to many, slow readers that nobody else notices, and an end that lets everybody finish."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from terzetto.errors import ConnectionRefusedByPeer
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.srt.api import open_srt_stream
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.events import ConnectionRefused
from terzetto.srt.fan_out import SlowReader, Subscriber
from terzetto.srt.listening import SrtRefusal
from terzetto.srt.options import SrtOptions
from terzetto.srt.server import PublishSubscribe, SrtHandler, SrtServer, serve_srt
from terzetto.srt.stream import SrtStream

PAYLOAD = 1316


class World:
    """A server and, for each caller, a host of its own."""

    def __init__(self, handler: SrtHandler) -> None:
        self.network = SimulatedNetwork(seed=9)
        self.studio = self.network.add_host("studio")
        self.handler = handler
        self._hosts = 0

    @asynccontextmanager
    async def serving(self, query: str = "", **more: object) -> AsyncIterator[SrtServer]:
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[SrtServer]) -> None:
                await serve_srt(self.handler, f"srt://:9000?{query}", task_status=task_status, **more)  # type: ignore[arg-type]

            with use_network(self.studio):
                server: SrtServer = await nursery.start(serve)
            yield server
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def caller(self, stream_id: str, query: str = "", **conditions: float) -> AsyncIterator[SrtStream]:
        self._hosts += 1
        host = self.network.add_host(f"caller{self._hosts}")
        self.network.connect(host, self.studio, LinkConditions(**{"delay": 0.005, **conditions}))  # type: ignore[arg-type]
        with use_network(host):
            url = f"srt://studio:9000?{query}"
            async with open_srt_stream(url, stream_id=stream_id, read_tick=0.02) as stream:
                yield stream


def payload(number: int) -> bytes:
    return b"%08d" % number + bytes(180)


async def numbers(stream: SrtStream) -> list[int]:
    got: list[int] = []
    try:
        while True:
            got += [int(bytes(packet.payload[:8])) for packet in await stream.receive_packets()]
    except trio.EndOfChannel:
        return got


@pytest.mark.slow
async def test_fifty_subscribers_and_one_that_is_stalled(autojump_clock: trio.testing.MockClock) -> None:
    """The stalled one is disconnected or loses what it cannot take; nobody else misses or waits for a packet."""
    handler = PublishSubscribe(queue=64)
    world = World(handler)
    results: list[list[int]] = []
    ready = 0

    async def subscribe() -> None:
        nonlocal ready
        async with world.caller("#!::r=live/cam,m=request", "latency=60") as stream:
            ready += 1
            results.append(await numbers(stream))

    async def stall() -> None:
        nonlocal ready
        async with world.caller("#!::r=live/cam,m=request", "latency=60") as stream:
            ready += 1
            world.network.partition("caller2", "studio", world.network.elapsed() / 1e6, 1e6)
            await numbers(stream)

    async with world.serving("latency=60", read_tick=0.02), trio.open_nursery() as nursery:
        async with world.caller("#!::r=live/cam,m=publish", "latency=60") as publisher:
            await trio.sleep(0.1)
            nursery.start_soon(stall)
            await trio.sleep(0.2)
            for _ in range(49):
                nursery.start_soon(subscribe)
            await trio.sleep(1)
            assert ready == 50
            [topic] = handler.topics()
            assert len(topic.subscribers) == 50
            for number in range(40):
                await publisher.send_packet(payload(number))
                await trio.sleep(0.01)
        await trio.sleep(1)
        assert len(results) == 49
        nursery.cancel_scope.cancel()
    assert all(result == list(range(40)) for result in results)


class Stuck:
    """A stream that takes nothing, and says so, until it is let go."""

    payload_size = 1316

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.go = trio.Event()

    def send_packets_nowait(self, payloads: list[bytes]) -> None:
        raise trio.WouldBlock

    async def send_packets(self, payloads: list[bytes]) -> None:
        await self.go.wait()
        self.taken += payloads

    async def receive_some(self) -> bytes:
        await trio.Event().wait()
        return b""


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (SlowReader.DROP_OLDEST, [1, 6, 7, 8, 9]),
        (SlowReader.DROP_NEWEST, [1, 2, 3, 4, 5]),
        (SlowReader.DISCONNECT, [1]),
    ],
)
async def test_what_a_slow_reader_loses_has_a_name(
    autojump_clock: trio.testing.MockClock, policy: SlowReader, left: list[int]
) -> None:
    stuck = Stuck()
    subscriber = Subscriber(stuck, limit=4, policy=policy)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscriber.run)
        subscriber.offer([b"1"])
        await trio.testing.wait_all_tasks_blocked()
        for number in range(2, 10):
            subscriber.offer([b"%d" % number])
        subscriber.end()
        stuck.go.set()
    assert [int(piece) for piece in stuck.taken] == left
    assert subscriber.was_too_slow is (policy is SlowReader.DISCONNECT)
    assert subscriber.shed >= 1


@pytest.mark.parametrize(
    ("stream_id", "code"),
    [("#!::r=live/none", 1404), ("#!::r=live/cam,m=publish", 1409), ("", 1400), ("publish:live/cam", 1409)],
)
async def test_what_cannot_be_served_is_refused_with_the_reason(
    autojump_clock: trio.testing.MockClock, stream_id: str, code: int
) -> None:
    told: list[ConnectionRefused] = []

    class Handler(PublishSubscribe):
        async def refused(self, refusal: ConnectionRefused) -> None:
            told.append(refusal)

    world = World(Handler())
    async with world.serving() as server, world.caller("#!::r=live/cam,m=publish"):
        await trio.sleep(0.1)
        with pytest.raises(ConnectionRefusedByPeer) as caught:
            async with world.caller(stream_id):
                pass  # pragma: no cover
        await trio.sleep(0.1)
        assert server.refused == 1
    assert caught.value.code == code
    assert told[0].code == code
    assert told[0].reason


async def test_each_caller_has_terms_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    class Handler(PublishSubscribe):
        async def admit(
            self, request: ConnectionRequest, name: str, *, publishes: bool
        ) -> SrtOptions | SrtRefusal | None:
            if publishes:
                return SrtOptions(passphrase="publishers-only", latency=0.3)
            return None if request.name.user == "bob" else SrtRefusal(1401, "who are you?")

    world = World(Handler(waits=True))
    async with world.serving("latency=80"):
        async with world.caller("#!::r=a,u=bob", "latency=200") as bob:
            assert bob.latency == 0.2
            async with world.caller("#!::r=a,m=publish", "passphrase=publishers-only") as publisher:
                assert publisher.peer_latency == 0.3
                await publisher.send_packet(payload(5))
                assert int(bytes((await bob.receive_packet()).payload[:8])) == 5
        with pytest.raises(ConnectionRefusedByPeer, match="1401"):
            async with world.caller("#!::r=a,u=eve"):
                pass  # pragma: no cover


async def test_an_orderly_end_lets_subscribers_have_the_rest(autojump_clock: trio.testing.MockClock) -> None:
    world = World(PublishSubscribe())
    got: list[int] = []
    ended = trio.Event()

    async def subscribe() -> None:
        async with world.caller("live/cam") as stream:
            got.extend(await numbers(stream))
            ended.set()

    async with world.serving() as server, trio.open_nursery() as nursery:
        async with world.caller("publish:live/cam") as publisher:
            await trio.sleep(0.1)
            nursery.start_soon(subscribe)
            await trio.sleep(0.3)
            await publisher.send_packets([payload(number) for number in range(40)])
            await trio.sleep(0.2)
            server.shut_down(grace=3)
            with trio.fail_after(10):
                await ended.wait()
    assert got == list(range(40))


async def test_a_handler_that_fails_ends_its_own_connection_only(
    autojump_clock: trio.testing.MockClock,
) -> None:
    failures: list[Exception] = []

    class Echo(SrtHandler):
        async def serve(self, stream: SrtStream) -> None:
            if stream.stream_id == "bad":
                raise RuntimeError("a bug")
            async for chunk in stream:
                await stream.send_all(chunk)

        async def failed(self, stream: SrtStream, error: Exception) -> None:
            failures.append(error)

    world = World(Echo())
    async with world.serving() as server, world.caller("good") as good:
        async with world.caller("bad") as bad:
            assert await bad.receive_some() == b""
        await good.send_all(b"still here")
        assert await good.receive_some() == b"still here"
        assert len(server.streams) == 1
    assert [str(error) for error in failures] == ["a bug"]


async def test_one_server_takes_live_media_files_and_messages(autojump_clock: trio.testing.MockClock) -> None:
    class Any(SrtHandler):
        async def authorize(self, request: ConnectionRequest) -> SrtOptions | SrtRefusal | None:
            return SrtOptions(transmission_type=request.transmission_type, message_api=request.message_api)

        async def serve(self, stream: SrtStream) -> None:
            if stream.is_byte_stream:
                await stream.send_all(b"bytes " + await stream.receive_some())
            elif stream.options.transmission_type == "file":
                await stream.send_message(b"message " + bytes((await stream.receive_message()).payload))
            else:
                await stream.send_packet(b"live " + bytes((await stream.receive_packet()).payload))

    world = World(Any())
    async with world.serving():
        for query, answer in (
            ("transtype=live", b"live x"),
            ("transtype=file", b"bytes x"),
            ("transtype=file&messageapi=1", b"message x"),
        ):
            async with world.caller("x", query) as stream:
                await stream.send_all(b"x")
                assert await stream.receive_some() == answer
