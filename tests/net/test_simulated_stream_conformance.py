"""Simulated connections keep what trio promises of streams, by trio's own checks."""

from __future__ import annotations

import trio
import trio.testing

from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.stream import ByteStream, StreamOptions
from terzetto.primitives.datagrams import Address


async def make_pair() -> tuple[ByteStream, ByteStream]:
    network = SimulatedNetwork(seed=1)
    here, there = network.add_host("here"), network.add_host("there")
    (listener,) = await there.open_tcp_listeners(Address("", 9000), StreamOptions())
    address, *_ = await here.resolve("there", 9000)
    stream = await here.open_tcp_stream(address, StreamOptions())
    accepted = await listener.accept()
    await listener.aclose()
    return stream, accepted


async def make_clogged_pair() -> tuple[ByteStream, ByteStream]:
    left, right = await make_pair()
    for stream in (left, right):
        while stream.send_nowait(bytes(65536)):
            pass
    return left, right


async def test_one_way(autojump_clock: trio.testing.MockClock) -> None:
    with trio.fail_after(600):
        await trio.testing.check_one_way_stream(make_pair, make_clogged_pair)


async def test_two_ways(autojump_clock: trio.testing.MockClock) -> None:
    with trio.fail_after(600):
        await trio.testing.check_two_way_stream(make_pair, make_clogged_pair)
