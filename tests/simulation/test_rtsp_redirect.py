"""A server sends its clients elsewhere while they play (REDIRECT)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trio.testing

from terzetto.errors import InvalidUrl, PeerError, ProtocolViolation
from terzetto.net.network import current_network, use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.net.simulated.network import DEFAULT_CONDITIONS
from terzetto.net.stream import ByteStream, StreamOptions
from terzetto.primitives.datagrams import Address
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.server import RtspRequest, serve_rtsp
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.message import Response
from tests.simulation.rtsp_world import AV, NotingHandler, World, feed, open_world, rtp

ELSEWHERE = "rtsp://10.0.0.3:8554/live"


@asynccontextmanager
async def open_two_servers(
    handler: NotingHandler | None = None,
) -> AsyncIterator[tuple[World, NotingHandler]]:
    """The world of one server, and another that the client reaches as well."""
    async with open_world(handler=handler) as world:
        host = world.network.add_host("other", "10.0.0.3")
        world.network.connect(host, world.client_host, DEFAULT_CONDITIONS)
        other = NotingHandler(accept_publishers=True)
        with use_network(host):
            stream = other.streams["/live"] = ServerStream(AV)
            await world.nursery.start(partial(serve_rtsp, other, "rtsp://:8554"))
            world.nursery.start_soon(partial(feed, stream))
        yield world, other


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_player_goes_where_it_is_sent(transport: str, autojump_clock: trio.testing.MockClock) -> None:
    async with open_two_servers() as (world, other):
        async with open_rtsp_client(world.url, transport=transport) as client, client.play() as playback:
            await playback.receive_packets()
            [session] = world.handler.opened
            assert session.redirect(ELSEWHERE)
            await trio.sleep(1.0)
            assert client.url == ELSEWHERE
            assert world.handler.closed == ["torn down by the client"]
            assert [each.transport for each in other.opened] == [transport]
            assert not session.redirect(ELSEWHERE)
            with trio.fail_after(1):
                while playback.statistics().packets < 100:
                    await playback.receive_packets()
        await trio.sleep(0.5)
        assert other.closed == ["torn down by the client"]


async def test_a_publisher_is_told_and_publishes_there_when_it_asks_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_two_servers() as (world, other):
        async with open_rtsp_client("rtsp://10.0.0.1:8554/new") as client:
            async with client.record(AV) as publication:
                await publication.send(0, [rtp(0, 0)])
                assert world.handler.opened[0].redirect("rtsp://10.0.0.3:8554/new")
                await trio.sleep(1.0)
                with pytest.raises(PeerError, match=r"sends us to rtsp://10\.0\.0\.3:8554/new"):
                    await publication.send(0, [rtp(0, 1)])
            async with client.record(AV) as publication:
                await publication.send(0, [rtp(0, 2)])
                await trio.sleep(0.5)
                assert "/new" in other.streams
        assert "/new" not in world.handler.streams


class Restless(NotingHandler):
    """Sends everybody back to where they are."""

    def __init__(self) -> None:
        super().__init__()
        self.played = 0

    async def play(self, request: RtspRequest) -> Response | None:
        self.played += 1
        assert request.session is not None
        request.session.redirect("rtsp://10.0.0.1:8554/live")
        return None


async def test_who_is_sent_around_without_a_packet_gives_up(autojump_clock: trio.testing.MockClock) -> None:
    handler = Restless()
    async with open_world(handler=handler, feeding=False) as world:
        async with open_rtsp_client(world.url, transport="udp", max_redirects=3) as client:
            with trio.fail_after(5), pytest.raises(PeerError):
                async with client.play() as playback:
                    while await playback.receive_packets():
                        pass
        assert handler.played <= 4


async def test_a_place_that_is_none_is_refused_before_it_is_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(feeding=False) as world:
        async with open_rtsp_client(world.url, transport="tcp") as client, client.play():
            for url in ("http://10.0.0.3/live", "rtsp://x/a\r\nX: y", ""):
                with pytest.raises(InvalidUrl):
                    world.handler.opened[0].redirect(url)


SDP = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n"
SDP += b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=control:t\r\n"


class Scripted:
    """A server that says what it is told to, and keeps what it heard."""

    def __init__(self, behind_play: bytes) -> None:
        self.behind_play = behind_play
        self.heard: list[bytes] = []

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        (listener,) = await current_network().open_tcp_listeners(Address("10.0.0.1", 8554), StreamOptions())
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(self._serve, await listener.accept())

    async def _serve(self, stream: ByteStream) -> None:
        data = b""
        while more := await stream.receive_some():
            data += more
            while b"\r\n\r\n" in data:
                message, _, data = data.partition(b"\r\n\r\n")
                self.heard.append(message)
                if not message.startswith(b"RTSP/"):
                    with suppress(trio.BrokenResourceError):  # the answer to TEARDOWN is not waited for
                        await stream.send_all(self._answer(message))
        stream.close()

    def _answer(self, request: bytes) -> bytes:
        number = request.partition(b"CSeq: ")[2].partition(b"\r\n")[0]
        head = b"RTSP/1.0 200 OK\r\nCSeq: " + number + b"\r\n"
        if request.startswith(b"DESCRIBE"):
            return head + b"Content-Length: %d\r\n\r\n" % len(SDP) + SDP
        if request.startswith(b"SETUP"):
            return head + b"Session: s1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"
        if request.startswith(b"PLAY"):
            behind, self.behind_play = self.behind_play, b""
            return head + b"\r\n$\x00\x00\x10" + rtp(0, 0, 16) + behind
        return head + b"\r\n"


@pytest.mark.parametrize(
    ("target", "location", "then"),
    [
        (b"rtsp://10.0.0.1:8554/a", b"rtsp://10.0.0.1:8554/b?c=d", b"rtsp://10.0.0.1:8554/b?c=d"),
        (b"*", b"/b", b"rtsp://10.0.0.1:8554/b"),
        # A server that knows itself by another name than we do.
        (b"rtsp://camera.local/a", b"b", b"rtsp://10.0.0.1:8554/b"),
        # Nowhere to go: it was a notice, and we stay.
        (b"*", b"", None),
        (b"*", b"http://10.0.0.1/", None),
    ],
)
async def test_what_is_said_to_a_server_that_sends_us_elsewhere(
    target: bytes, location: bytes, then: bytes | None, autojump_clock: trio.testing.MockClock
) -> None:
    # When it takes effect (Range) is not waited for.
    fields = b"CSeq: 77\r\nRange: npt=1000-\r\nLocation: " + location
    redirect = b"REDIRECT " + target + b" RTSP/1.0\r\n" + fields + b"\r\n\r\n"
    network = SimulatedNetwork(seed=1)
    server, ours = network.add_host("server", "10.0.0.1"), network.add_host("client", "10.0.0.2")
    network.connect(server, ours, DEFAULT_CONDITIONS)
    scripted = Scripted(redirect)
    async with trio.open_nursery() as nursery:
        with use_network(server):
            await nursery.start(scripted.run)
        with use_network(ours):
            url = "rtsp://10.0.0.1:8554/a"
            async with open_rtsp_client(url, transport="tcp", user_agent="x") as client, client.play():
                await trio.sleep(1)
                assert client.url == (then.decode() if then else url)
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    after = scripted.heard[4:]
    assert after[0] == b"RTSP/1.0 200 OK\r\nCSeq: 77"
    if then is None:
        assert [message.split()[0] for message in after[1:]] == [b"TEARDOWN"]
        return
    leaving = b"TEARDOWN rtsp://10.0.0.1:8554/a RTSP/1.0\r\nCSeq: 5\r\nUser-Agent: x\r\nSession: s1"
    assert after[1] == leaving
    assert [tuple(message.split()[:2]) for message in after[2:6]] == [
        (b"OPTIONS", then),
        (b"DESCRIBE", then),
        (b"SETUP", then + b"/t"),
        (b"PLAY", then),
    ]


async def test_nobody_leaves_encryption_because_a_server_says_so(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(feeding=False) as world, open_rtsp_client(world.url) as client:
        async with client.play() as playback:
            # What it is like where the first server was reached by rtsps://.
            client._url = client._url.parse(world.url.replace("rtsp:", "rtsps:"))
            assert world.handler.opened[0].redirect(ELSEWHERE)
            with trio.fail_after(5), pytest.raises(ProtocolViolation, match="without encryption"):
                while await playback.receive_packets():
                    pass
