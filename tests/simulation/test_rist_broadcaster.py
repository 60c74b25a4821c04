"""One listening sender for many receivers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.errors import UnsupportedOperation
from terzetto.net.endpoint import EndpointOptions
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.core.rtcp_translation import compound_from_feedback
from terzetto.rist.core.vocabulary import Description, ReceptionReport
from terzetto.rist.wire.gre import REDUCED, encode_run
from terzetto.rist.wire.virtual_ports import VirtualPorts

SECURITIES: dict[str, dict[str, Any]] = {
    "clear": {},
    "aes-256": {"secret": "hush"},
    "login": {"username": "rist", "password": "mainprofile"},
    "advanced": {"profile": "advanced"},
}


async def listen(host: SimulatedHost, heard: list[bytes], **knobs: Any) -> None:
    with use_network(host):
        async with tz.open_rist_receiver("rist://studio:5000", buffer=0.3, **knobs) as receiver:
            while True:
                heard += [packet.payload for packet in await receiver.receive_packets()]


@pytest.mark.parametrize("security", SECURITIES)
async def test_every_caller_gets_the_whole_stream(security: str, autojump_clock: MockClock) -> None:
    knobs = SECURITIES[security]
    network = SimulatedNetwork(5, default=LinkConditions(delay=0.01, loss=0.05))
    studio, first, second = (network.add_host(name) for name in ("studio", "first", "second"))
    heard: list[list[bytes]] = [[], [], []]
    with use_network(studio):
        async with tz.open_rist_broadcaster("rist://@:5000", buffer=0.3, **knobs) as sender:
            async with trio.open_nursery() as nursery:
                # Two of them share a host: the port tells them apart.
                for host, place in ((first, heard[0]), (first, heard[1]), (second, heard[2])):
                    nursery.start_soon(partial(listen, host, place, **knobs))
                with trio.fail_after(5):
                    while sender.receivers < 3:  # noqa: ASYNC110
                        await trio.sleep(0.05)
                sent = [number.to_bytes(4, "big") * 50 for number in range(200)]
                for payload in sent:
                    await sender.send_packet(payload)
                    await trio.sleep(0.002)
                await trio.sleep(1)
                assert [statistics.sent for statistics in sender.statistics()] == [200] * 3
                assert all(statistics.retransmitted > 3 for statistics in sender.statistics())
                nursery.cancel_scope.cancel()
            assert heard == [sent] * 3
            await trio.sleep(3)
            assert sender.receivers == 0
            assert sender.statistics() == []


async def test_who_comes_late_gets_what_is_sent_from_then_on(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(5, default=LinkConditions(delay=0.01))
    studio, camera = network.add_host("studio"), network.add_host("first")
    heard: list[bytes] = []
    with use_network(studio):
        async with tz.open_rist_broadcaster("rist://@:5000") as sender, trio.open_nursery() as nursery:
            for number in range(300):
                await sender.send_packet(b"%d" % number)
                await trio.sleep(0.005)
                if number == 50:
                    nursery.start_soon(listen, camera, heard)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
    numbers = [int(payload) for payload in heard]
    assert 50 < numbers[0] < 120
    assert numbers == list(range(numbers[0], 300))


async def test_strangers_hold_a_bounded_number_of_places_and_not_for_long(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(5, default=LinkConditions(delay=0.01))
    studio, mallory = network.add_host("studio"), network.add_host("mallory")
    report = compound_from_feedback([ReceptionReport(0), Description(0, "x")], nack_type="range")
    body = VirtualPorts(1969, 0x8000).encode() + report
    with use_network(studio):
        async with tz.open_rist_broadcaster("rist://@:5000", limit=4, secret="hush") as sender:
            for _ in range(20):
                endpoint = await mallory.open_datagram_endpoint(EndpointOptions(local=Address("", 0)))
                (datagram,) = encode_run([body], protocol_type=REDUCED, version=1, first_sequence=0)
                await endpoint.send([Run(Address(studio.addresses[0], 5000), [datagram])])
            await trio.sleep(0.5)
            assert len(sender.statistics()) == 4
            assert sender.receivers == 0
            await sender.send_packet(b"not for them")
            await trio.sleep(3)
            assert sender.statistics() == []


async def test_the_simple_profile_has_no_port_for_many(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(5)
    with use_network(network.add_host("studio")), pytest.raises(UnsupportedOperation, match="Simple"):
        async with tz.open_rist_broadcaster("rist://@:5000", profile="simple"):
            pass


async def test_a_closed_broadcaster_says_so(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(5)
    with use_network(network.add_host("studio")):
        async with tz.open_rist_broadcaster("rist://@:5000") as sender:
            await sender.send_all(b"to nobody")
            await sender.aclose()
            with pytest.raises(trio.ClosedResourceError):
                await sender.send_all(b"too late")
