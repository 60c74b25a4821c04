"""A translator lets answers in and nothing else, and a rebinding one changes who we seem to be."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from terzetto.net.endpoint import Address, Run
from terzetto.net.simulated import LinkConditions, SimulatedNetwork
from terzetto.net.stream import StreamOptions
from tests.net.simulated.worlds import bind, payloads, receive_all

SERVER = Address("203.0.113.1", 5000)


class World:
    def __init__(self, *, symmetric: bool = False, keeps_ports: bool = False) -> None:
        self.network = SimulatedNetwork(1, default=LinkConditions(delay=0.010))
        self.home = self.network.add_host("home", "192.168.1.10")
        self.server = self.network.add_host("server", "203.0.113.1")
        self.other = self.network.add_host("other", "203.0.113.2")
        self.nat = self.network.add_nat(
            "router", "198.51.100.1", "198.51.100.2", symmetric=symmetric, keeps_ports=keeps_ports
        )
        self.nat.shelter(self.home)
        self.inside = bind(self.home, 4000)
        self.outside = bind(self.server, 5000)

    async def hello(self) -> Address:
        await self.inside.send([Run(SERVER, [b"hello"])])
        [run] = await self.outside.receive()
        return run.peer


async def test_outside_sees_a_public_address_and_answers_reach_home(autojump_clock: MockClock) -> None:
    world = World()
    public = await world.hello()
    assert public == Address("198.51.100.1", 20_000)
    await world.outside.send([Run(public, [b"welcome"])])
    [run] = await world.inside.receive()
    assert (run.peer, run.local, payloads([run])) == (SERVER, "192.168.1.10", [b"welcome"])
    assert await world.hello() == public


async def test_who_was_not_asked_does_not_get_in(autojump_clock: MockClock) -> None:
    world = World()
    public = await world.hello()
    stranger = bind(world.other, 5000)
    await stranger.send([Run(public, [b"let me in"]), Run(public._replace(port=9), [b"or here"])])
    await bind(world.server, 5001).send([Run(public, [b"right host, wrong port"])])
    assert await receive_all(world.inside) == []
    fates = [packet.fate for packet in world.network.trace.packets if not packet.is_on_a_link]
    assert fates == ["not admitted"] * 3
    assert stranger.poll_troubles() == []  # silence, as from most routers


async def test_private_addresses_cannot_be_reached_from_outside(autojump_clock: MockClock) -> None:
    world = World()
    await world.outside.send([Run(Address("192.168.1.10", 4000), [b"?"])])
    [trouble] = world.outside.poll_troubles()
    assert "private address behind router" in trouble.text


async def test_a_rebind_changes_the_public_address_and_closes_the_old(autojump_clock: MockClock) -> None:
    world = World()
    before = await world.hello()
    world.nat.rebind()
    await world.outside.send([Run(before, [b"to where you were"])])
    assert await receive_all(world.inside) == []
    after = await world.hello()
    assert after == Address("198.51.100.2", 20_001)
    await world.outside.send([Run(after, [b"to where you are"])])
    assert payloads(await world.inside.receive()) == [b"to where you are"]


async def test_a_scheduled_rebind_catches_what_is_in_flight(autojump_clock: MockClock) -> None:
    world = World()
    world.nat.rebind(at=1.005)
    public = await world.hello()
    await trio.sleep_until(0.9)
    await world.outside.send([Run(public, [b"in time"])])
    await trio.sleep_until(1.0)
    await world.outside.send([Run(public, [b"on its way when it happened"])])
    assert payloads(await receive_all(world.inside)) == [b"in time"]
    assert await world.hello() != public


async def test_a_symmetric_translator_has_a_port_for_every_destination(autojump_clock: MockClock) -> None:
    for symmetric in (False, True):
        world = World(symmetric=symmetric)
        other = bind(world.other, 5000)
        first = await world.hello()
        await world.inside.send([Run(Address("203.0.113.2", 5000), [b"hello"])])
        [run] = await other.receive()
        assert (run.peer != first) is symmetric


async def test_two_homes_share_a_translator_and_reach_each_other_directly(autojump_clock: MockClock) -> None:
    world = World()
    sibling_host = world.network.add_host("sibling", "192.168.1.11")
    world.nat.shelter(sibling_host)
    sibling = bind(sibling_host, 4000)
    public = await world.hello()
    await sibling.send([Run(SERVER, [b"me too"])])
    [run] = await world.outside.receive()
    assert run.peer != public
    await sibling.send([Run(Address("192.168.1.10", 4000), [b"brother"])])
    [run] = await world.inside.receive()
    assert run.peer == Address("192.168.1.11", 4000)


async def test_the_way_through_a_translator_has_its_own_conditions(autojump_clock: MockClock) -> None:
    world = World()
    world.network.connect(world.home, world.server, LinkConditions(delay=0.100))
    await world.hello()
    assert trio.current_time() == 0.1


async def test_a_refusal_comes_back_through(autojump_clock: MockClock) -> None:
    world = World()
    world.outside.close()
    await world.inside.send([Run(SERVER, [b"hello"])])
    await trio.sleep(1)
    assert [(trouble.kind, trouble.peer) for trouble in world.inside.poll_troubles()] == [("refused", SERVER)]


async def test_a_translator_that_keeps_ports_gives_a_taken_one_to_nobody_else(
    autojump_clock: MockClock,
) -> None:
    world = World(keeps_ports=True)
    assert await world.hello() == Address("198.51.100.1", 4000)
    neighbour = world.network.add_host("neighbour", "192.168.1.11")
    world.nat.shelter(neighbour)
    await bind(neighbour, 4000).send([Run(SERVER, [b"me too"])])
    [run] = await world.outside.receive()
    assert run.peer == Address("198.51.100.1", 20_000)
    world.nat.rebind()
    assert await world.hello() == Address("198.51.100.2", 4000)


async def test_a_connection_does_not_survive_a_rebind(autojump_clock: MockClock) -> None:
    world = World()
    (listener,) = await world.server.open_tcp_listeners(Address("", 80), StreamOptions())
    inside = await world.home.open_tcp_stream(Address("203.0.113.1", 80), StreamOptions())
    outside = await listener.accept()
    await inside.send_all(b"before")
    assert await outside.receive_some() == b"before"
    world.nat.rebind()
    await outside.send_all(b"to where you were")
    with trio.move_on_after(60) as patience:
        await inside.receive_some()
    assert patience.cancelled_caught  # nothing came, and nobody said why
    with pytest.raises(trio.BrokenResourceError):
        for _ in range(2):
            await inside.send_all(b"who is that?")
    with pytest.raises(trio.BrokenResourceError):
        await inside.receive_some()
    inside.close()
    with trio.move_on_after(60) as patience:
        await outside.receive_some()
    assert patience.cancelled_caught
