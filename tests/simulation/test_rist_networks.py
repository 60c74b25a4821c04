"""RIST Simple through the public API on networks of every kind, and with ends that come and go."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.events import FlowRestarted, NetworkTrouble, PeerConnected, PeerLost, RistEvent

pytestmark = pytest.mark.slow

BAD = LinkConditions(loss=0.15, delay=0.02, jitter=0.005)

# What a wrap of a 90 kHz timestamp takes, in microseconds.
WRAP = (1 << 32) * 1_000_000 // 90_000


class Inbox:
    """Everything that a receiver hands out."""

    def __init__(self) -> None:
        self.packets: list[tz.RistPacket] = []
        self.events: list[RistEvent] = []

    @property
    def numbers(self) -> list[int]:
        return [int(packet.payload[:8]) for packet in self.packets]

    @property
    def kinds(self) -> list[type]:
        return [type(event) for event in self.events]

    async def collect(self, receiver: tz.RistReceiver) -> None:
        while True:
            self.packets += await receiver.receive_packets()

    async def listen(self, stream: tz.RistReceiver | tz.RistSender) -> None:
        async for event in stream.events():
            self.events.append(event)


@asynccontextmanager
async def receiving(
    host: SimulatedHost, url: str = "rist://@:5000?profile=simple", **knobs: object
) -> AsyncIterator[tuple[tz.RistReceiver, Inbox]]:
    inbox = Inbox()
    with use_network(host):
        async with (
            tz.open_rist_receiver(url, **knobs) as receiver,  # type: ignore[arg-type]
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(inbox.collect, receiver)
            nursery.start_soon(inbox.listen, receiver)
            yield receiver, inbox
            await trio.sleep(1)
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def sending(
    host: SimulatedHost, url: str = "rist://bob:5000?profile=simple", **knobs: object
) -> AsyncIterator[tz.RistSender]:
    with use_network(host):
        async with tz.open_rist_sender(url, profile="simple", **knobs) as sender:  # type: ignore[arg-type]
            yield sender


async def send(
    sender: tz.RistSender, numbers: Sequence[int], *, interval: float = 0.002, size: int = 8
) -> None:
    for number in numbers:
        await sender.send_packet(b"%08d" % number + bytes(size - 8))
        await trio.sleep(interval)


def two_hosts(
    seed: int, there: LinkConditions, back: LinkConditions | None = None
) -> tuple[SimulatedNetwork, SimulatedHost, SimulatedHost]:
    network = SimulatedNetwork(seed)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, there, back)
    return network, alice, bob


@pytest.mark.parametrize("seed", range(5))
async def test_a_sender_that_restarts_in_the_middle_of_loss_is_followed(
    autojump_clock: MockClock, seed: int
) -> None:
    _, alice, bob = two_hosts(seed, BAD)
    async with receiving(bob, buffer=0.5) as (receiver, inbox):
        async with trio.open_nursery() as nursery:

            async def crash_after(count: int) -> None:
                with trio.CancelScope() as life:
                    async with sending(alice, buffer=0.5) as sender:
                        await send(sender, range(count))
                        life.cancel()
                        await trio.lowlevel.checkpoint()

            nursery.start_soon(crash_after, 300)
        async with sending(alice, buffer=0.5) as sender:
            await send(sender, range(1000, 1500))
    second = [number for number in inbox.numbers if number >= 1000]
    # What is still in the sockets of the first belongs to the first; all of the second arrives.
    assert second == list(range(1000, 1500))
    first = [number for number in inbox.numbers if number < 1000]
    assert first == sorted(set(first))
    assert len(first) > 200
    assert FlowRestarted in inbox.kinds
    assert receiver.statistics().flow_id == sender.flow_id


@pytest.mark.parametrize("seed", range(5))
async def test_a_receiver_that_restarts_in_the_middle_of_loss_gets_all_that_follows(
    autojump_clock: MockClock, seed: int
) -> None:
    _, alice, bob = two_hosts(seed, BAD)
    async with sending(alice, buffer=0.5) as sender, trio.open_nursery() as nursery:
        heard = Inbox()
        nursery.start_soon(heard.listen, sender)
        nursery.start_soon(send, sender, range(3000))
        async with receiving(bob, buffer=0.5) as (_, first):
            await trio.sleep(1)
        async with receiving(bob, buffer=0.5) as (_, second):
            await trio.sleep(3)
        nursery.cancel_scope.cancel()
    for inbox in (first, second):
        assert sum(packet.lost_before for packet in inbox.packets) == 0
        sequences = [packet.sequence for packet in inbox.packets]
        assert sequences == list(range(sequences[0], sequences[-1] + 1)), "nothing that was sent is missing"
    # Between the goodbye of the one and the answer of the other nobody was there to send to.
    assert len(second.numbers) >= second.numbers[-1] - second.numbers[0] - 150
    assert second.numbers[0] > first.numbers[-1]
    assert len(second.numbers) > 1000
    assert heard.kinds.count(PeerConnected) - heard.kinds.count(PeerLost) in (0, 1)


@pytest.mark.parametrize("mode", ["source", "arrival", "rtc"])
async def test_timestamps_wrap_in_the_middle_of_loss(autojump_clock: MockClock, mode: str) -> None:
    network, alice, bob = two_hosts(7, BAD)
    for host in (alice, bob):
        now = round(trio.current_time() * 1_000_000)
        host.epoch += WRAP - (host.epoch + now) % WRAP - 1_000_000
    async with receiving(bob, buffer=0.5, timing_mode=mode) as (receiver, inbox):
        async with sending(alice, buffer=0.5) as sender:
            await send(sender, range(1000))
    assert inbox.numbers == list(range(1000))
    statistics = receiver.statistics()
    assert (statistics.clock_resyncs, statistics.resets, statistics.too_late) == (0, 0, 0)
    timestamps = [
        int.from_bytes(record.datagram[4:8], "big")
        for record in network.trace.packets
        if record.destination.port == 5000
    ]
    assert max(timestamps) > 0xFFFF_0000 > 0x1_0000 > min(timestamps), "the wrap was in the middle"
    times = [packet.source_time for packet in inbox.packets]
    assert times == sorted(times)
    assert times[-1] - times[0] < 3


async def test_sequences_wrap_in_the_middle_of_loss(autojump_clock: MockClock) -> None:
    _, alice, bob = two_hosts(8, LinkConditions(loss=0.05, delay=0.005))
    async with receiving(bob, buffer=0.2) as (_, inbox):
        async with sending(alice, buffer=0.2) as sender:
            await sender.wait_connected()
            for start in range(0, 70_000, 50):
                await sender.send_packets([b"%08d" % number for number in range(start, start + 50)])
                await trio.sleep(0.01)
    assert inbox.numbers == list(range(70_000))
    assert [packet.sequence for packet in inbox.packets] == list(range(70_000))


async def test_ipv6_carries_it_through_loss(autojump_clock: MockClock) -> None:
    network, alice, bob = two_hosts(9, BAD)
    host = next(address for address in bob.addresses if ":" in address)
    async with receiving(bob, "rist://@[::]:5000?profile=simple", buffer=0.5) as (receiver, inbox):
        async with sending(alice, f"rist://[{host}]:5000?profile=simple", buffer=0.5) as sender:
            await send(sender, range(500))
            assert ":" in sender.statistics().peer.address
    assert inbox.numbers == list(range(500))
    assert receiver.statistics().recovered > 30
    assert all(record.destination.is_ipv6 for record in network.trace.packets)


async def test_of_two_paths_the_address_chooses(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(10)
    alice = network.add_host("alice", interfaces={"eth0": ["10.1.0.1"], "eth1": ["10.2.0.1"]})
    bob = network.add_host("bob", interfaces={"eth0": ["10.1.0.2"], "eth1": ["10.2.0.2"]})
    network.connect("10.1.0.1", "10.1.0.2", LinkConditions(delay=0.3, loss=0.3))
    network.connect("10.2.0.1", "10.2.0.2", LinkConditions(delay=0.003))
    async with receiving(bob, buffer=0.2) as (receiver, inbox):
        async with sending(alice, "rist://10.2.0.2:5000?miface=eth1&profile=simple", buffer=0.2) as sender:
            await send(sender, range(200))
            assert sender.statistics().peer.round_trip < 0.02
    assert inbox.numbers == list(range(200))
    assert receiver.statistics().lost == 0
    assert {str(record.source.host) for record in network.trace.packets} == {"10.2.0.1", "10.2.0.2"}


async def test_packets_too_long_for_the_path_are_reported_and_shorter_ones_pass(
    autojump_clock: MockClock,
) -> None:
    _, alice, bob = two_hosts(11, LinkConditions(delay=0.01, mtu=1000))
    async with receiving(bob, buffer=0.2) as (_, inbox):
        async with sending(alice, buffer=0.2) as sender, trio.open_nursery() as nursery:
            heard = Inbox()
            nursery.start_soon(heard.listen, sender)
            await send(sender, range(5), size=1316)
            await send(sender, range(5, 105), size=900)
            await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
    assert inbox.numbers == list(range(5, 105))
    [trouble] = [event for event in heard.events if isinstance(event, NetworkTrouble)]
    assert trouble.kind == "too_big"
    assert "1356 bytes does not fit the MTU of 1000" in trouble.text


async def test_a_bottleneck_with_a_queue_costs_repeats_and_no_packets(autojump_clock: MockClock) -> None:
    # The stream needs 2.7 Mbit/s; bursts overflow a queue of a dozen packets.
    narrow = LinkConditions(delay=0.01, rate=8_000_000, queue=16_000)
    network, alice, bob = two_hosts(12, narrow, LinkConditions(delay=0.01))
    chance = random.Random(12)
    async with receiving(bob, buffer=1.0) as (receiver, inbox):
        async with sending(alice, buffer=1.0, bandwidth=7_000) as sender:
            await sender.wait_connected()
            number = 0
            while number < 1500:
                burst = chance.choice([1, 1, 1, 25])
                payloads = [b"%08d" % each + bytes(1300) for each in range(number, number + burst)]
                await sender.send_packets(payloads)
                number += burst
                await trio.sleep(burst * 0.004)
    assert inbox.numbers == list(range(number))
    assert receiver.statistics().recovered > 50
    link, _ = network.links_between(alice, bob)
    assert link.statistics().dropped["queue full"] > 50


async def test_a_bottleneck_below_the_stream_does_not_drown_in_repeats(autojump_clock: MockClock) -> None:
    narrow = LinkConditions(delay=0.01, rate=4_000_000, queue=30_000)
    _, alice, bob = two_hosts(13, narrow, LinkConditions(delay=0.01))
    async with receiving(bob, buffer=0.5) as (_, inbox):
        async with sending(alice, buffer=0.5, bandwidth=6_000) as sender:
            await send(sender, range(2000), size=1316)
            statistics = sender.statistics()
    # 5.3 Mbit/s of media leave 0.7 for repeats, whatever is asked for.
    assert statistics.retransmitted_bytes * 8 / 4 < 1_200_000
    assert statistics.bandwidth_skipped > 100
    numbers = inbox.numbers
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 1000


@pytest.mark.parametrize("mode", ["source", "arrival", "rtc"])
async def test_a_network_that_doubles_everything_delivers_once(autojump_clock: MockClock, mode: str) -> None:
    double = LinkConditions(delay=0.01, duplicate=1.0, loss=0.1, reorder=0.1, reorder_by=0.03)
    _, alice, bob = two_hosts(14, double)
    async with receiving(bob, buffer=0.5, timing_mode=mode) as (receiver, inbox):
        async with sending(alice, buffer=0.5) as sender:
            await send(sender, range(1000))
            repeats = sender.statistics().retransmitted
    assert inbox.numbers == list(range(1000))
    assert receiver.statistics().duplicates > 900
    assert repeats < 400, "doubled requests are answered once"


@pytest.mark.parametrize("symmetric", [False, True])
async def test_a_sender_behind_a_translator_reaches_a_receiver(
    autojump_clock: MockClock, symmetric: bool
) -> None:
    network = SimulatedNetwork(16)
    home, studio = network.add_host("home", "192.168.1.2"), network.add_host("studio", "203.0.113.1")
    nat = network.add_nat("router", "198.51.100.1", symmetric=symmetric)
    nat.shelter(home)
    network.connect(nat, studio, BAD)
    async with receiving(studio, buffer=0.5) as (receiver, inbox):
        async with sending(home, "rist://studio:5000?profile=simple", buffer=0.5) as sender:
            await send(sender, range(500))
            assert sender.statistics().peer.round_trip_measured
    assert inbox.numbers == list(range(500))
    assert receiver.statistics().recovered > 30


async def test_a_receiver_behind_a_translator_is_told_why_nothing_comes(autojump_clock: MockClock) -> None:
    # The sender's media goes to the port below the one that the reports came from, and no translator expects it
    # there: reversed Simple does not pass one.
    network = SimulatedNetwork(17)
    home, studio = network.add_host("home", "192.168.1.2"), network.add_host("studio", "203.0.113.1")
    network.add_nat("router", "198.51.100.1").shelter(home)
    async with sending(studio, "rist://@:5000?profile=simple", buffer=0.2) as sender:
        with use_network(home):
            async with tz.open_rist_receiver("rist://studio:5000?profile=simple", buffer=0.2) as receiver:
                await sender.wait_connected()
                await send(sender, range(50))
                await trio.sleep(1)
                assert receiver.is_connected
                assert receiver.statistics().received == 0


Change = Callable[[SimulatedNetwork, SimulatedHost, SimulatedHost], None]


def _longer(network: SimulatedNetwork, alice: SimulatedHost, bob: SimulatedHost) -> None:
    for link in network.links_between(alice, bob):
        link.change(attrs.evolve(link.conditions, delay=0.15))


def _shorter(network: SimulatedNetwork, alice: SimulatedHost, bob: SimulatedHost) -> None:
    for link in network.links_between(alice, bob):
        link.change(attrs.evolve(link.conditions, delay=0.002))


@pytest.mark.parametrize("change", [_longer, _shorter])
async def test_a_path_that_changes_its_length_loses_nothing(
    autojump_clock: MockClock, change: Change
) -> None:
    network, alice, bob = two_hosts(18, LinkConditions(loss=0.1, delay=0.05))
    async with receiving(bob, buffer=3.0) as (_, inbox):
        async with sending(alice, buffer=3.0) as sender:
            await send(sender, range(500))
            change(network, alice, bob)
            await send(sender, range(500, 1500))
    assert inbox.numbers == list(range(1500))
