"""The surface that users touch, beyond what the simulated sessions try."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions


@asynccontextmanager
async def session(**knobs: object) -> AsyncIterator[tuple[tz.RistSender, tz.RistReceiver]]:
    network = SimulatedNetwork(1)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.01))
    with use_network(bob):
        async with tz.open_rist_receiver("rist://@:5000?profile=simple", buffer=0.1, **knobs) as receiver:  # type: ignore[arg-type]
            with use_network(alice):
                url = "rist://bob:5000?profile=simple"
                async with tz.open_rist_sender(url, buffer=0.1, **knobs) as sender:  # type: ignore[arg-type]
                    yield sender, receiver


def test_streams_are_trios_streams() -> None:
    assert issubclass(tz.RistSender, trio.abc.SendStream)
    assert issubclass(tz.RistReceiver, trio.abc.ReceiveStream)


@pytest.mark.parametrize(
    "name",
    ["open_rist_sender", "open_rist_receiver", "connect_rist_sender", "connect_rist_receiver"],
)
def test_every_way_in_is_public_and_documented(name: str) -> None:
    assert name in tz.__all__
    assert inspect.getdoc(getattr(tz, name))


@pytest.mark.parametrize("kind", [tz.RistSender, tz.RistReceiver])
def test_every_public_method_is_documented(kind: type) -> None:
    for name, member in vars(kind).items():
        if not name.startswith("_"):
            assert inspect.getdoc(member), f"{kind.__name__}.{name}"


async def test_empty_payloads_do_not_look_like_the_end(autojump_clock: MockClock) -> None:
    async with session() as (sender, receiver):
        await sender.send_packet(b"")
        await trio.sleep(0.5)
        await sender.send_packet(b"after")
        with trio.fail_after(2):
            assert await receiver.receive_some() == b"after"


async def test_nothing_to_send_sends_nothing(autojump_clock: MockClock) -> None:
    async with session() as (sender, _):
        await sender.send_all(b"")
        await sender.send_packets([])
        assert sender.statistics().sent == 0


async def test_a_payload_that_fits_no_packet_is_refused(autojump_clock: MockClock) -> None:
    async with session() as (sender, _):
        with pytest.raises(tz.InvalidOption, match=r"9973 bytes, must have at most 9972; send_all\(\)"):
            await sender.send_packet(bytes(9973))
        await sender.send_all(bytes(9973))


@pytest.mark.parametrize("role", ["sender", "receiver"])
async def test_one_way_with_the_wrong_end_calling_is_refused(autojump_clock: MockClock, role: str) -> None:
    network = SimulatedNetwork(1)
    opening = tz.open_rist_sender if role == "sender" else tz.open_rist_receiver
    url = "rist://@:5000?profile=simple" if role == "sender" else "rist://alice:5000?profile=simple"
    with use_network(network.add_host("alice")), pytest.raises(tz.InvalidOption, match="one_way is set"):
        async with opening(url, one_way=True):
            pass


async def test_one_way_there_is_nobody_to_wait_for(autojump_clock: MockClock) -> None:
    async with session(one_way=True) as (sender, receiver):
        await sender.wait_connected()
        await sender.send_packet(b"unasked")
        with trio.fail_after(2):
            assert await receiver.receive_some() == b"unasked"
        assert receiver.statistics().peer.feedback_sent == 0


async def test_waiting_for_a_peer_ends_when_the_stream_is_closed(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    with use_network(network.add_host("alice")):
        async with trio.open_nursery() as nursery:
            receiver = await tz.connect_rist_receiver(nursery, "rist://@:5000?profile=simple")

            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await receiver.wait_connected()

            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await receiver.aclose()


async def test_a_receiver_that_leaves_says_goodbye(autojump_clock: MockClock) -> None:
    async with session() as (sender, receiver):
        await sender.send_packet(b"x")
        await receiver.receive_some()
        await receiver.aclose()
        await trio.sleep(0.1)
        assert not sender.is_connected


async def test_the_form_of_requests_can_change_while_it_runs(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.01, loss=0.2), LinkConditions(delay=0.01))

    def requests(kind: int) -> int:
        found = [r for r in network.trace.packets if r.source.port == 5001 and bytes([kind, 0]) in r.datagram]
        return len(found)

    with use_network(bob):
        async with tz.open_rist_receiver("rist://@:5000?profile=simple", buffer=0.2) as receiver:
            with use_network(alice):
                async with tz.open_rist_sender("rist://bob:5000?profile=simple", buffer=0.2) as sender:
                    for _ in range(100):
                        await sender.send_packet(b"x")
                        await trio.sleep(0.002)
                    assert requests(205) == 0
                    receiver.set_nack_type("bitmask")
                    for _ in range(100):
                        await sender.send_packet(b"x")
                        await trio.sleep(0.002)
                    assert requests(205) > 5
                    with pytest.raises(tz.InvalidOption, match="nack_type is 'both'"):
                        receiver.set_nack_type("both")  # type: ignore[arg-type]


async def test_the_bandwidth_can_change_while_it_runs(autojump_clock: MockClock) -> None:
    async with session() as (sender, _):
        sender.set_bandwidth(500)
        with pytest.raises(tz.InvalidOption, match="bandwidth is 0"):
            sender.set_bandwidth(0)


async def test_a_caller_leaves_by_the_port_it_was_told(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    with use_network(network.add_host("alice")):
        network.add_host("bob")
        async with tz.open_rist_sender("rist://bob:5000?local-port=6000&profile=simple") as sender:
            assert sender.local_address.port == 6000
