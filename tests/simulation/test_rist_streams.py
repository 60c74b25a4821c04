"""Several streams through one tunnel, told apart by their virtual ports."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.errors import InvalidOption, TerzettoError, UnsupportedOperation
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.options import RistKnobs
from terzetto.rist.streams import MAX_STREAMS, RistStreamReceiver

LOSSY = LinkConditions(loss=0.05, delay=0.01)


@asynccontextmanager
async def tunnel(**knobs: object) -> AsyncIterator[tuple[tz.RistSender, tz.RistReceiver]]:
    network = SimulatedNetwork(4)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LOSSY)
    options = tz.RistOptions(**{"buffer_min": 0.3, "buffer_max": 0.3, **knobs})  # type: ignore[arg-type]
    with use_network(bob):
        async with tz.open_rist_receiver("rist://@:5000", options=options) as receiver:
            with use_network(alice):
                async with tz.open_rist_sender("rist://bob:5000", options=options) as sender:
                    yield sender, receiver


def payloads(stream: int, count: int = 200) -> list[bytes]:
    return [stream.to_bytes(2, "big") + number.to_bytes(2, "big") * 40 for number in range(count)]


async def read(stream: RistStreamReceiver, into: list[bytes]) -> None:
    with pytest.raises(trio.EndOfChannel):
        while True:
            into.append((await stream.receive_packet()).payload)


@pytest.mark.parametrize("knobs", [{}, {"secret": "hush", "aes_type": 128}, {"null_packet_deletion": True}])
async def test_streams_arrive_whole_each_on_its_own(knobs: RistKnobs, autojump_clock: MockClock) -> None:
    heard: dict[int, list[bytes]] = {number: [] for number in (1968, 1970, 77)}
    async with tunnel(**knobs) as (sender, receiver):
        async with trio.open_nursery() as nursery, receiver.open_streams() as streams:
            nursery.start_soon(read, streams.open(1970), heard[1970])

            async def accept() -> None:
                for _ in range(2):
                    stream = await streams.accept()
                    nursery.start_soon(read, stream, heard[stream.stream_id])

            nursery.start_soon(accept)
            others = [sender.open_stream(1970), sender.open_stream(1968, source_port=77)]
            for plain, first, second in zip(payloads(1), payloads(2), payloads(3), strict=True):
                await sender.send_packet(plain)
                await others[0].send_packet(first)
                await others[1].send_all(second)
                await trio.sleep(0.004)
            await trio.sleep(1)
            assert sender.statistics().retransmitted > 20
            await receiver.aclose()
    assert heard == {1968: payloads(1), 1970: payloads(2), 77: payloads(3)}


async def test_bytes_of_one_stream_and_its_end(autojump_clock: MockClock) -> None:
    async with tunnel() as (sender, receiver), receiver.open_streams() as streams:
        stream = streams.open(2000)
        async with sender.open_stream(2000) as film:
            await film.send_all(bytes(range(250)) * 20)
        with pytest.raises(trio.ClosedResourceError):
            await film.send_all(b"more")
        data = b""
        while len(data) < 5000:
            data += await stream.receive_some(999)
        assert data == bytes(range(250)) * 20
        await receiver.aclose()
        assert await stream.receive_some() == b""
        with pytest.raises(trio.ClosedResourceError):
            await streams.accept()


async def test_a_stream_that_is_not_read_costs_the_others_nothing(autojump_clock: MockClock) -> None:
    heard: list[bytes] = []
    async with tunnel(delivery_limit=64) as (sender, receiver):
        async with trio.open_nursery() as nursery, receiver.open_streams() as streams:
            idle, closed = streams.open(1970), streams.open(1974)
            await closed.aclose()
            nursery.start_soon(read, streams.open(1972), heard)
            both = [sender.open_stream(1970), sender.open_stream(1972), sender.open_stream(1974)]
            for number in range(200):
                for stream in both:
                    await stream.send_packet(payloads(7)[number])
                await trio.sleep(0.002)
            await trio.sleep(1)
            assert idle.shed == 136
            await receiver.aclose()
    assert heard == payloads(7)


async def test_streams_beyond_the_most_are_counted_and_cost_nothing(autojump_clock: MockClock) -> None:
    async with tunnel() as (sender, receiver), receiver.open_streams() as streams:
        await send_on(sender, range(2, 2 + 2 * (MAX_STREAMS + 10), 2))
        await trio.sleep(1)
        assert streams.unclaimed == 10
        with pytest.raises(InvalidOption, match="64 streams are open"):
            streams.open(60000)
        with pytest.raises(InvalidOption, match="stream 2 is open"):
            streams.open(2)


async def send_on(sender: tz.RistSender, numbers: Iterable[int]) -> None:
    for number in numbers:
        await sender.open_stream(number).send_packet(b"x")
        await trio.sleep(0.002)


@pytest.mark.parametrize(
    ("knobs", "number", "error", "told"),
    [
        ({}, 1971, InvalidOption, "must be even"),
        ({"profile": "simple"}, 1970, UnsupportedOperation, "no virtual ports"),
        ({"fec": "cols:5,rows:5"}, 1970, UnsupportedOperation, "which stream it is of"),
    ],
)
async def test_what_cannot_be_multiplexed_is_refused(
    knobs: RistKnobs, number: int, error: type[TerzettoError], told: str, autojump_clock: MockClock
) -> None:
    with use_network(SimulatedNetwork(1).add_host("alice")):
        async with tz.open_rist_sender("rist://@:5000", **knobs) as sender:
            with pytest.raises(error, match=told):
                sender.open_stream(number)
