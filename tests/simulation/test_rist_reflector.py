"""One sender that listens, many receivers that call."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.errors import InvalidUrl, PeerTimedOut, UnsupportedOperation
from terzetto.net.endpoint import Address, EndpointOptions, Run
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.events import PathDown, PathUp, RistEvent
from terzetto.rist.options import RistKnobs
from terzetto.rist.reflector import MAX_RECEIVERS

PAYLOADS = [number.to_bytes(4, "big") * 16 for number in range(400)]
LOSSY = LinkConditions(loss=0.1, delay=0.01)


async def receive(host: SimulatedHost, heard: list[bytes], knobs: RistKnobs, stay: float = 1e6) -> None:
    with use_network(host), trio.move_on_after(stay):
        async with tz.open_rist_receiver("rist://studio:5000", **knobs) as receiver:
            try:
                while True:
                    heard += [packet.payload for packet in await receiver.receive_packets()]
            finally:
                with trio.CancelScope(shield=True):
                    await receiver.aclose()


@pytest.mark.parametrize(
    "knobs",
    [{"profile": "simple"}, {"profile": "main", "secret": "for all of you"}, {"profile": "advanced"}],
    ids=["simple", "main", "advanced"],
)
async def test_every_receiver_gets_all_of_it_with_repeats_of_its_own(
    knobs: RistKnobs, autojump_clock: MockClock
) -> None:
    network = SimulatedNetwork(8)
    studio = network.add_host("studio")
    viewers = [network.add_host(f"viewer{number}") for number in range(4)]
    heard: list[list[bytes]] = [[] for _ in viewers]
    events: list[RistEvent] = []

    async def listen(sender: tz.RistSender) -> None:
        async for event in sender.events():
            events.append(event)

    async with trio.open_nursery() as nursery:
        with use_network(studio):
            async with tz.open_rist_sender("rist://@:5000?reflector=1", **knobs) as sender:
                nursery.start_soon(listen, sender)
                for viewer, mine in zip(viewers, heard, strict=True):
                    network.connect(studio, viewer, LOSSY)
                    nursery.start_soon(receive, viewer, mine, knobs, 2.3 if mine is heard[3] else 1e6)
                await trio.sleep(1)
                assert len(sender.paths) == 4
                for payload in PAYLOADS:
                    await sender.send_packet(payload)
                    await trio.sleep(0.004)
                assert len(sender.paths) == 3, "the one that left is gone"
                statistics = sender.statistics()
            await trio.sleep(1.5)
        nursery.cancel_scope.cancel()
    for mine in heard[:3]:
        assert mine == PAYLOADS
    assert 0 < len(heard[3]) < len(PAYLOADS)
    assert statistics.sent == len(PAYLOADS)
    assert all(path.repeats_sent > 20 for path in statistics.paths)
    assert sum(isinstance(event, PathUp) for event in events) == 4
    assert next(event.reason for event in events if isinstance(event, PathDown)).endswith("said goodbye")


async def test_media_goes_on_while_nobody_listens(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(8)
    studio, viewer = network.add_host("studio"), network.add_host("viewer")
    heard: list[bytes] = []
    knobs: RistKnobs = {"profile": "main"}
    with use_network(studio):
        async with (
            tz.open_rist_sender("rist://@:5000?reflector=1&profile=main") as sender,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(receive, viewer, heard, knobs, 2.0)
            await sender.send_packet(b"the first waits for a receiver")
            await trio.sleep(4)
            assert not sender.paths
            await sender.send_packet(b"nobody is there to hear this")
            assert sender.statistics().withheld == 1
            nursery.start_soon(receive, viewer, heard, knobs)
            await trio.sleep(0.5)
            await sender.send_packet(b"somebody again")
            await trio.sleep(1.5)
            nursery.cancel_scope.cancel()
    assert heard == [b"the first waits for a receiver", b"somebody again"]


async def test_strangers_are_bounded_and_let_go(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(8)
    studio, flood = network.add_host("studio"), network.add_host("flood")
    with use_network(studio):
        async with tz.open_rist_sender("rist://@:5000?reflector=1&profile=main") as sender:
            with use_network(flood):
                for _ in range(MAX_RECEIVERS + 20):
                    async with await flood.open_datagram_endpoint(EndpointOptions(family=4)) as endpoint:
                        studio_address = next(a for a in studio.addresses if ":" not in a)
                        await endpoint.send([Run(Address(studio_address, 5000), [b"let me in"])])
            await trio.sleep(0.5)
            assert len(sender.paths) == MAX_RECEIVERS
            await trio.sleep(3)
            assert not sender.paths
            with pytest.raises(UnsupportedOperation, match="by themselves"):
                await sender.add_path("rist://studio:6000")


async def test_what_a_reflector_cannot_be_is_refused(autojump_clock: MockClock) -> None:
    studio = SimulatedNetwork(8).add_host("studio")
    with use_network(studio):
        with pytest.raises(InvalidUrl, match="waits to be called"):
            async with tz.open_rist_sender("rist://192.0.2.7:5000?reflector=1"):
                pass
        with pytest.raises(UnsupportedOperation, match="no fec"):
            async with tz.open_rist_sender("rist://@:5000?reflector=1&profile=simple&fec=cols:5,rows:5"):
                pass
        async with tz.open_rist_sender("rist://@:5000?reflector=1&connect-timeout=500") as sender:
            with pytest.raises(PeerTimedOut, match="nobody called"):
                await sender.wait_connected()
