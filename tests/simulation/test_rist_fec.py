"""Forward error correction between two of our own ends, through the public API, on a simulated network."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import pytest
import trio
from trio.testing import MockClock

from terzetto import open_rist_listener, open_rist_receiver, open_rist_sender
from terzetto.errors import InvalidOption, UnsupportedOperation
from terzetto.net.endpoint import EndpointOptions
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.impairment import BurstLoss, LinkConditions
from terzetto.rist.fec import RistFec
from terzetto.rist.options import RistKnobs
from terzetto.rist.statistics import RistReceiverStatistics
from terzetto.rist.wire.advanced_header import AdvancedHeader, Flag, looks_like_advanced
from tests.simulation.rist_invariants import check_invariants
from tests.simulation.rist_paths import Paths, stream_over_paths
from tests.simulation.rist_runs import stream

# Seeds decide all of it, and come out the same on every Python.
pytestmark = pytest.mark.slow

LAYOUTS = [
    "cols:10,rows:5",
    "cols:10,rows:5,layout:staircase",
    "cols:8,rows:-6",
    "cols:8,rows:-6,layout:staircase",
]


@pytest.mark.parametrize("standard", ["2022-1", "2022-5"])
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_bursts_are_repaired_without_a_single_request(
    layout: str, standard: str, autojump_clock: MockClock
) -> None:
    fec = f"{layout},standard:{standard}"
    # Bursts of four packets, far enough apart that each meets its columns alone.
    there = LinkConditions(delay=0.02, loss=BurstLoss.with_mean(0.012, 4))
    outcome = await stream(3, there, packets=1500, interval=0.002, fec=fec)
    receiver = outcome.receiver
    check_invariants(outcome, buffer=1.0, longest_delay=0.02)
    assert receiver.fec_recovered >= 8
    assert outcome.sender.fec_sent > 0
    assert receiver.unrecovered == 0
    # Above the first stairs nothing is protected against a burst along a row.
    assert receiver.requests <= (4 if "staircase" in layout else 0)
    assert outcome.payloads == outcome.sent


@pytest.mark.parametrize("seed", range(6))
async def test_what_parities_cannot_repair_is_asked_for_in_time(seed: int, autojump_clock: MockClock) -> None:
    there = LinkConditions(delay=0.02, jitter=0.01, reorder=0.02, loss=BurstLoss.with_mean(0.15, 5))
    outcome = await stream(seed, there, packets=1000, interval=0.002, fec="cols:10,rows:5")
    check_invariants(outcome, buffer=1.0, longest_delay=0.1)
    receiver = outcome.receiver
    assert receiver.fec_recovered > 0
    assert receiver.requests > 0
    assert receiver.unrecovered <= 2
    assert receiver.lost == receiver.recovered + receiver.unrecovered


async def test_one_way_it_is_the_only_repair(autojump_clock: MockClock) -> None:
    there = LinkConditions(delay=0.02, loss=BurstLoss.with_mean(0.012, 4))
    network = SimulatedNetwork(5)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, there)
    received: list[bytes] = []
    with use_network(bob):
        async with (
            open_rist_receiver("rist://@:5000?profile=simple&fec=cols:10,rows:5&one-way=1") as receiver,
            trio.open_nursery() as nursery,
        ):

            async def collect() -> None:
                while True:
                    received.extend(packet.payload for packet in await receiver.receive_packets())

            nursery.start_soon(collect)
            with use_network(alice):
                async with open_rist_sender(
                    "rist://bob:5000?profile=simple&fec=cols:10,rows:5&one-way=1"
                ) as sender:
                    for number in range(1500):
                        await sender.send_packet(number.to_bytes(4, "big") * 16)
                        await trio.sleep(0.002)
            await trio.sleep(2)
            statistics = receiver.statistics()
            nursery.cancel_scope.cancel()
    assert statistics.fec_recovered == statistics.recovered >= 8
    assert statistics.requests == 0
    assert len(received) >= 1490


PROFILES: list[dict[str, Any]] = [
    {"profile": "main"},
    {"profile": "main", "secret": "between us", "key_rotation": 200},
    {"profile": "advanced"},
    {"profile": "advanced", "secret": "between us"},
    {"profile": "advanced", "secret": "between us", "cipher": "gcm", "key_rotation": 200},
]


@pytest.mark.parametrize("standard", ["2022-1", "2022-5"])
@pytest.mark.parametrize("knobs", PROFILES, ids=str)
async def test_the_tunnels_carry_parities_as_well(
    knobs: dict[str, Any], standard: str, autojump_clock: MockClock
) -> None:
    there = LinkConditions(delay=0.02, loss=BurstLoss.with_mean(0.012, 4))
    outcome = await stream(
        6, there, packets=900, interval=0.002, fec=f"cols:10,rows:5,standard:{standard}", **knobs
    )
    receiver = outcome.receiver
    assert receiver.fec_recovered >= 4
    assert receiver.fec_received > 100
    assert outcome.sender.fec_sent > 200
    assert outcome.sender.fec_sent_bytes > 200 * 64
    assert receiver.unrecovered == 0
    # In the tunnel parities are lost as media is, and what they cannot repair is asked for.
    assert receiver.requests < receiver.fec_recovered
    assert outcome.payloads == outcome.sent
    assert set(receiver.dropped) <= {"replayed"}  # the first packet leaves twice


async def test_what_is_sent_twice_is_the_same_twice_where_parities_are_of_the_wire(
    autojump_clock: MockClock,
) -> None:
    """The end of a burst leaves several times; enciphered anew, it would spoil the sums that it is in."""
    outcome = await stream(
        1,
        LinkConditions(delay=0.01),
        LinkConditions(delay=0.5),  # until the receiver says that it has it
        packets=12,
        interval=0.3,
        fec="cols:4,rows:4",
        profile="advanced",
        secret="between us",
    )
    assert outcome.sender.tail_probes > 3
    sent: dict[int, set[bytes]] = {}
    for record in outcome.media:
        if looks_like_advanced(record.datagram):
            header = AdvancedHeader.decode(record.datagram)
            if not header.ssrc & 1 and not header.flags & Flag.RETRANSMISSION:
                sent.setdefault(header.sequence, set()).add(bytes(record.datagram))
    assert len(sent) == 12
    assert {len(copies) for copies in sent.values()} == {1}


@pytest.mark.parametrize("profile", ["main", "advanced"])
async def test_who_expects_no_parities_takes_none_for_media(
    profile: Literal["main", "advanced"], autojump_clock: MockClock
) -> None:
    network = SimulatedNetwork(4)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    received: list[bytes] = []
    with use_network(bob):
        async with (
            open_rist_receiver("rist://@:5000", profile=profile) as receiver,
            trio.open_nursery() as nursery,
        ):

            async def collect() -> None:
                while True:
                    received.extend(packet.payload for packet in await receiver.receive_packets())

            nursery.start_soon(collect)
            with use_network(alice):
                async with open_rist_sender(
                    "rist://bob:5000", profile=profile, fec="cols:5,rows:4,carriage:tunnel"
                ) as sender:
                    for number in range(200):
                        await sender.send_packet(number.to_bytes(4, "big") * 16)
                        await trio.sleep(0.002)
            await trio.sleep(1)
            statistics = receiver.statistics()
            nursery.cancel_scope.cancel()
    assert received == [number.to_bytes(4, "big") * 16 for number in range(200)]
    assert statistics.unrecovered == 0
    if profile == "main":
        assert statistics.dropped["parity, and fec is not set"] > 50


async def test_null_packets_are_deleted_and_summed_up_all_the_same(autojump_clock: MockClock) -> None:
    """What is restored is another null packet than the one that was deleted, and that one is in the sum."""
    network = SimulatedNetwork(4)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.02, loss=BurstLoss.with_mean(0.012, 4)))
    media = [b"\x47\x01\x00\x10" + number.to_bytes(4, "big") + bytes(180) for number in range(800)]
    null = b"\x47\x1f\xff\x15" + b"\xaa" * 184
    restored = b"\x47\x1f\xff\x10" + b"\xff" * 184
    received: list[bytes] = []
    knobs: RistKnobs = {"profile": "main", "fec": "cols:10,rows:5", "null_packet_deletion": True}
    with use_network(bob):
        async with open_rist_receiver("rist://@:5000", **knobs) as receiver, trio.open_nursery() as nursery:

            async def collect() -> None:
                while True:
                    received.extend(packet.payload for packet in await receiver.receive_packets())

            nursery.start_soon(collect)
            with use_network(alice):
                async with open_rist_sender("rist://bob:5000", **knobs) as sender:
                    for packet in media:
                        await sender.send_packet(null + packet)
                        await trio.sleep(0.002)
            await trio.sleep(1)
            statistics = receiver.statistics()
            nursery.cancel_scope.cancel()
    assert received == [restored + packet for packet in media]
    assert statistics.fec_recovered >= 4
    assert statistics.unrecovered == 0


CARRIAGES: list[tuple[str, RistKnobs, bool]] = [
    ("auto", {"profile": "main"}, True),
    ("tunnel", {"profile": "main"}, False),
    ("auto", {"profile": "main", "secret": "between us"}, False),
    ("ports", {"profile": "main", "secret": "between us"}, True),
    ("ports", {"profile": "main", "null_packet_deletion": True}, True),
]


@pytest.mark.parametrize(("carriage", "knobs", "on_ports"), CARRIAGES, ids=str)
async def test_parities_of_main_travel_where_the_carriage_says(
    carriage: str, knobs: RistKnobs, on_ports: bool, autojump_clock: MockClock
) -> None:
    """By itself in the tunnel where there is something to be hidden, and where everybody expects them else."""
    there = LinkConditions(delay=0.02, loss=BurstLoss.with_mean(0.012, 4))
    outcome, counts = await stream_to_ports(
        there, {"fec": f"cols:10,rows:5,carriage:{carriage}", **knobs}, {"profile": "main", **knobs}
    )
    assert outcome.fec_recovered >= 3
    assert outcome.unrecovered == 0
    assert (counts[5002] > 40 and counts[5004] > 20) is on_ports
    assert bool(counts[5002] or counts[5004]) is on_ports


@pytest.mark.parametrize("profile", ["simple", "main", "advanced"])
async def test_a_listener_of_any_profile_hears_parities_of_each(
    profile: Literal["simple", "main", "advanced"], autojump_clock: MockClock
) -> None:
    there = LinkConditions(delay=0.02, loss=BurstLoss.with_mean(0.012, 4))
    outcome, counts = await stream_to_ports(
        there, {"profile": profile, "fec": "cols:10,rows:5"}, {"profile": "auto"}
    )
    assert outcome.fec_recovered >= 3
    assert outcome.unrecovered == 0
    assert bool(counts[5002]) is (profile != "advanced")


async def stream_to_ports(
    there: LinkConditions, sends: RistKnobs, receives: RistKnobs
) -> tuple[RistReceiverStatistics, Counter[int]]:
    """Send to port 5000; what the receiver counted, and how many datagrams went to each port of its."""
    network = SimulatedNetwork(6)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, there)
    received: list[bytes] = []
    receives["fec"] = sends["fec"]
    with use_network(bob):
        async with (
            open_rist_receiver("rist://@:5000", **receives) as receiver,
            trio.open_nursery() as nursery,
        ):

            async def collect() -> None:
                while True:
                    received.extend(packet.payload for packet in await receiver.receive_packets())

            nursery.start_soon(collect)
            with use_network(alice):
                async with open_rist_sender("rist://bob:5000", **sends) as sender:
                    for number in range(500):
                        await sender.send_packet(number.to_bytes(4, "big") * 16)
                        await trio.sleep(0.002)
            await trio.sleep(1)
            statistics = receiver.statistics()
            nursery.cancel_scope.cancel()
    network.settle()
    assert received == [number.to_bytes(4, "big") * 16 for number in range(500)]
    return statistics, Counter(record.destination.port for record in network.trace.packets)


@pytest.mark.parametrize("carriage", ["ports", "tunnel"])
async def test_parities_from_elsewhere_are_not_listened_to(carriage: str, autojump_clock: MockClock) -> None:
    """On ports of their own they say nothing about who sent them, so the host has to be the sender's."""
    network = SimulatedNetwork(4)
    alice, bob, mallory = network.add_host("alice"), network.add_host("bob"), network.add_host("mallory")
    with use_network(bob):
        async with open_rist_receiver(
            "rist://@:5000", profile="main", fec=f"carriage:{carriage}"
        ) as receiver:
            with use_network(alice):
                async with open_rist_sender("rist://bob:5000", profile="main") as sender:
                    await sender.send_packet(b"media")
                    await trio.sleep(1)
                    for host, heard in ((mallory, 0), (alice, 40)):
                        with use_network(host):
                            endpoint = await host.open_datagram_endpoint(
                                EndpointOptions(local=Address("", 7000))
                            )
                        for offset in (2, 4):
                            endpoint.send_nowait(
                                [Run(Address(bob.addresses[0], 5000 + offset), [b"no parity"] * 20)]
                            )
                        await trio.sleep(0.5)
                        endpoint.close()
                        assert receiver.statistics().fec_received == (heard if carriage == "ports" else 0)


