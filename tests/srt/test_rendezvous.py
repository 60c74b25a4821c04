"""Rendezvous as a user sees it, on a simulated network: two homes, one of them behind a translator."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from terzetto.errors import InvalidUrl, PeerTimedOut
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.host import SimulatedHost
from terzetto.primitives.impairment import LinkConditions
from terzetto.srt.api import open_srt_rendezvous, open_srt_stream
from terzetto.srt.stream import SrtStream

BAD = LinkConditions(delay=0.03, jitter=0.005, loss=0.05)
DATA = bytes(range(256)) * 400


async def exchange(host: SimulatedHost, url: str, *, after: float = 0.0, meet: bool = True) -> SrtStream:
    """Meet, send everything and read as much."""
    await trio.sleep(after)
    with use_network(host):
        async with (open_srt_rendezvous if meet else open_srt_stream)(url) as stream:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_slowly, stream)
                received = b""
                while len(received) < len(DATA):
                    received += await stream.receive_some()
            assert received == DATA
            await trio.sleep(1)
    return stream


async def send_slowly(stream: SrtStream) -> None:
    for start in range(0, len(DATA), 1024):
        await stream.send_all(DATA[start : start + 1024])
        await trio.sleep(0.005)


async def both(network: SimulatedNetwork, *calls: tuple[SimulatedHost, str, float, bool]) -> list[SrtStream]:
    streams: list[SrtStream] = []

    async def one(host: SimulatedHost, url: str, after: float, meet: bool) -> None:
        streams.append(await exchange(host, url, after=after, meet=meet))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(one, *call)
    return streams


@pytest.mark.parametrize("wait", [0.0, 4.0])
async def test_two_hosts_meet_over_a_lossy_way(autojump_clock: MockClock, wait: float) -> None:
    network = SimulatedNetwork(5)
    one, other = network.add_host("one"), network.add_host("other")
    network.connect(one, other, BAD)
    query = "latency=500&passphrase=correct-horse-battery"
    streams = await both(
        network,
        (one, f"srt://other:9000?{query}", 0.0, True),
        # The same thing said in the URL, from a port of its own.
        (other, f"srt://one:9000?mode=rendezvous&localport=9000&{query}", wait, False),
    )
    for stream in streams:
        assert stream.local_address.port == stream.peer_address.port == 9000
        assert stream.latency == 0.5


@pytest.mark.parametrize("symmetric", [False, True])
async def test_one_side_may_stand_behind_a_translator(autojump_clock: MockClock, symmetric: bool) -> None:
    """The translator gives it another port than the peer was told; the peer goes by its first word."""
    network = SimulatedNetwork(16)
    home, studio = network.add_host("home", "192.168.1.2"), network.add_host("studio", "203.0.113.1")
    nat = network.add_nat("router", "198.51.100.1", symmetric=symmetric)
    nat.shelter(home)
    network.connect(nat, studio, BAD)
    streams = await both(
        network,
        (studio, "srt://198.51.100.1:9000?latency=500", 0.0, True),
        (home, "srt://studio:9000?latency=500", 1.0, True),
    )
    assert {stream.peer_address.host for stream in streams} == {"198.51.100.1", "203.0.113.1"}


async def test_nobody_to_meet_is_a_timeout_that_says_how_long(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    one, other = network.add_host("one"), network.add_host("other")
    network.connect(one, other, LinkConditions())
    with use_network(one), pytest.raises(PeerTimedOut, match=r"30 s|closed"):
        async with open_srt_rendezvous("srt://other:9000"):
            pass  # pragma: no cover
    assert trio.current_time() >= 30


async def test_a_rendezvous_with_nobody_named_is_explained() -> None:
    with pytest.raises(InvalidUrl, match="nobody to meet"):
        async with open_srt_rendezvous("srt://:9000"):
            pass  # pragma: no cover
