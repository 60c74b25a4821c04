"""What a server counts and tells: of connections, sessions, medias and formats, and through its handler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import trio
import trio.testing

from terzetto.net.network import use_network
from terzetto.rtp.header import pack_header
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.server import RtspServerConnection, RtspServerSession
from terzetto.rtsp.statistics import FormatReceiveStatistics, FormatSendStatistics
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description, Format, Media
from terzetto.rtsp.wire.message import Request, Response
from tests.simulation.rtsp_world import NotingHandler, open_world, rtp

TALK = Description(
    medias=(
        Media(
            kind="audio",
            formats=(
                Format(payload_type=0, encoding="PCMU", clock_rate=8000),
                Format(payload_type=101, encoding="telephone-event", clock_rate=8000),
            ),
        ),
    )
)


class TappingHandler(NotingHandler):
    """Keeps a log of every message, and of what made no sense."""

    def __init__(self) -> None:
        super().__init__(accept_publishers=True)
        self.log: list[tuple[str, int]] = []
        self.connections: list[RtspServerConnection] = []
        self.asked = 0
        self.errors: list[tuple[int, str]] = []

    async def connection_opened(self, connection: RtspServerConnection) -> None:
        self.connections.append(connection)

    def request_received(self, connection: RtspServerConnection, request: Request) -> None:
        self.asked += 1

    def response_sent(self, connection: RtspServerConnection, request: Request, response: Response) -> None:
        self.log.append((request.method, response.code))

    def decode_error(self, session: RtspServerSession, media: int, reason: str) -> None:
        self.errors.append((media, reason))


def talk(number: int) -> bytes:
    """Sound, and every tenth packet a key that was pressed."""
    return pack_header(101 if number % 10 == 9 else 0, number, number * 160, 7) + bytes(160)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_what_one_reader_was_sent_is_counted(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_world(feeding=False) as world:
        for number in range(20):
            world.stream.write(0, [rtp(0, number)])  # before anybody reads
        async with open_rtsp_client(world.url, transport=transport) as client, client.play() as playback:
            for number in range(20, 120):
                world.stream.write(0, [rtp(0, number)])
                await trio.sleep(0.01)
            got = [await anext(playback) for _ in range(100)]
            assert [packet.sequence & 0xFFFF for packet in got] == list(range(20, 120))
            await trio.sleep(6)  # a report of the client's
            (session,) = world.handler.opened
            sent = session.sent()
            assert (sent.packets, sent.bytes) == (100, 100 * 1000)
            assert sent.rtcp_packets >= 1
            assert (sent.shed, sent.reported_lost, sent.rtcp_in_error) == (0, 0, 0)
            video = sent.medias[0]
            assert (video.local_ssrc, video.last_sequence) == (0x1000, 119)
            assert video.last_ntp is not None
            received = playback.statistics().medias[0]
            assert (received.packets, received.remote_ssrc) == (100, 0x1000)
            if transport == "udp":  # over TCP nobody reports
                assert received.rtcp_sent >= 1
                assert sent.rtcp_received >= 1
                assert video.remote_ssrc == received.local_ssrc
            await playback.pause()
            world.stream.write(0, [rtp(0, 120)])
            assert session.sent().packets == 100
        whole = world.stream.statistics()
        assert (whole.packets, whole.medias[0].bytes) == (121, 121 * 1000)


async def test_formats_that_share_a_media_are_counted_apart(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        with use_network(world.server_host):
            stream = world.handler.streams["/talk"] = ServerStream(TALK)
        async with (
            open_rtsp_client("rtsp://10.0.0.1:8554/talk", transport="udp") as client,
            client.play() as playback,
        ):
            for number in range(100):
                if number not in (45, 46, 58):
                    stream.write(0, [talk(number)])
                await trio.sleep(0.01)
            kinds = Counter([(await anext(playback)).payload_type for _ in range(97)])
            assert kinds == {0: 87, 101: 10}
            sent = stream.statistics().medias[0].formats
            received = playback.statistics().medias[0].formats
            for formats in (sent, received):
                assert [(each.payload_type, each.packets) for each in formats] == [(0, 87), (101, 10)]
                assert [(each.last_sequence or 0) & 0xFFFF for each in formats] == [98, 99]
                assert [each.last_timestamp for each in formats] == [98 * 160, 99 * 160]
            assert [each.lost for each in received] == [2, 1]
            assert playback.statistics().lost == 3
            # Written twice as fast as they are to be heard: 10 ms off from one packet to the next of the sound, 100 ms
            # from key to key.
            assert received[0].jitter == pytest.approx(0.010, abs=0.001)
            assert received[1].jitter == pytest.approx(0.1 * (1 - (15 / 16) ** 9), abs=0.002)
            assert _distance(sent) == pytest.approx(10_000, abs=100)
            assert _distance(received) == pytest.approx(20_000, abs=100)


def _distance(formats: Sequence[FormatSendStatistics | FormatReceiveStatistics]) -> int:
    """From the wall clock of the first format's last packet to that of the second's."""
    first, second = (each.last_ntp for each in formats)
    assert first is not None
    assert second is not None
    return second - first


@pytest.mark.parametrize("tunnel", ["none", "http", "websocket"])
async def test_a_handler_sees_every_message_and_how_it_came(
    tunnel: str, autojump_clock: trio.testing.MockClock
) -> None:
    handler = TappingHandler()
    async with open_world(handler=handler) as world:
        async with open_rtsp_client(world.url, tunnel=tunnel, transport="tcp") as client:
            async with client.play() as playback:
                await anext(playback)
                (connection,) = handler.connections
                counts = connection.statistics()
                assert counts.tunnel == tunnel
                assert counts.bytes_received > 100
                assert counts.bytes_sent > 1000
        await trio.sleep(1)
    assert handler.log == [
        ("OPTIONS", 200),
        ("DESCRIBE", 200),
        ("SETUP", 200),
        ("SETUP", 200),
        ("PLAY", 200),
        ("TEARDOWN", 200),
    ]
    assert handler.asked == len(handler.log)


async def test_packets_that_make_no_sense_are_told_ever_more_rarely(
    autojump_clock: trio.testing.MockClock,
) -> None:
    handler = TappingHandler()
    async with open_world(handler=handler):
        url = "rtsp://10.0.0.1:8554/new"
        odd = pack_header(55, 0, 0, 1) + b"of no format that was announced"
        async with (
            open_rtsp_client(url, transport="udp") as writer,
            writer.record(TALK) as publication,
        ):
            for number in range(100):
                await publication.send(0, [talk(number), odd])
            await trio.sleep(0.5)
            received = handler.opened[0].received().medias[0]
            assert (received.packets, received.in_error) == (100, 100)
            assert received.errors == {"unknown payload type": 100}
        assert handler.errors == [(0, "unknown payload type")] * 7  # at 1, 2, 4, ... 64