@pytest.mark.parametrize(
    ("knobs", "match"),
    [
        ({"profile": "simple", "fec": "carriage:tunnel"}, "the Simple profile has none"),
        ({"profile": "advanced", "fec": "carriage:ports"}, "control messages"),
        ({"profile": "main", "fec": "carriage:ports", "dtls": True}, "what dtls protects"),
        ({"profile": "main", "fec": "carriage:pigeon"}, "'auto', 'ports', 'tunnel'"),
    ],
    ids=str,
)
async def test_a_carriage_that_cannot_be_is_refused(
    knobs: RistKnobs, match: str, autojump_clock: MockClock
) -> None:
    network = SimulatedNetwork(1)
    with use_network(network.add_host("bob")), pytest.raises(InvalidOption, match=match):
        async with open_rist_receiver("rist://@:5000", **knobs):
            pass  # pragma: no cover


@pytest.mark.parametrize("profile", ["simple", "main"])
async def test_a_receiver_that_calls_hears_parities_too(
    profile: Literal["simple", "main"], autojump_clock: MockClock
) -> None:
    network = SimulatedNetwork(8)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.02, loss=BurstLoss.with_mean(0.01, 3)))
    received: list[bytes] = []
    with use_network(alice):
        async with open_rist_sender("rist://@:5000", profile=profile, fec="cols:10,rows:5") as sender:
            with use_network(bob):
                async with (
                    open_rist_receiver("rist://alice:5000", profile=profile, fec=RistFec()) as receiver,
                    trio.open_nursery() as nursery,
                ):

                    async def collect() -> None:
                        while True:
                            received.extend(packet.payload for packet in await receiver.receive_packets())

                    nursery.start_soon(collect)
                    for number in range(800):
                        await sender.send_packet(number.to_bytes(4, "big") * 16)
                        await trio.sleep(0.002)
                    await trio.sleep(2)
                    statistics = receiver.statistics()
                    nursery.cancel_scope.cancel()
    assert received == [number.to_bytes(4, "big") * 16 for number in range(800)]
    assert statistics.fec_recovered > 0
    assert statistics.fec_received > 100


