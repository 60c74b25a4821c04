"""RIST sessions through the public API: who calls whom, who moves, who leaves, who lies."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import terzetto as tz
from terzetto.net.endpoint import EndpointOptions
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.events import FlowRestarted, PeerConnected, PeerLost, PeerMoved, StrangerIgnored


@attrs.frozen
class World:
    network: SimulatedNetwork
    alice: SimulatedHost
    bob: SimulatedHost


@pytest.fixture
def world() -> World:
    network = SimulatedNetwork(5)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.01))
    return World(network, alice, bob)


@asynccontextmanager
async def on(host: SimulatedHost, url: str, **knobs: object) -> AsyncIterator[tz.RistReceiver]:
    with use_network(host):
        async with tz.open_rist_receiver(url, **knobs) as receiver:  # type: ignore[arg-type]
            yield receiver


async def receive(receiver: tz.RistReceiver, count: int) -> list[bytes]:
    packets: list[bytes] = []
    with trio.fail_after(30):
        while len(packets) < count:
            packets += [packet.payload for packet in await receiver.receive_packets()]
    return packets


async def send_numbers(sender: tz.RistSender, numbers: range) -> list[bytes]:
    sent = [b"%08d" % number for number in numbers]
    for payload in sent:
        await sender.send_packet(payload)
        await trio.sleep(0.002)
    return sent


async def happened(stream: tz.RistReceiver | tz.RistSender) -> list[type]:
    """The kinds of event so far."""
    kinds: list[type] = []
    with trio.move_on_after(0.001):
        async for event in stream.events():
            kinds.append(type(event))
    return kinds


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
async def test_a_sender_calls_a_receiver_that_listens(
    autojump_clock: MockClock, world: World, family: str
) -> None:
    any_address = "rist://@:5000?profile=simple" if family == "IPv4" else "rist://@[::]:5000?profile=simple"
    host = "bob" if family == "IPv4" else f"[{world.bob.addresses[1]}]"
    async with on(world.bob, any_address, buffer=0.1) as receiver:
        with use_network(world.alice):
            async with tz.open_rist_sender(f"rist://{host}:5000?profile=simple", buffer=0.1) as sender:
                sent = await send_numbers(sender, range(20))
                assert await receive(receiver, 20) == sent


async def test_a_receiver_calls_a_sender_that_listens(autojump_clock: MockClock, world: World) -> None:
    with use_network(world.alice):
        async with tz.open_rist_sender("rist://@:5000?profile=simple", buffer=0.1) as sender:
            async with on(world.bob, "rist://alice:5000?profile=simple", buffer=0.1) as receiver:
                sent = await send_numbers(sender, range(20))
                assert await receive(receiver, 20) == sent


async def test_sending_waits_until_a_receiver_answers_so_that_nothing_is_lost(
    autojump_clock: MockClock, world: World
) -> None:
    async with trio.open_nursery() as nursery:
        arrived: list[bytes] = []

        async def late_receiver() -> None:
            await trio.sleep(3)
            async with on(world.bob, "rist://@:5000?profile=simple", buffer=0.1) as receiver:
                arrived.extend(await receive(receiver, 20))

        nursery.start_soon(late_receiver)
        with use_network(world.alice):
            async with tz.open_rist_sender("rist://bob:5000?profile=simple", buffer=0.1) as sender:
                sent = await send_numbers(sender, range(20))
    assert arrived == sent


async def test_a_port_that_nobody_listens_on_is_explained(autojump_clock: MockClock, world: World) -> None:
    with use_network(world.alice):
        with pytest.raises(tz.PeerTimedOut, match=r"nobody listens at rist://bob:5000.*start the other end"):
            async with tz.open_rist_sender("rist://bob:5000?profile=simple", connect_timeout=1.0) as sender:
                await sender.send_all(b"x")


async def test_silence_is_explained(autojump_clock: MockClock, world: World) -> None:
    world.network.partition("alice", "bob", 0, 1000)
    with use_network(world.alice):
        with pytest.raises(tz.PeerTimedOut, match="did not answer in 1 s; check that the other end listens"):
            async with tz.open_rist_sender("rist://bob:5000?profile=simple", connect_timeout=1.0) as sender:
                await sender.send_all(b"x")


async def test_a_receiver_that_nobody_calls_says_so(autojump_clock: MockClock, world: World) -> None:
    with pytest.raises(tz.PeerTimedOut, match=r"nobody called .* in 1 s"):
        async with on(world.bob, "rist://@:5000?profile=simple", connect_timeout=1.0) as receiver:
            await receiver.receive_some()


@pytest.mark.parametrize(
    ("datagram", "says"),
    [
        (bytes.fromhex("000088b6800107b0") + bytes(40), "RIST Main profile"),
        (b"\x47" + bytes(187), "plain MPEG-TS"),
    ],
)
async def test_another_protocol_is_named(
    autojump_clock: MockClock, world: World, datagram: bytes, says: str
) -> None:
    with use_network(world.alice):
        endpoint = await world.alice.open_datagram_endpoint(EndpointOptions())
    async with endpoint:
        with pytest.raises(tz.WrongProtocol, match=says):
            async with on(world.bob, "rist://@:5000?profile=simple", connect_timeout=1.0) as receiver:
                bob = (await world.alice.resolve("bob", 5000))[0]
                await endpoint.send([Run(bob, [datagram] * 3)])
                await receiver.receive_some()


@pytest.mark.parametrize(
    ("url", "error", "says"),
    [
        ("rist://nowhere:5000?profile=simple", tz.UnknownHost, "nowhere"),
        ("rist://bob:5001?profile=simple", tz.InvalidUrl, "port 5001 is odd.*use 5000"),
        ("rist://bob:5000?bufer=5&profile=simple", tz.InvalidUrl, "did you mean buffer"),
        (
            "rist://bob:5000?secret=hidden&profile=simple",
            tz.InvalidUrl,
            "secret does not exist in the Simple profile",
        ),
        (
            "rist://bob:5000?buffer=99999&profile=simple",
            tz.InvalidOption,
            "buffer_m.. is 99.999, must lie between",
        ),
        ("srt://bob:5000", tz.InvalidUrl, "no rist:// URL"),
    ],
)
async def test_the_first_minutes_mistakes_are_explained(
    autojump_clock: MockClock, world: World, url: str, error: type[Exception], says: str
) -> None:
    with use_network(world.alice), pytest.raises(error, match=says) as caught:
        async with tz.open_rist_sender(url):
            pass
    assert "hidden" not in str(caught.value)


async def test_a_taken_port_is_named(autojump_clock: MockClock, world: World) -> None:
    async with on(world.bob, "rist://@:5000?profile=simple"):
        with pytest.raises(tz.AddressInUse, match="5000"):
            async with on(world.bob, "rist://@:5000?profile=simple"):
                pass


async def test_a_restarted_sender_is_followed(autojump_clock: MockClock, world: World) -> None:
    async with on(world.bob, "rist://@:5000?profile=simple", buffer=0.1) as receiver:
        for start in (0, 100):
            with use_network(world.alice):
                async with tz.open_rist_sender("rist://bob:5000?profile=simple", buffer=0.1) as sender:
                    sent = await send_numbers(sender, range(start, start + 20))
                    assert await receive(receiver, 20) == sent
        kinds = await happened(receiver)
    assert kinds.count(PeerConnected) == 2
    assert kinds.count(PeerLost) == 1, "the first sender said goodbye"
    assert FlowRestarted in kinds


async def test_a_restarted_receiver_gets_what_comes_after(autojump_clock: MockClock, world: World) -> None:
    with use_network(world.alice):
        async with tz.open_rist_sender(
            "rist://bob:5000?profile=simple", buffer=0.1, session_timeout=0.5
        ) as sender:
            async with on(world.bob, "rist://@:5000?profile=simple", buffer=0.1) as first:
                sent = await send_numbers(sender, range(20))
                assert await receive(first, 20) == sent
            await trio.sleep(2)
            async with on(world.bob, "rist://@:5000?profile=simple", buffer=0.1) as second:
                await trio.sleep(1)
                sent = await send_numbers(sender, range(100, 120))
                assert await receive(second, 20) == sent
            kinds = await happened(sender)
            assert [kinds.count(PeerConnected), kinds.count(PeerLost)] == [2, 1]


async def test_a_sender_whose_nat_rebinds_loses_nothing(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(9)
    home, studio = network.add_host("home", "192.168.1.2"), network.add_host("studio", "203.0.113.1")
    nat = network.add_nat("router", "198.51.100.1")
    nat.shelter(home)
    async with on(studio, "rist://@:5000?profile=simple", buffer=1.0) as receiver:
        with use_network(home):
            async with tz.open_rist_sender("rist://studio:5000?profile=simple", buffer=1.0) as sender:
                sent = await send_numbers(sender, range(200))
                nat.rebind()
                sent += await send_numbers(sender, range(200, 600))
                assert await receive(receiver, 600) == sent
        assert PeerMoved in await happened(receiver)


async def test_strangers_neither_inject_nor_redirect(autojump_clock: MockClock, world: World) -> None:
    mallory = world.network.add_host("mallory")
    bob = world.bob.addresses[0]
    async with on(world.bob, "rist://@:5000?profile=simple", buffer=0.2) as receiver:
        with use_network(world.alice):
            async with tz.open_rist_sender("rist://bob:5000?profile=simple", buffer=0.2) as sender:
                sent = await send_numbers(sender, range(20))
                for port in (5000, 5001):
                    endpoint = await mallory.open_datagram_endpoint(EndpointOptions())
                    async with endpoint:
                        seen = [r.datagram for r in world.network.trace.packets if r.destination.port == port]
                        await endpoint.send([Run(Address(bob, port), seen[-5:])])
                        await trio.sleep(0.1)
                        assert endpoint.receive_nowait() == [], "a stranger was answered"
                sent += await send_numbers(sender, range(20, 40))
                assert await receive(receiver, 40) == sent
        assert StrangerIgnored in await happened(receiver)
        assert receiver.statistics().peer.strangers_ignored >= 10


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    media=st.lists(st.binary(max_size=200), max_size=10),
    reports=st.lists(st.binary(max_size=200), max_size=10),
)
def test_hostile_bytes_do_not_disturb_a_receiver(media: list[bytes], reports: list[bytes]) -> None:
    async def main() -> None:
        network = SimulatedNetwork(5)
        bob, mallory = network.add_host("bob"), network.add_host("mallory")
        async with on(bob, "rist://@:5000?profile=simple") as receiver:
            async with await mallory.open_datagram_endpoint(EndpointOptions()) as endpoint:
                await endpoint.send([Run(Address(bob.addresses[0], 5000), media)])
                await endpoint.send([Run(Address(bob.addresses[0], 5001), reports)])
                await trio.sleep(5)
            receiver.statistics()

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(
    autojump_clock: MockClock, world: World
) -> None:
    async with on(world.bob, "rist://@:5000?profile=simple", buffer=0.05, delivery_limit=64) as receiver:
        with use_network(world.alice):
            async with tz.open_rist_sender("rist://bob:5000?profile=simple", buffer=0.05) as sender:
                sent = await send_numbers(sender, range(200))
                await trio.sleep(0.2)
                arrived = [packet.payload for packet in await receiver.receive_packets()]
    assert arrived == sent[-len(arrived) :]
    assert len(arrived) <= 64
    assert receiver.statistics().shed == 200 - len(arrived)


async def test_byte_and_packet_views_agree(autojump_clock: MockClock, world: World) -> None:
    async with on(world.bob, "rist://@:5000?profile=simple", buffer=0.1) as receiver:
        with use_network(world.alice):
            async with tz.open_rist_sender(
                "rist://bob:5000?profile=simple", buffer=0.1, payload_size=100
            ) as sender:
                await sender.send_all(bytes(range(250)))
                await trio.sleep(0.5)
                first = await receiver.receive_packet()
                assert first.payload == bytes(range(100))
                assert (first.sequence, first.lost_before, first.path) == (0, 0, 0)
                assert first.flow_id == sender.flow_id
                assert await receiver.receive_some(60) == bytes(range(100, 160))
                assert await receiver.receive_some() == bytes(range(160, 250))


async def test_closed_streams_say_closed(autojump_clock: MockClock, world: World) -> None:
    async with on(world.bob, "rist://@:5000?profile=simple") as receiver:
        with use_network(world.alice):
            async with tz.open_rist_sender("rist://bob:5000?profile=simple") as sender:
                await sender.wait_connected()
    with pytest.raises(trio.ClosedResourceError):
        await sender.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await receiver.receive_some()


async def test_two_readers_at_once_are_refused(autojump_clock: MockClock, world: World) -> None:
    async with on(world.bob, "rist://@:5000?profile=simple") as receiver:
        with pytest.raises(trio.BusyResourceError):
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(receiver.receive_some)
                    nursery.start_soon(receiver.receive_some)
            except* trio.BusyResourceError as group:
                raise group.exceptions[0] from None


async def test_a_users_exception_leaves_the_block_as_itself(autojump_clock: MockClock, world: World) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with on(world.bob, "rist://@:5000?profile=simple"):
            raise KeyError("mine")


Call = Callable[[World], Awaitable[None]]


async def _send(world: World) -> None:
    with use_network(world.alice):
        async with tz.open_rist_sender("rist://bob:5000?profile=simple", buffer=0.1) as sender:
            await sender.send_all(bytes(5000))
            await sender.send_packet(b"x")
            await sender.wait_send_all_might_not_block()


async def _receive(world: World) -> None:
    async with on(world.bob, "rist://@:6000?profile=simple", buffer=0.1) as receiver:
        await receiver.receive_some()


async def _connect(world: World) -> None:
    with use_network(world.alice):
        async with trio.open_nursery() as nursery:
            sender = await tz.connect_rist_sender(nursery, "rist://bob:5000?profile=simple")
            await sender.wait_connected()
            await sender.aclose()


async def _events(world: World) -> None:
    async with on(world.bob, "rist://@:6000?profile=simple", buffer=0.1) as receiver:
        async for _ in receiver.events():
            pass


@pytest.mark.parametrize("call", [_send, _receive, _connect, _events])
async def test_cancelled_anywhere_nothing_is_left(
    autojump_clock: MockClock, world: World, call: Call
) -> None:
    """Cancel after every number of scheduling steps until the call would have finished by itself."""
    async with on(world.bob, "rist://@:5000?profile=simple", buffer=0.1):
        tasks = trio.lowlevel.current_statistics().tasks_living
        for steps in range(40):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:

                    async def cancel_later(scope: trio.CancelScope = scope, steps: int = steps) -> None:
                        for _ in range(min(steps, 25)):
                            await trio.lowlevel.checkpoint()
                        await trio.sleep(max(0, steps - 25) * 0.02)
                        scope.cancel()

                    nursery.start_soon(cancel_later)
                    await call(world)
                    nursery.cancel_scope.cancel()
            assert trio.lowlevel.current_statistics().tasks_living == tasks
            assert world.alice.bound_ports() == []
            assert [port for port in world.bob.bound_ports() if port not in (5000, 5001)] == []
    gc.collect()
