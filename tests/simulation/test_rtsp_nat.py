"""A translator between client and server that forgets everybody in the middle of a session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing
from attrs import frozen

from terzetto.errors import PeerError
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.nat import Nat
from terzetto.primitives.reconnection import Reconnection
from terzetto.rtsp.client import RtspPlayback, open_rtsp_client
from terzetto.rtsp.server import RtspServer, serve_rtsp
from terzetto.rtsp.stream import ServerStream
from tests.simulation.rtsp_world import AV, NotingHandler, feed, rtp

URL = "rtsp://203.0.113.1:8554/live"
POLICY = Reconnection(initial=0.5, longest=2.0)


@frozen
class Sheltered:
    network: SimulatedNetwork
    nat: Nat
    server: RtspServer
    handler: NotingHandler

    def media_sent_to(self, host: str) -> int:
        self.network.settle()
        packets = self.network.trace.packets
        return sum(each.destination.host == host and len(each.datagram) > 500 for each in packets)


@asynccontextmanager
async def open_sheltered(*, keeps_ports: bool = True) -> AsyncIterator[Sheltered]:
    """A client at home, a server in the open, and a router of two public addresses in between."""
    network = SimulatedNetwork(seed=1)
    home, outside = network.add_host("home", "192.168.1.10"), network.add_host("server", "203.0.113.1")
    nat = network.add_nat("router", "198.51.100.1", "198.51.100.2", keeps_ports=keeps_ports)
    nat.shelter(home)
    handler = NotingHandler(accept_publishers=True)
    async with trio.open_nursery() as nursery:
        with use_network(outside):
            stream = handler.streams["/live"] = ServerStream(AV)
            server = await nursery.start(partial(serve_rtsp, handler, "rtsp://:8554", idle_timeout=20))
            nursery.start_soon(partial(feed, stream, pause=0.2))
        with use_network(home):
            yield Sheltered(network, nat, server, handler)
        nursery.cancel_scope.cancel()


async def count(playback: RtspPlayback, seconds: float) -> int:
    """How many packets come meanwhile."""
    packets = 0
    with trio.move_on_after(seconds):
        while True:
            packets += len(await playback.receive_packets())
    return packets


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_player_comes_back_and_nobody_else_is_fed(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_sheltered() as world:
        async with open_rtsp_client(URL, transport=transport, reconnect=POLICY, read_timeout=5) as client:
            async with client.play() as playback:
                assert await count(playback, 1) > 80
                world.nat.rebind()
                # It notices by the silence, as nobody tells it; that its reports now come from elsewhere is not
                # enough for the server to send media there.
                assert await count(playback, 4.5) < 100
                assert world.media_sent_to("198.51.100.2") == 0
                if transport == "udp":
                    assert world.server.udp is not None
                    assert world.server.udp.foreign > 0
                assert await count(playback, 4) > 80
                assert [each.host for each in world.handler.opened] == ["198.51.100.1", "198.51.100.2"]
                assert playback.transport == transport
                # The session of before had the address of before, and ends without a sign of life.
                await trio.sleep(25)
                assert world.server.statistics().sessions == 1
                before = world.media_sent_to("198.51.100.1")
                assert (before > 500) is (transport == "udp")
                assert await count(playback, 1) > 80
                assert world.media_sent_to("198.51.100.1") == before
        await trio.sleep(0.5)
        assert world.server.statistics().sessions == 0
        assert world.handler.closed[-1] == "torn down by the client"


async def test_a_player_without_a_policy_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with open_sheltered() as world, open_rtsp_client(URL, transport="udp", read_timeout=5) as client:
        async with client.play() as playback:
            assert await count(playback, 1) > 80
            world.nat.rebind()
            with trio.fail_after(7), pytest.raises(PeerError, match="nothing came"):
                while await playback.receive_packets():
                    pass


async def test_where_ports_are_changed_media_go_by_tcp(autojump_clock: trio.testing.MockClock) -> None:
    async with open_sheltered(keeps_ports=False) as world, open_rtsp_client(URL, reconnect=POLICY) as client:
        async with client.play() as playback:
            assert await count(playback, 6) > 80
            assert playback.transport == "tcp"
            world.nat.rebind()
            assert await count(playback, 15) > 80
            assert playback.transport == "tcp"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_publisher_is_told_and_may_publish_again(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_sheltered() as world:
        async with open_rtsp_client("rtsp://203.0.113.1:8554/new", transport=transport) as client:

            async def publish(packets: int) -> None:
                async with client.record(AV) as publication:
                    for number in range(packets):
                        await publication.send(0, [rtp(0, number)])
                        await trio.sleep(0.1)
                        if number == 20:
                            assert world.handler.opened[-1].received().packets > 10
                            world.nat.rebind()

            with trio.fail_after(60), pytest.raises(PeerError):
                await publish(600)
            # The server has given up on who it no longer hears, so the path is free.
            await trio.sleep(15)
            assert "/new" not in world.handler.streams
            await publish(20)
            assert world.handler.opened[-1].host == "198.51.100.2"
