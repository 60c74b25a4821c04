"""Many cores on one socket do not notice one another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from terzetto.driver.mux import DatagramMux, MuxedEndpoint, Route, by_datagram, by_peer
from terzetto.net.endpoint import Address, DatagramEndpoint, Run
from terzetto.net.simulated import SimulatedEndpoint, SimulatedHost, SimulatedNetwork
from terzetto.testing.checks import check_endpoint
from tests.net.simulated.worlds import bind, payloads

HUB = Address("10.0.0.1", 5000)


class World:
    """A hub with a mux on port 5000, and peers around it."""

    def __init__(self, **options: object) -> None:
        self.network = SimulatedNetwork(1)
        self.hub = self.network.add_host("hub")
        self.strangers: list[tuple[Hashable, Run]] = []
        self.welcome = 0
        self.guests: dict[Hashable, MuxedEndpoint] = {}
        self.mux = DatagramMux(bind(self.hub, 5000), strangers=self.meet, **options)  # type: ignore[arg-type]

    def meet(self, key: Hashable, run: Run) -> None:
        self.strangers.append((key, run))
        if len(self.guests) < self.welcome:
            self.guests[key] = self.mux.open(key)

    def peer(self, name: str) -> SimulatedEndpoint:
        return bind(self.network.add_host(name), 6000)


@asynccontextmanager
async def running(mux: DatagramMux) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(mux.run)
        yield
        nursery.cancel_scope.cancel()


async def test_each_peer_reaches_its_own_endpoint(autojump_clock: MockClock) -> None:
    world = World()
    one, other = world.peer("one"), world.peer("other")
    async with running(world.mux):
        for_one = world.mux.open(Address("10.0.0.2", 6000))
        for_other = world.mux.open(Address("10.0.0.3", 6000))
        await one.send([Run(HUB, [b"from one"])])
        await other.send([Run(HUB, [b"from other"])])
        assert payloads(await for_one.receive()) == [b"from one"]
        assert payloads(await for_other.receive()) == [b"from other"]
        await for_other.send([Run(Address("10.0.0.3", 6000), [b"answer"])])
        assert payloads(await other.receive()) == [b"answer"]
        assert world.strangers == []


async def test_a_stranger_may_be_let_in_and_loses_nothing(autojump_clock: MockClock) -> None:
    world = World()
    world.welcome = 1
    one, other = world.peer("one"), world.peer("other")
    async with running(world.mux):
        await one.send([Run(HUB, [b"hello", b"it is me"])])
        await trio.sleep(0.1)
        await other.send([Run(HUB, [b"me too"])])
        await trio.sleep(0.1)
        [guest] = world.guests.values()
        assert payloads(guest.receive_nowait()) == [b"hello", b"it is me"]
        assert world.mux.statistics().strangers == 1
        assert [key for key, _run in world.strangers] == [("10.0.0.2", 6000), ("10.0.0.3", 6000)]


async def test_beyond_the_limit_nobody_is_asked(autojump_clock: MockClock) -> None:
    world = World(limit=1)
    world.welcome = 5
    one, other = world.peer("one"), world.peer("other")
    async with running(world.mux):
        for peer in (one, other):
            await peer.send([Run(HUB, [b"hello"])])
            await trio.sleep(0.1)
        assert len(world.guests) == 1
        assert len(world.strangers) == 1
        assert world.mux.statistics().strangers == 1


async def test_datagrams_of_one_peer_may_go_different_ways(autojump_clock: MockClock) -> None:
    world = World(route=by_datagram(lambda _run, datagram: datagram[:1]))
    one = world.peer("one")
    async with running(world.mux):
        a, b = world.mux.open(b"a"), world.mux.open(b"b")
        await one.send([Run(HUB, [b"a1", b"a2", b"b1", b"a3", b"c1"])])
        await trio.sleep(0.1)
        runs = a.receive_nowait()
        assert [list(run.datagrams) for run in runs] == [[b"a1", b"a2"], [b"a3"]]
        assert payloads(b.receive_nowait()) == [b"b1"]
        assert world.mux.statistics().strangers == 1


async def test_a_slow_reader_loses_the_oldest_and_harms_nobody(autojump_clock: MockClock) -> None:
    world = World(backlog=250)
    one, other = world.peer("one"), world.peer("other")
    async with running(world.mux):
        slow = world.mux.open(Address("10.0.0.2", 6000))
        brisk = world.mux.open(Address("10.0.0.3", 6000))
        for number in range(5):
            await one.send([Run(HUB, [bytes([number]) * 100])])
            await other.send([Run(HUB, [bytes([number]) * 100])])
            await trio.sleep(0.1)
            assert payloads(brisk.receive_nowait()) == [bytes([number]) * 100]
        assert payloads(slow.receive_nowait()) == [b"\3" * 100, b"\4" * 100]
        assert slow.statistics().dropped_by_kernel == 3
        assert world.mux.statistics().shed == 3


async def test_closing_one_endpoint_makes_its_peer_a_stranger(autojump_clock: MockClock) -> None:
    world = World()
    one = world.peer("one")
    async with running(world.mux):
        guest = world.mux.open(Address("10.0.0.2", 6000))
        with pytest.raises(trio.BusyResourceError, match="open already"):
            world.mux.open(Address("10.0.0.2", 6000))
        guest.close()
        await one.send([Run(HUB, [b"anyone?"])])
        await trio.sleep(0.1)
        assert len(world.strangers) == 1
        assert world.mux.statistics().endpoints == 0


async def test_closing_the_mux_closes_them_all_and_wakes_who_waits(autojump_clock: MockClock) -> None:
    world = World()
    guests = [world.mux.open(number) for number in range(3)]
    woken: list[int] = []

    async def wait(number: int) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await guests[number].receive()
        woken.append(number)

    async with trio.open_nursery() as nursery:
        await nursery.start(world.mux.run)
        for number in range(3):
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        world.mux.close()
    assert sorted(woken) == [0, 1, 2]
    with pytest.raises(trio.ClosedResourceError):
        world.mux.open("late")


async def test_cancelling_the_reader_closes_everything(autojump_clock: MockClock) -> None:
    world = World()
    guest = world.mux.open("guest")
    async with running(world.mux):
        pass
    for endpoint in (guest, world.mux.endpoint):
        with pytest.raises(trio.ClosedResourceError):
            endpoint.receive_nowait()


async def test_troubles_reach_who_sent(autojump_clock: MockClock) -> None:
    world = World()
    world.network.add_host("closed")
    async with running(world.mux):
        sender, bystander = world.mux.open("sender"), world.mux.open("bystander")
        await sender.send([Run(Address("10.0.0.2", 9), [b"?"])])
        await trio.sleep(0.1)
        [trouble] = sender.poll_troubles()
        assert (trouble.kind, trouble.peer) == ("refused", Address("10.0.0.2", 9))
        assert bystander.poll_troubles() == []
        assert sender.statistics().troubles == 1


async def test_several_may_wait_for_room_at_once(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    hub = network.add_host("hub", uplink_rate=1e6)
    sink = bind(network.add_host("sink"), 5000)
    mux = DatagramMux(bind(hub, 5000, send_buffer=4000))
    where = sink.local_address._replace(host="10.0.0.2")
    async with running(mux):
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(mux.open(number).send, [Run(where, [bytes([number]) * 1000] * 10)])
        await trio.sleep(1)
        got = payloads(sink.receive_nowait())
        assert [got.count(bytes([number]) * 1000) for number in range(3)] == [10, 10, 10]


@pytest.mark.parametrize("route", [by_peer, by_datagram(lambda run, _datagram: run.peer)])
async def test_a_virtual_endpoint_keeps_every_promise(autojump_clock: MockClock, route: Route) -> None:
    network = SimulatedNetwork(1)
    hosts = [network.add_host("one"), network.add_host("other")]

    async with trio.open_nursery() as nursery:

        def share(host: SimulatedHost, address: str) -> DatagramMux:
            mux = DatagramMux(bind(host, address=address), route=route)
            nursery.start_soon(mux.run)
            return mux

        async def open_pair() -> tuple[DatagramEndpoint, DatagramEndpoint]:
            await trio.lowlevel.checkpoint()
            one, other = share(hosts[0], "10.0.0.1"), share(hosts[1], "10.0.0.2")
            return one.open(other.endpoint.local_address), other.open(one.endpoint.local_address)

        await check_endpoint(open_pair)
        nursery.cancel_scope.cancel()
