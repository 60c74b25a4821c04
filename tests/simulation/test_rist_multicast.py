"""One sender, a group of receivers, on a simulated network: each has losses of its own, and all get everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from terzetto import RistReceiver, RistSender, open_rist_receiver, open_rist_sender
from terzetto.errors import InvalidOption
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.core.multicast_sender import MOST_MEMBERS
from terzetto.rist.events import PeerConnected, PeerLost

pytestmark = pytest.mark.slow

GROUPS = ["239.1.2.3", "[ff15::5]"]


class World:
    """A studio that sends, and receivers of a group."""

    def __init__(self, seed: int, receivers: int, conditions: LinkConditions) -> None:
        self.network = SimulatedNetwork(seed)
        self.studio = self.network.add_host("studio", "10.0.0.1", "fd00::1")
        self.hosts: list[SimulatedHost] = []
        for number in range(receivers):
            host = self.network.add_host(f"r{number}", f"10.0.1.{number + 1}", f"fd00:1::{number + 1}")
            self.network.connect(self.studio, host, conditions)
            self.hosts.append(host)
        self.delivered: list[list[bytes]] = [[] for _ in range(receivers)]
        self.receivers: list[RistReceiver] = []

    @asynccontextmanager
    async def sender(self, url: str, listening: str = "", **knobs: Any) -> AsyncIterator[RistSender]:
        """All receivers join, and the sender begins."""
        async with AsyncExitStack() as stack:
            nursery = await stack.enter_async_context(trio.open_nursery())
            for number, host in enumerate(self.hosts):
                with use_network(host):
                    receiver = await stack.enter_async_context(
                        open_rist_receiver(listening or url.replace("//", "//@"), **knobs)
                    )
                self.receivers.append(receiver)
                nursery.start_soon(self._collect, receiver, self.delivered[number])
            with use_network(self.studio):
                async with open_rist_sender(url, **knobs) as sender:
                    yield sender
            await trio.sleep(1.5)
            nursery.cancel_scope.cancel()

    async def _collect(self, receiver: RistReceiver, into: list[bytes]) -> None:
        with suppress(trio.ClosedResourceError):
            while True:
                into.extend(packet.payload for packet in await receiver.receive_packets())


async def send(sender: RistSender, count: int) -> list[bytes]:
    payloads = [number.to_bytes(4, "big") * 16 for number in range(count)]
    for payload in payloads:
        await sender.send_packet(payload)
        await trio.sleep(0.002)
    return payloads


@pytest.mark.parametrize("group", GROUPS)
async def test_every_receiver_mends_its_own_losses(group: str, autojump_clock: MockClock) -> None:
    world = World(3, 4, LinkConditions(delay=0.02, loss=0.05))
    async with world.sender(f"rist://{group}:5000?profile=simple") as sender:
        await sender.wait_connected()
        await trio.sleep(0.5)
        sent = await send(sender, 400)
        statistics = sender.statistics()
    assert world.delivered == [sent] * 4
    recovered = [receiver.statistics().recovered for receiver in world.receivers]
    assert min(recovered) > 5
    # One repeat serves all who lack the packet, so there are fewer of them than requests.
    assert statistics.retransmitted <= sum(recovered)
    assert statistics.suppressed >= 0
    assert statistics.peer.connected
    assert 0.03 < statistics.peer.round_trip < 0.08


async def test_nobody_has_to_be_there(autojump_clock: MockClock) -> None:
    world = World(1, 0, LinkConditions())
    with use_network(world.studio):
        async with open_rist_sender("rist://239.1.2.3:5000?profile=simple") as sender:
            with trio.fail_after(5):
                await send(sender, 50)
            assert sender.statistics().sent == 50
            assert sender.statistics().withheld == 0
            assert not sender.is_connected


async def test_who_comes_and_goes_is_told(autojump_clock: MockClock) -> None:
    world = World(1, 2, LinkConditions(delay=0.01))
    told: list[object] = []
    async with world.sender("rist://239.1.2.3:5000?profile=simple") as sender, trio.open_nursery() as nursery:

        async def listen() -> None:
            async for event in sender.events():
                told.append(event)

        nursery.start_soon(listen)
        await send(sender, 200)
        assert {event.peer.host for event in told if isinstance(event, PeerConnected)} == {
            "10.0.1.1",
            "10.0.1.2",
        }
        await world.receivers[0].aclose()
        await trio.sleep(0.2)
        assert [event.peer.host for event in told if isinstance(event, PeerLost)] == ["10.0.1.1"]
        assert sender.statistics().peer.connected  # by the other one
        for link in world.network.links_between(world.studio, world.hosts[1]):
            link.cut()
        await trio.sleep(3)
        lost = [event for event in told if isinstance(event, PeerLost)]
        assert (len(lost), sender.statistics().peer.connected) == (2, False)
        nursery.cancel_scope.cancel()


async def test_a_source_specific_receiver_hears_its_source_alone(autojump_clock: MockClock) -> None:
    world = World(2, 1, LinkConditions(delay=0.01))
    rival = world.network.add_host("rival", "10.0.0.9")
    listening = "rist://@232.1.2.3:5000?profile=simple&source=10.0.0.1"
    async with world.sender("rist://232.1.2.3:5000?profile=simple", listening) as sender:
        with use_network(rival):
            async with open_rist_sender("rist://232.1.2.3:5000?profile=simple") as other:
                await send(other, 20)
                sent = await send(sender, 50)
    assert world.delivered == [sent]


async def test_parities_and_one_way_go_to_a_group_too(autojump_clock: MockClock) -> None:
    world = World(5, 3, LinkConditions(delay=0.01, loss=0.01))
    knobs: dict[str, Any] = {"profile": "simple", "fec": "cols:5,rows:5", "one_way": True}
    async with world.sender("rist://239.1.2.3:5000", **knobs) as sender:
        await send(sender, 400)
        assert sender.statistics().retransmitted == 0
    for receiver in world.receivers:
        assert receiver.statistics().fec_recovered > 0
        assert receiver.statistics().requests == 0


async def test_a_flood_of_strangers_costs_no_more_than_so_many(autojump_clock: MockClock) -> None:
    world = World(1, 0, LinkConditions())
    flooder = world.network.add_host("flooder", "10.0.9.9")
    report = bytes.fromhex("80c90001 00000001")  # an empty receiver report
    with use_network(world.studio):
        async with open_rist_sender("rist://239.1.2.3:5000?profile=simple&local-port=6000") as sender:
            from terzetto.primitives.datagrams import Address, Run
            from tests.net.simulated.worlds import bind

            heard = 0
            for _ in range(MOST_MEMBERS + 50):
                endpoint = bind(flooder)
                await endpoint.send([Run(Address("10.0.0.1", 6001), [report])])
                await trio.sleep(0.001)
                heard += sum(len(run.datagrams) for run in endpoint.receive_nowait())
                endpoint.close()
            core = sender._outflow.legs[0]
            assert core.members == MOST_MEMBERS  # type: ignore[attr-defined]
            assert core.unheard == 50  # type: ignore[attr-defined]
            assert heard == 0  # and nobody is sent anything that was not asked for
            await trio.sleep(3)
            assert core.members == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("rist://239.1.2.3:5000?profile=main", "a group is sent to in the Simple profile only"),
        ("rist://[ff15::5]:5000?profile=advanced", "a group is sent to in the Simple profile only"),
    ],
)
async def test_what_groups_cannot_do_is_refused(url: str, message: str, autojump_clock: MockClock) -> None:
    world = World(1, 0, LinkConditions())
    with use_network(world.studio), pytest.raises(InvalidOption, match=message):
        async with open_rist_sender(url):
            pass  # pragma: no cover


async def test_a_receiver_of_a_group_listens(autojump_clock: MockClock) -> None:
    world = World(1, 0, LinkConditions())
    with use_network(world.studio), pytest.raises(InvalidOption, match=r"rist://@239\.1\.2\.3:5000"):
        async with open_rist_receiver("rist://239.1.2.3:5000?profile=simple"):
            pass  # pragma: no cover
