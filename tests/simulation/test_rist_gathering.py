"""One receiver at one port, several callers that bring one flow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.errors import InvalidOption, InvalidUrl, PeerTimedOut, UnsupportedOperation
from terzetto.net.endpoint import Address, EndpointOptions, Run
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.events import FlowEnded, FlowRestarted, FlowStarted, RistEvent
from terzetto.rist.gathering import MAX_CALLERS
from terzetto.rist.options import RistKnobs
from tests.simulation.rist_paths import Paths, stream_over_paths

pytestmark = pytest.mark.slow

PROFILES: list[RistKnobs] = [
    {"profile": "simple"},
    {"profile": "main"},
    {"profile": "main", "secret": "between us"},
    {"profile": "advanced", "secret": "between us"},
    {"profile": "main", "fec": "cols:10,rows:5"},
]


@attrs.define
class Studio:
    """A gathering on a host of its own, and what it heard."""

    address: str
    receiver: tz.RistReceiver
    heard: list[bytes] = attrs.Factory(list)
    events: list[RistEvent] = attrs.Factory(list)

    def count(self, kind: type[RistEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


@asynccontextmanager
async def studio(network: SimulatedNetwork, knobs: RistKnobs) -> AsyncIterator[Studio]:
    host = network.add_host("studio")
    with use_network(host):
        async with (
            tz.open_rist_receiver("rist://@:5000?merge-callers=1", **knobs) as receiver,
            trio.open_nursery() as nursery,
        ):
            here = Studio(host.addresses[0], receiver)

            async def collect() -> None:
                while True:
                    here.heard += [packet.payload for packet in await receiver.receive_packets()]

            async def listen() -> None:
                async for event in receiver.events():
                    here.events.append(event)

            nursery.start_soon(collect)
            nursery.start_soon(listen)
            yield here
            nursery.cancel_scope.cancel()


async def send(
    host: SimulatedHost, numbers: range, knobs: RistKnobs, *, at: float, flow_id: int = 42
) -> None:
    """Send each number, the same number at the same moment on every host."""
    with use_network(host):
        knobs = {**knobs, "flow_id": flow_id}
        async with tz.open_rist_sender("rist://studio:5000", **knobs) as sender:
            await sender.wait_connected()
            for number in numbers:
                await trio.sleep_until(at + number * 0.002)
                await sender.send_packet(number.to_bytes(4, "big") * 16)


@pytest.mark.parametrize("knobs", PROFILES, ids=str)
async def test_two_hosts_that_bring_one_flow_fill_each_others_gaps(
    knobs: RistKnobs, autojump_clock: MockClock
) -> None:
    network = SimulatedNetwork(8)
    hosts = [network.add_host("alice"), network.add_host("carol")]
    start = trio.current_time() + 1
    async with studio(network, knobs) as here:
        async with trio.open_nursery() as nursery:
            for number, host in enumerate(hosts):
                network.connect(host, "studio", LinkConditions(loss=0.1, delay=0.01 + 0.01 * number))
                nursery.start_soon(partial(send, host, range(300), knobs, at=start))
            await trio.sleep_until(start + 0.4)
            during = here.receiver.statistics()
        await trio.sleep(1)
        assert here.heard == [number.to_bytes(4, "big") * 16 for number in range(300)]
        after = here.receiver.statistics()
    assert len(during.paths) == 2
    assert all(path.connected and path.media_received > 100 for path in during.paths)
    assert len({path.address for path in during.paths}) == 2
    assert after.duplicates > 150
    assert after.unrecovered == 0
    assert (here.count(FlowStarted), here.count(FlowRestarted)) == (1, 0)


@pytest.mark.parametrize("knobs", [{"profile": "main"}, {"profile": "advanced"}], ids=str)
async def test_a_bonded_sender_may_call_one_port_and_lose_one_path(
    knobs: RistKnobs, autojump_clock: MockClock
) -> None:
    async def dig(paths: Paths) -> None:
        await trio.sleep(0.3)
        paths.cut(0)
        await trio.sleep(3)
        paths.mend(0)

    conditions = [LinkConditions(delay=0.02, loss=0.05), LinkConditions(delay=0.03, loss=0.05)]
    outcome, paths = await stream_over_paths(
        2, conditions, packets=1000, interval=0.005, at_one_port=True, meanwhile=dig, **knobs
    )
    assert outcome.payloads == outcome.sent
    assert outcome.receiver.unrecovered == 0
    downs = [
        event
        for who, event in paths.events
        if who == "receiver" and isinstance(event, tz.rist.events.PathDown)
    ]
    ups = [
        event for who, event in paths.events if who == "receiver" and isinstance(event, tz.rist.events.PathUp)
    ]
    assert downs
    assert len(ups) == 3


async def test_a_sender_that_loses_every_path_goes_on_when_one_is_back(autojump_clock: MockClock) -> None:
    async def dig(paths: Paths) -> None:
        await trio.sleep(0.5)
        for path in range(2):
            paths.cut(path)
        await trio.sleep(4)
        assert not paths.receiver.is_connected
        paths.mend(1)

    conditions = [LinkConditions(delay=0.02), LinkConditions(delay=0.03)]
    outcome, paths = await stream_over_paths(
        2, conditions, packets=1600, interval=0.005, at_one_port=True, meanwhile=dig, profile="main"
    )
    assert outcome.payloads[:100] == outcome.sent[:100]
    assert outcome.payloads[-500:] == outcome.sent[-500:]
    assert len(set(outcome.payloads)) == len(outcome.payloads)
    assert not any(isinstance(event, FlowRestarted) for _, event in paths.events)
    assert len(outcome.receiver.paths) == 1


async def test_the_flow_outlives_its_last_path(autojump_clock: MockClock) -> None:
    """What is still to be handed out is, and who calls next takes its place."""
    network = SimulatedNetwork(8)
    alice, carol = network.add_host("alice"), network.add_host("carol")
    knobs: RistKnobs = {"profile": "main", "buffer": 3.0, "session_timeout": 1.0, "keepalive_interval": 0.1}
    start = trio.current_time() + 1
    async with studio(network, knobs) as here:
        with trio.move_on_at(start + 0.2):
            await send(alice, range(1000), knobs, at=start)
        await trio.sleep_until(start + 2)
        assert here.receiver.statistics().waiting > 50
        assert not here.receiver.is_connected
        await trio.sleep_until(start + 5)
        early = len(here.heard)
        assert early > 50
        assert here.count(FlowEnded) == 1
        await send(carol, range(3000, 3100), knobs, at=start, flow_id=44)
        await trio.sleep(4)
        assert here.heard[early:] == [number.to_bytes(4, "big") * 16 for number in range(3000, 3100)]
        assert len(here.receiver.statistics().paths) == 1


async def test_who_brings_another_flow_is_not_listened_to_while_the_first_goes_on(
    autojump_clock: MockClock,
) -> None:
    network = SimulatedNetwork(8)
    alice, mallory = network.add_host("alice"), network.add_host("mallory")
    knobs: RistKnobs = {"profile": "main"}
    start = trio.current_time() + 1
    async with studio(network, knobs) as here:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(send, alice, range(400), knobs, at=start))
            await trio.sleep(0.5)
            nursery.start_soon(partial(send, mallory, range(1000, 1100), knobs, at=start - 1.8, flow_id=44))
            await trio.sleep_until(start + 0.7)
            strangers = [path.strangers_ignored for path in here.receiver.statistics().paths]
        await trio.sleep(1)
        assert here.heard == [number.to_bytes(4, "big") * 16 for number in range(400)]
        assert max(strangers) >= 100
        assert here.count(FlowRestarted) == 0


async def test_strangers_are_bounded_and_let_go(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(8)
    mallory, alice = network.add_host("mallory"), network.add_host("alice")
    knobs: RistKnobs = {"profile": "main"}
    async with studio(network, knobs) as here:
        with use_network(mallory):
            for port in range(7000, 7000 + MAX_CALLERS + 20):
                endpoint = await mallory.open_datagram_endpoint(EndpointOptions(local=Address("", port)))
                endpoint.send_nowait([Run(Address(here.address, 5000), [b"knock"])])
        await trio.sleep(0.5)
        assert len(here.receiver.paths) == MAX_CALLERS
        assert not here.receiver.is_connected
        await trio.sleep(10)
        assert here.receiver.paths == {}
        await send(alice, range(50), knobs, at=trio.current_time())
        await trio.sleep(2)
        assert len(here.heard) == 50


async def test_nobody_calls(autojump_clock: MockClock) -> None:
    with use_network(SimulatedNetwork(8).add_host("studio")):
        async with tz.open_rist_receiver("rist://@:5000?merge-callers=1", connect_timeout=2.0) as receiver:
            with pytest.raises(PeerTimedOut, match="nobody called"):
                await receiver.wait_connected()


async def test_it_is_for_one_receiver_that_listens(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(8)
    with use_network(network.add_host("studio")):
        with pytest.raises(InvalidUrl, match="waits to be called"):
            async with tz.open_rist_receiver("rist://studio:5000?merge-callers=1"):
                pass  # pragma: no cover
        with pytest.raises(InvalidOption, match="is for a receiver"):
            async with tz.open_rist_sender("rist://studio:5000?merge-callers=1"):
                pass  # pragma: no cover
        with pytest.raises(UnsupportedOperation, match="accepts every caller"):
            async with tz.open_rist_listener("rist://@:5000?merge-callers=1"):
                pass  # pragma: no cover
        with pytest.raises(UnsupportedOperation, match="a list of URLs"):
            async with tz.open_rist_receiver(["rist://@:5000?merge-callers=1"]):
                pass  # pragma: no cover
