"""A recording that is played from somewhere, at some pace, and sought in."""

from __future__ import annotations

import trio
import trio.testing

from terzetto.net.stream import StreamOptions
from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import MICROS_PER_SECOND
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.server import RtspRequest
from terzetto.rtsp.wire.headers.range import NptRange
from terzetto.rtsp.wire.message import Response
from tests.simulation.rtsp_world import NotingHandler, World, open_world, rtp


class Recorder(NotingHandler):
    """A recording of an hour, ten packets a second, from wherever a reader wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, float | None, float | None]] = []
        self.world: World | None = None
        self.position = 0

    async def play(self, request: RtspRequest) -> Response | None:
        assert isinstance(request.range, NptRange)
        self.asked.append((str(request.range), request.scale, request.speed))
        assert isinstance(request.range.start, int)
        start = request.range.start // MICROS_PER_SECOND
        self.position = 10 * start
        # More than twice as fast this one cannot go.
        fields = {"Range": f"npt={start}-3600"}
        if request.scale is not None:
            fields["Scale"] = f"{min(request.scale, 2.0):g}"
        return Response(200, fields=fields)

    async def write(self, world: World) -> None:
        while True:
            if world.stream.readers:
                world.stream.write(0, [rtp(0, self.position)])
                self.position += 1
            await trio.sleep(0.1)


async def test_a_reader_seeks(autojump_clock: trio.testing.MockClock) -> None:
    handler = Recorder()
    async with open_world(handler=handler, feeding=False) as world:
        world.nursery.start_soon(handler.write, world)
        async with (
            open_rtsp_client(world.url, transport="udp") as client,
            client.play(range=NptRange(60 * MICROS_PER_SECOND), scale=4.0, speed=1.5) as playback,
        ):
            assert (playback.range, playback.scale, playback.speed) == ("npt=60-3600", 2.0, 1.0)
            packet = await anext(playback)
            assert int.from_bytes(packet.payload[:4], "big") == 600
            assert packet.pts == 0
            for _ in range(20):
                await anext(playback)
            await playback.seek(NptRange(1800 * MICROS_PER_SECOND))
            packet = await anext(playback)
            while int.from_bytes(packet.payload[:4], "big") < 18_000:
                packet = await anext(playback)  # what was under way
            assert int.from_bytes(packet.payload[:4], "big") == 18_000
            assert packet.pts == 0  # another part of the presentation: its times start over
            assert packet.lost_before == 0
            assert playback.statistics().lost == 0
        assert handler.asked == [("npt=60-", 4.0, 1.5), ("npt=1800-", 4.0, 1.5)]


async def test_what_a_state_forbids_names_what_it_allows_and_a_client_may_have_the_last_word(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(feeding=False) as world:
        stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        setup = f"SETUP {world.url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"
        record = f"RECORD {world.url} RTSP/1.0\r\nCSeq: 2\r\nConnection: close\r\n\r\n"
        await stream.send_all((setup + record).encode())
        data = b""
        with trio.fail_after(5):
            while more := await stream.receive_some():
                data += more
        refusal = data.decode().partition("RTSP/1.0 455 ")[2]
        assert (
            "Allow: OPTIONS, DESCRIBE, GET_PARAMETER, SET_PARAMETER, TEARDOWN, SETUP, PLAY, PAUSE\r\n"
            in refusal
        )
        await trio.sleep(0.5)
        assert world.server.statistics().sessions == 0
