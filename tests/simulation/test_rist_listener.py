"""Many flows on one port."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.net.endpoint import EndpointOptions
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.datagrams import Address, Run
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.core.vocabulary import ReceptionReport
from terzetto.rist.listener import open_rist_listener


async def send(host: SimulatedHost, name: bytes, count: int) -> None:
    with use_network(host):
        async with tz.open_rist_sender("rist://studio:5000?profile=simple", buffer=0.2) as sender:
            for number in range(count):
                await sender.send_packet(b"%s %d;" % (name, number))
                await trio.sleep(0.002)


async def test_each_sender_is_accepted_as_a_flow_of_its_own(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(2, default=LinkConditions(delay=0.01, loss=0.05))
    studio = network.add_host("studio")
    heard: dict[bytes, bytes] = {}

    async def handle(receiver: tz.RistReceiver) -> None:
        data = b"".join([chunk async for chunk in receiver])
        heard[data.split(b" ")[0]] = data

    with use_network(studio):
        async with (
            open_rist_listener("rist://@:5000?profile=simple", buffer=0.2) as listener,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(trio.serve_listeners, handle, [listener])
            async with trio.open_nursery() as senders:
                # Two of them share one host: the flow, not the address, tells them apart.
                camera = network.add_host("camera")
                senders.start_soon(send, camera, b"one", 300)
                senders.start_soon(send, camera, b"two", 200)
                senders.start_soon(send, network.add_host("other"), b"three", 100)
            await trio.sleep(5)
            assert listener.flows == 0, "flows that ended hold no state"
            nursery.cancel_scope.cancel()
    for name, count in ((b"one", 300), (b"two", 200), (b"three", 100)):
        assert heard[name] == b"".join(b"%s %d;" % (name, number) for number in range(count))


async def test_strangers_hold_a_bounded_number_of_flows_and_not_for_long(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(2)
    studio, mallory = network.add_host("studio"), network.add_host("mallory")
    forge = SimpleTranslator(payload_type=33, nack_type="range")
    with use_network(studio):
        async with open_rist_listener("rist://@:5000?profile=simple", buffer=0.2, limit=10) as listener:
            async with await mallory.open_datagram_endpoint(EndpointOptions()) as endpoint:
                for flow_id in range(0, 2000, 2):
                    reports = forge.encode_feedback([ReceptionReport(flow_id)])
                    await endpoint.send([Run(Address(studio.addresses[0], 5001), reports)])
                await trio.sleep(0.5)
                assert listener.flows == 10
            await trio.sleep(5)
            assert listener.flows == 0
            # And then an honest sender is served.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send, network.add_host("camera"), b"honest", 20)
                receiver = await listener.accept()
                assert b"".join([chunk async for chunk in receiver]).startswith(b"honest 0;honest 1;")
    assert studio.bound_ports() == []


async def test_a_listener_does_not_call(autojump_clock: MockClock) -> None:
    with (
        use_network(SimulatedNetwork(2).add_host("studio")),
        pytest.raises(tz.InvalidUrl, match="waits to be called"),
    ):
        async with open_rist_listener("rist://studio:5000?profile=simple"):
            pass


async def test_closing_a_listener_wakes_who_accepts(autojump_clock: MockClock) -> None:
    with use_network(SimulatedNetwork(2).add_host("studio")):
        async with (
            open_rist_listener("rist://@:5000?profile=simple") as listener,
            trio.open_nursery() as nursery,
        ):

            async def accept() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await listener.accept()

            nursery.start_soon(accept)
            await trio.sleep(1)
            await listener.aclose()
