from __future__ import annotations

import pytest
import trio
import trio.testing

from terzetto.errors import AddressInUse, ConnectionRefusedByPeer, PeerTimedOut
from terzetto.net.simulated import LinkConditions, SimulatedHost, SimulatedNetwork
from terzetto.net.simulated.tcp import DEFAULT_WINDOW, SimulatedStream
from terzetto.net.stream import StreamOptions
from terzetto.primitives.datagrams import Address

SERVER = Address("10.0.0.2", 80)


def network(conditions: LinkConditions) -> tuple[SimulatedNetwork, SimulatedHost, SimulatedHost]:
    net = SimulatedNetwork(seed=1)
    one, other = net.add_host("one", "10.0.0.1"), net.add_host("other", "10.0.0.2")
    net.connect(one, other, conditions)
    return net, one, other


async def pair(one: SimulatedHost, other: SimulatedHost) -> tuple[SimulatedStream, SimulatedStream]:
    [listener] = await other.open_tcp_listeners(SERVER, StreamOptions())
    ours = await one.open_tcp_stream(SERVER, StreamOptions())
    theirs = await listener.accept()
    await listener.aclose()
    return ours, theirs


async def test_connecting_takes_a_round_trip_and_bytes_half_of_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    _, one, other = network(LinkConditions(delay=0.05))
    began = trio.current_time()
    ours, theirs = await pair(one, other)
    assert trio.current_time() - began == pytest.approx(0.1)
    await ours.send_all(b"hello")
    assert await theirs.receive_some() == b"hello"
    assert trio.current_time() - began == pytest.approx(0.15)
    assert theirs.peer_address == ours.local_address


async def test_what_is_lost_comes_later_in_its_place(autojump_clock: trio.testing.MockClock) -> None:
    _, one, other = network(LinkConditions(delay=0.01, loss=0.2))
    ours, theirs = await pair(one, other)
    data = bytes(range(256)) * 500
    await ours.send_all(data)
    ours.close()
    received = b""
    while chunk := await theirs.receive_some():
        received += chunk
    assert received == data
    assert trio.current_time() > 0.2


async def test_a_rate_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    _, one, other = network(LinkConditions(delay=0.01, rate=1_000_000))
    ours, theirs = await pair(one, other)
    began = trio.current_time()
    await ours.send_all(bytes(125_000))
    received = 0
    while received < 125_000:
        received += len(await theirs.receive_some())
    assert trio.current_time() - began == pytest.approx(1.05, abs=0.05)


async def test_a_reader_that_does_not_read_stops_the_sender(autojump_clock: trio.testing.MockClock) -> None:
    _, one, other = network(LinkConditions(delay=0.01))
    ours, theirs = await pair(one, other)
    assert ours.send_nowait(bytes(10 * DEFAULT_WINDOW)) == DEFAULT_WINDOW
    assert ours.send_nowait(b"x") == 0
    with trio.move_on_after(5) as scope:
        await ours.send_all(b"more")
    assert scope.cancelled_caught
    await trio.sleep(1)
    assert len(await theirs.receive_some(1000)) == 1000
    assert ours.send_nowait(b"x" * 5000) == 1000


async def test_a_partition_delays_and_a_reset_breaks(autojump_clock: trio.testing.MockClock) -> None:
    net, one, other = network(LinkConditions(delay=0.01))
    ours, theirs = await pair(one, other)
    net.partition(one, other, 1.0, 4.0)
    await trio.sleep_until(trio.current_time() + 2)
    await ours.send_all(b"late")
    assert await theirs.receive_some() == b"late"
    assert 3.9 < net.elapsed() / 1e6 < 5
    theirs.reset()
    for stream in (ours, theirs):
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()


async def test_closed_and_taken_ports_and_silent_hosts(autojump_clock: trio.testing.MockClock) -> None:
    net, one, other = network(LinkConditions(delay=0.01))
    with pytest.raises(ConnectionRefusedByPeer):
        await one.open_tcp_stream(SERVER, StreamOptions())
    [listener] = await other.open_tcp_listeners(SERVER, StreamOptions())
    with pytest.raises(AddressInUse):
        await other.open_tcp_listeners(SERVER, StreamOptions())
    for link in net.links_between(one, other):
        link.cut()
    with pytest.raises(PeerTimedOut):
        await one.open_tcp_stream(SERVER, StreamOptions())
    await listener.aclose()


async def test_whoever_writes_to_an_end_that_was_closed_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    _, one, other = network(LinkConditions(delay=0.01))
    ours, theirs = await pair(one, other)
    theirs.close()
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(b"x")
    assert await ours.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await theirs.send_all(b"x")


async def test_two_tasks_at_once_are_one_too_many(autojump_clock: trio.testing.MockClock) -> None:
    _, one, other = network(LinkConditions(delay=0.01))
    ours, _ = await pair(one, other)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.receive_some)
        nursery.start_soon(ours.send_all, bytes(2 * DEFAULT_WINDOW))
        await trio.sleep(1)
        with pytest.raises(trio.BusyResourceError):
            await ours.receive_some()
        with pytest.raises(trio.BusyResourceError):
            await ours.send_all(b"x")
        nursery.cancel_scope.cancel()
