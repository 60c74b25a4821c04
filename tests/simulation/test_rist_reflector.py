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
from terzetto.rist.core.rtcp_translation import compound_from_feedback
from terzetto.rist.core.vocabulary import Description, ReceptionReport
from terzetto.rist.events import PathDown, PathUp, RistEvent
from terzetto.rist.options import Profile, RistKnobs
from terzetto.rist.reflector import MAX_RECEIVERS
from terzetto.rist.wire.gre import REDUCED, encode_run
from terzetto.rist.wire.virtual_ports import VirtualPorts

pytestmark = pytest.mark.slow

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
    [
        {"profile": "simple"},
        {"profile": "main", "secret": "for all of you"},
        {"profile": "main", "username": "rist", "password": "mainprofile"},
        {"profile": "advanced"},
    ],
    ids=["simple", "main", "login", "advanced"],
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


async def test_callers_of_every_profile_share_one_flow(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(8)
    studio = network.add_host("studio")
    profiles: tuple[Profile, ...] = ("simple", "main", "advanced")
    heard: dict[Profile, list[bytes]] = {profile: [] for profile in profiles}
    async with trio.open_nursery() as nursery:
        with use_network(studio):
            async with tz.open_rist_sender("rist://@:5000?reflector=1&profile=auto") as sender:
                for profile, mine in heard.items():
                    viewer = network.add_host(profile)
                    network.connect(studio, viewer, LOSSY)
                    nursery.start_soon(receive, viewer, mine, RistKnobs(profile=profile))
                await trio.sleep(1)
                for payload in PAYLOADS:
                    await sender.send_packet(payload)
                    await trio.sleep(0.004)
            await trio.sleep(1.5)
        nursery.cancel_scope.cancel()
    assert heard == dict.fromkeys(profiles, PAYLOADS)


async def test_receivers_of_one_host_are_told_apart_and_a_late_one_gets_the_flow_from_then_on(
    autojump_clock: MockClock,
) -> None:
    network = SimulatedNetwork(8, default=LinkConditions(delay=0.01))
    studio, viewer = network.add_host("studio"), network.add_host("viewer")
    early: list[bytes] = []
    late: list[bytes] = []
    knobs: RistKnobs = {"profile": "main"}
    with use_network(studio):
        async with (
            tz.open_rist_sender("rist://@:5000?reflector=1&profile=main") as sender,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(receive, viewer, early, knobs)
            for number, payload in enumerate(PAYLOADS):
                await sender.send_packet(payload)
                await trio.sleep(0.005)
                if number == 150:
                    nursery.start_soon(receive, viewer, late, knobs)
            await trio.sleep(1.5)
            nursery.cancel_scope.cancel()
    assert early == PAYLOADS
    first = PAYLOADS.index(late[0])
    assert 150 < first < 220
    assert late == PAYLOADS[first:]


async def test_who_lacks_the_secret_gets_no_media(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(8, default=LinkConditions(delay=0.01))
    studio, viewer, mallory = (network.add_host(name) for name in ("studio", "viewer", "mallory"))
    heard: list[bytes] = []
    report = compound_from_feedback([ReceptionReport(0), Description(0, "x")], nack_type="range")
    body = VirtualPorts(1969, 0x8000).encode() + report
    (knock,) = encode_run([body], protocol_type=REDUCED, version=1, first_sequence=0)
    with use_network(studio):
        async with (
            tz.open_rist_sender("rist://@:5000?reflector=1&profile=main&secret=hush") as sender,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(receive, viewer, heard, RistKnobs(profile="main", secret="hush"))
            await sender.wait_connected()
            for _ in range(5):
                endpoint = await mallory.open_datagram_endpoint(EndpointOptions(local=Address("", 0)))
                await endpoint.send([Run(Address(studio.addresses[0], 5000), [knock])])
            await trio.sleep(0.5)
            assert len(sender.paths) == 6
            await sender.send_packet(b"not for them")
            assert sorted(path.media_sent for path in sender.statistics().paths) == [0, 0, 0, 0, 0, 1]
            await trio.sleep(3)
            assert len(sender.paths) == 1, "who proves nothing is let go"
            nursery.cancel_scope.cancel()
    assert heard == [b"not for them"]


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
            with pytest.raises(UnsupportedOperation, match="whoever calls is a path"):
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
