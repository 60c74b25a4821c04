"""Streams and listeners on a simulated network: what a user sees."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

from terzetto.errors import (
    AuthenticationFailed,
    CallerError,
    ConnectionRefusedByPeer,
    InvalidUrl,
    PeerError,
    PeerTimedOut,
    UnsupportedOperation,
)
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.host import SimulatedHost
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.impairment import LinkConditions
from terzetto.srt.api import connect_srt_stream, open_srt_listener, open_srt_stream
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.events import ConnectionRefused, KeyRotated, PeerClosed, PeerConnected, SrtEvent
from terzetto.srt.listening import SrtListener, SrtRefusal
from terzetto.srt.options import SrtOptions
from terzetto.srt.stream import SrtStream
from terzetto.srt.wire.key_material import KmState

PAYLOAD = 1316


class World:
    """Two hosts and what lies between them."""

    def __init__(self, seed: int = 1, **conditions: float) -> None:
        self.network = SimulatedNetwork(seed=seed)
        self.here: SimulatedHost = self.network.add_host("here")
        self.there: SimulatedHost = self.network.add_host("there")
        self.network.connect(self.here, self.there, LinkConditions(**{"delay": 0.01, **conditions}))  # type: ignore[arg-type]

    @asynccontextmanager
    async def pair(
        self, query: str = "", listener_query: str = "", **listening: object
    ) -> AsyncIterator[tuple[SrtStream, SrtStream]]:
        """A caller's stream and the listener's end of it."""
        async with self.listener(listener_query, **listening) as listener:
            with use_network(self.here):
                async with open_srt_stream(f"srt://there:9000?{query}") as caller:
                    yield caller, await listener.accept()

    @asynccontextmanager
    async def listener(self, query: str = "", **listening: object) -> AsyncIterator[SrtListener]:
        with use_network(self.there):
            manager = open_srt_listener(f"srt://:9000?{query}", **listening)  # type: ignore[arg-type]
            listener = await manager.__aenter__()
        try:
            yield listener
        except BaseException as exc:
            if not await manager.__aexit__(type(exc), exc, exc.__traceback__):
                raise
        else:
            await manager.__aexit__(None, None, None)


async def read_bytes(stream: SrtStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = await stream.receive_some()
        assert chunk, "ended early"
        data += chunk
    return data


async def test_bytes_arrive_in_both_directions_whole(autojump_clock: trio.testing.MockClock) -> None:
    forth = bytes(range(256)) * 100
    back = forth[::-1]
    async with World().pair() as (caller, accepted):
        await caller.send_all(forth)
        await accepted.send_all(back)
        assert await read_bytes(accepted, len(forth)) == forth
        assert await read_bytes(caller, len(back)) == back


@pytest.mark.parametrize("secret", ["", "passphrase=correct-horse-battery&pbkeylen=32"])
async def test_a_lossy_network_loses_nothing_of_a_stream(
    autojump_clock: trio.testing.MockClock, secret: str
) -> None:
    world = World(seed=7, delay=0.03, jitter=0.004, loss=0.05, duplicate=0.01)
    chunks = [bytes([number % 251]) * PAYLOAD * 3 for number in range(300)]
    async with world.pair(f"latency=600&{secret}", secret) as (caller, accepted):

        async def send() -> None:
            for chunk in chunks:
                await caller.send_all(chunk)
                await trio.sleep(0.005)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            assert await read_bytes(accepted, 300 * 3 * PAYLOAD) == b"".join(chunks)
        statistics = accepted.statistics()
    assert statistics.lost == statistics.recovered > 20
    assert statistics.unrecovered == 0
    assert statistics.received_unique == 900


async def test_packets_keep_their_boundaries_numbers_and_times(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with World().pair("latency=200") as (caller, accepted):
        sent_at = trio.current_time()
        for number in range(5):
            await caller.send_packet(b"%d" % number * (number + 1))
            await trio.sleep(0.01)
        first = await accepted.receive_packet()
        rest = [await accepted.receive_packet() for _ in range(4)]
        assert bytes(first.payload) == b"0"
        assert [bytes(packet.payload) for packet in rest] == [b"11", b"222", b"3333", b"44444"]
        assert [packet.sequence - first.sequence for packet in rest] == [1, 2, 3, 4]
        assert first.lost_before == 0
        # The handshake took 10 ms one way, so that is what "now" at the sender seems to be here.
        assert math.isclose(first.source_time, sent_at + 0.01, abs_tol=0.008)  # a tick of reading
        assert math.isclose(trio.current_time(), sent_at + 0.25, abs_tol=0.01)


async def test_a_relay_takes_payloads_in_the_task_that_read_them_until_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World(seed=7, loss=0.05)
    numbers = list(range(400))
    got: list[tuple[int, float]] = []

    def consume(payloads: list[Buffer], source_time: float) -> None:
        got.extend((int(bytes(payload)), source_time) for payload in payloads)

    async with world.pair("latency=500") as (sender, receiver), trio.open_nursery() as nursery:
        # What is due before anybody asks is handed over too.
        nursery.start_soon(receiver_waits_then, receiver.deliver_to, consume)
        for number in numbers:
            await sender.send_packet(b"%d" % number)
            await trio.sleep(0.003)
        with pytest.raises(trio.BusyResourceError):
            await receiver.receive_some()
        await sender.aclose()
    assert [number for number, _ in got] == numbers
    times = [time for _, time in got]
    assert times == sorted(times)
    assert receiver.statistics().recovered > 0


async def receiver_waits_then(
    deliver: Callable[[Callable[[list[Buffer], float], None]], Awaitable[None]],
    consume: Callable[[list[Buffer], float], None],
) -> None:
    await trio.sleep(0.7)
    await deliver(consume)


async def test_what_is_skipped_is_marked_on_the_next_packet(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    async with world.pair() as (caller, accepted):
        await caller.send_packet(b"first")
        await trio.sleep(0.05)
        forth, _ = world.network.links_between(world.here, world.there)
        forth.cut()
        await caller.send_packets([b"lost"] * 3)
        await trio.sleep(0.3)
        forth.mend()
        await caller.send_packet(b"last", source_time=trio.current_time() - 0.28)
        assert bytes((await accepted.receive_packet()).payload) == b"first"
        packet = await accepted.receive_packet()
        assert (bytes(packet.payload), packet.lost_before) == (b"last", 3)
        assert accepted.statistics().unrecovered == 3


async def test_many_callers_share_one_socket(autojump_clock: trio.testing.MockClock) -> None:
    world = World(delay=0.005)
    served: list[str] = []

    async def serve(stream: SrtStream) -> None:
        async for chunk in stream:
            await stream.send_all(chunk.upper())
        served.append(stream.stream_id)

    async def call(number: int) -> None:
        with use_network(world.here):
            async with open_srt_stream(f"srt://there:9000?streamid=caller-{number}") as stream:
                await stream.send_all(b"hello %d" % number)
                assert await read_bytes(stream, 7) == b"HELLO %d" % number

    async with world.listener() as listener, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        async with trio.open_nursery() as callers:
            for number in range(10):
                callers.start_soon(call, number)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert sorted(served) == [f"caller-{number}" for number in range(10)]


async def test_authorize_chooses_a_passphrase_by_stream_id(autojump_clock: trio.testing.MockClock) -> None:
    secrets = {"bob": "the secret of bob", "eve": "the secret of eve"}
    options = SrtOptions()

    async def authorize(request: ConnectionRequest) -> SrtOptions | SrtRefusal:
        await trio.sleep(0.1)
        assert request.is_encrypted
        secret = secrets.get(request.name.user)
        return attrs.evolve(options, passphrase=secret) if secret else SrtRefusal(1401, "who is that?")

    world = World()
    async with world.listener(authorize=authorize) as listener:
        with use_network(world.here):
            url = "srt://there:9000?streamid=%23!::u={}&passphrase=the%20secret%20of%20{}"
            async with open_srt_stream(url.format("bob", "bob")) as stream:
                accepted = await listener.accept()
                assert accepted.stream_name.user == "bob"
                assert stream.sending_security is KmState.SECURED
            with pytest.raises(AuthenticationFailed, match="passphrases differ"):
                async with open_srt_stream(url.format("bob", "eve")):
                    pass  # pragma: no cover
            with pytest.raises(ConnectionRefusedByPeer, match="user is not known") as caught:
                async with open_srt_stream(url.format("sam", "sam")):
                    pass  # pragma: no cover
        refusals = [event async for event in take_events(listener, 6) if isinstance(event, ConnectionRefused)]
    assert caught.value.code == 1401
    assert [(event.stream_id, event.code) for event in refusals] == [("#!::u=bob", 10), ("#!::u=sam", 1401)]
    assert refusals[-1].reason == "who is that?"


async def take_events(source: SrtListener | SrtStream, most: int) -> AsyncIterator[SrtEvent]:
    """What was told so far, up to *most* events."""
    events = source.events()
    with trio.move_on_after(0.1):
        for _ in range(most):
            yield await anext(events)
    await events.aclose()


async def test_a_hook_that_crashes_refuses_and_the_listener_lives(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def authorize(request: ConnectionRequest) -> SrtOptions | None:
        if request.stream_id == "bad":
            raise RuntimeError("oops")
        return SrtOptions(tos=32) if request.stream_id == "late" else SrtOptions(loss_max_ttl=4)

    world = World()
    async with world.listener("mss=1400", authorize=authorize) as listener:
        with use_network(world.here):
            for name in ("bad", "late"):
                with pytest.raises(ConnectionRefusedByPeer, match="internal server error"):
                    async with open_srt_stream(f"srt://there:9000?streamid={name}"):
                        pass  # pragma: no cover
            refusals = [event async for event in take_events(listener, 10)]
            # The socket is open already, which no caller's options can change: said to who wrote the hook.
            assert any(
                "tos can only be set before the socket is opened" in event.reason
                for event in refusals
                if isinstance(event, ConnectionRefused)
            )
            async with open_srt_stream("srt://there:9000?streamid=good") as caller:
                accepted = await listener.accept()
                assert (accepted.stream_id, accepted.options.mss, caller.options.mss) == ("good", 1400, 1400)


async def test_the_end_of_a_stream_comes_after_its_last_byte(autojump_clock: trio.testing.MockClock) -> None:
    world = World(seed=3, loss=0.1)
    async with world.listener() as listener:
        with use_network(world.here):
            async with open_srt_stream("srt://there:9000?latency=400") as caller:
                accepted = await listener.accept()
                await caller.send_all(b"x" * 50_000)
        data = b""
        async for chunk in accepted:
            data += chunk
        assert data == b"x" * 50_000
        assert await accepted.receive_some() == b""
        with pytest.raises(trio.EndOfChannel):
            await accepted.receive_packet()
        with pytest.raises(PeerError, match="closed"):
            await accepted.send_all(b"too late")
        told = [type(event) async for event in take_events(accepted, 10)]
        assert PeerConnected in told
        assert PeerClosed in told


async def test_a_peer_that_vanishes_is_said_to_readers_and_writers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.pair("peeridletimeo=2000") as (caller, _):
        forth, back = world.network.links_between(world.here, world.there)
        forth.cut()
        back.cut()
        with pytest.raises(PeerTimedOut, match="silent"):
            await caller.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await caller.send_all(b"anybody?")


async def test_silence_is_a_timeout_that_says_what_to_try(autojump_clock: trio.testing.MockClock) -> None:
    world = World(loss=1.0)
    with use_network(world.here), pytest.raises(PeerTimedOut, match=r"did not answer in 3 s.*firewalls"):
        async with open_srt_stream("srt://there:9000"):
            pass  # pragma: no cover
    assert trio.current_time() == pytest.approx(3.0, abs=0.1)


async def test_cancellation_leaves_nothing_behind_and_says_goodbye(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()
    async with world.listener() as listener:
        with use_network(world.here):
            with trio.move_on_after(5) as scope:
                async with trio.open_nursery() as nursery:
                    caller = await connect_srt_stream(nursery, "srt://there:9000")
                    accepted = await listener.accept()
                    nursery.start_soon(caller.receive_some)
                    await trio.sleep_forever()
            assert scope.cancelled_caught
        assert await accepted.receive_some() == b""
        assert trio.current_time() < 6
        with pytest.raises(trio.ClosedResourceError):
            await caller.send_all(b"closed")
        with pytest.raises(trio.ClosedResourceError):
            await caller.receive_some()


async def test_a_listening_stream_takes_one_caller_and_is_deaf_to_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = World()

    async def wait_for_one(task_status: trio.TaskStatus[None]) -> None:
        with use_network(world.there):
            task_status.started()
            async with open_srt_stream("srt://:9000") as stream:
                assert await stream.receive_some() == b"hello"
                await trio.sleep(2)

    async with trio.open_nursery() as nursery:
        await nursery.start(wait_for_one)
        with use_network(world.here):
            async with open_srt_stream("srt://there:9000") as stream:
                await stream.send_all(b"hello")
                with pytest.raises(PeerError):
                    async with open_srt_stream("srt://there:9000?conntimeo=500"):
                        pass  # pragma: no cover


async def test_options_are_readable_as_negotiated_and_late_ones_are_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    query = "latency=200&mss=1400&passphrase=correct-horse-battery&pbkeylen=24&cryptomode=2&packetfilter=fec,cols:5"
    async with World().pair(query, "latency=350&passphrase=correct-horse-battery") as (caller, accepted):
        assert caller.initial_sequence == accepted.initial_sequence
        assert accepted.options.packet_filter == "fec,arq:onreq,cols:5,layout:staircase,rows:1"
        options = caller.options
        assert (options.receive_latency, options.peer_latency, options.mss) == (0.35, 0.35, 1400)
        assert (options.key_length, options.crypto_mode) == (24, "gcm")
        assert options.payload_size == caller.payload_size == 1316
        assert accepted.options.key_length == 24
        caller.configure(max_bandwidth=1_000_000, overhead=50)
        assert caller.options.max_bandwidth == 1_000_000
        with pytest.raises(UnsupportedOperation, match="receive_latency can only be set before connecting"):
            caller.configure(receive_latency=1.0)
        with pytest.raises(CallerError, match=r"1400 bytes.*1316"):
            await caller.send_packet(bytes(1400))


async def test_a_full_send_buffer_makes_the_sender_wait(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    query = "sndbuf=147200&maxbw=100000&snddropdelay=0"
    async with world.pair(query + "&tlpktdrop=0", "tlpktdrop=0") as (caller, accepted):
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.send_all, bytes(PAYLOAD * 300))
            assert await read_bytes(accepted, PAYLOAD * 300) == bytes(PAYLOAD * 300)
        # 300 packets of 1360 bytes at 100 kB/s.
        assert 3.5 < trio.current_time() - began < 5


@pytest.mark.slow
async def test_keys_rotate_while_bytes_flow(autojump_clock: trio.testing.MockClock) -> None:
    secret = "passphrase=correct-horse-battery&kmrefreshrate=200&kmpreannounce=50"
    async with World(seed=2, loss=0.02).pair(f"latency=300&{secret}", secret) as (caller, accepted):

        async def send() -> None:
            for _ in range(500):
                await caller.send_all(b"k" * PAYLOAD * 2)
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            assert await read_bytes(accepted, 1000 * PAYLOAD) == b"k" * 1000 * PAYLOAD
        told = [event async for event in take_events(caller, 100)]
    assert sum(isinstance(event, KeyRotated) for event in told) >= 3
    assert accepted.statistics().undecrypted == 0


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("srt://there", "port"),
        ("srt://there:9000?latency=200000", "microseconds.*latency=200"),
        ("srt://there:9000?latencyy=20", "did you mean latency"),
        ("rist://there:9000", "no srt:// URL"),
        ("srt://:9000?mode=caller", "calls nobody"),
        ("srt://there:9000?mode=push", "mode"),
    ],
)
async def test_urls_that_cannot_be_are_explained(url: str, match: str) -> None:
    with pytest.raises(InvalidUrl, match=match):
        async with open_srt_stream(url):
            pass  # pragma: no cover


async def test_two_readers_or_writers_at_once_are_a_mistake_that_is_said(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with World().pair() as (caller, _), trio.open_nursery() as nursery:
        nursery.start_soon(caller.receive_some)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await caller.receive_some()
        nursery.cancel_scope.cancel()


async def test_both_ends_know_what_the_path_carries(autojump_clock: trio.testing.MockClock) -> None:
    # Packets that come by themselves, as on an idle path of 20 Mbit/s, are read by themselves with read_tick=0.
    world = World(rate=20_000_000)
    async with world.listener(read_tick=0.0) as listener:
        with use_network(world.here):
            async with open_srt_stream("srt://there:9000") as caller:
                accepted = await listener.accept()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(read_all, accepted)
                    for _ in range(60):
                        await caller.send_packets([bytes(PAYLOAD)] * 4)
                        await trio.sleep(0.02)
                    await trio.sleep(0.5)
                    told = caller.statistics(), accepted.statistics()
                    nursery.cancel_scope.cancel()
    carried = 20_000_000 / 8 / (PAYLOAD + 44)
    for statistics in told:
        assert statistics.link_capacity == pytest.approx(carried, rel=0.15)
        assert statistics.to_libsrt()["mbpsBandwidth"] == pytest.approx(22, rel=0.15)


async def read_all(stream: SrtStream) -> None:
    while True:
        await stream.receive_packets()