async def test_a_listener_with_many_flows_refuses_fec(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    with (
        use_network(network.add_host("bob")),
        pytest.raises(UnsupportedOperation, match="fec cannot be told apart"),
    ):
        async with open_rist_listener("rist://@:5000?profile=simple&fec=cols:10,rows:5"):
            pass  # pragma: no cover


async def test_a_matrix_that_the_standard_does_not_know_is_refused(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    with use_network(network.add_host("bob")), pytest.raises(InvalidOption, match="fec cols is 30"):
        async with open_rist_receiver("rist://@:5000?profile=simple&fec=cols:30,rows:5"):
            pass  # pragma: no cover


@pytest.mark.parametrize(
    "knobs",
    [{"profile": "simple"}, {"profile": "main", "secret": "between us"}, {"profile": "advanced"}],
    ids=str,
)
async def test_what_two_paths_lose_together_is_repaired_without_a_request(
    knobs: dict[str, Any], autojump_clock: MockClock
) -> None:
    """A digger cuts both cables at once: copies are no help, and nobody is asked."""

    async def dig(paths: Paths) -> None:
        await trio.sleep(0.3)
        for _ in range(6):
            await trio.sleep(0.2)
            for path in range(2):
                paths.cut(path)
            await trio.sleep(0.007)
            for path in range(2):
                paths.mend(path)

    conditions = [LinkConditions(delay=0.02), LinkConditions(delay=0.03)]
    outcome, _ = await stream_over_paths(
        2, conditions, packets=900, interval=0.002, meanwhile=dig, fec="cols:10,rows:5", **knobs
    )
    receiver = outcome.receiver
    assert outcome.payloads == outcome.sent
    assert receiver.fec_recovered >= 15
    assert receiver.fec_recovered == receiver.recovered
    assert receiver.requests == 0
    assert outcome.sender.retransmitted == 0
