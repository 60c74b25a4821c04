"""Who joins a stream that keeps its pictures sees one at once, with consistent times."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from terzetto.net.network import use_network
from terzetto.rtp.header import pack_header
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description, Format, Media
from tests.simulation.rtsp_world import open_world

VIDEO = Description(
    medias=(Media(kind="video", formats=(Format(payload_type=96, encoding="H264", clock_rate=90_000),)),)
)


def picture(number: int, kind: int) -> bytes:
    return pack_header(96, number, number * 3600, 7, marker=True) + bytes((kind,)) + b"x" * 99


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_reader_begins_with_the_last_key_picture(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_world(feeding=False) as world:
        with use_network(world.server_host):
            stream = ServerStream(VIDEO, picture_cache=100_000)
        world.handler.streams["/kept"] = stream
        number = 0

        async def show() -> None:
            nonlocal number
            while True:
                stream.write(0, [picture(number, 0x65 if number % 50 == 0 else 0x41)])
                number += 1
                await trio.sleep(0.04)

        world.nursery.start_soon(show)
        await trio.sleep(3)
        async with (
            open_rtsp_client("rtsp://10.0.0.1:8554/kept", transport=transport) as client,
            client.play() as playback,
        ):
            info = playback.rtp_info[0]
            packets = [await anext(playback) for _ in range(60)]
            numbers = [packet.timestamp // 3600 for packet in packets]
            assert packets[0].payload[0] == 0x65
            assert numbers == list(range(50, 110))
            assert (info.sequence, info.timestamp) == (50, 50 * 3600)
            times = [packet.pts for packet in packets if packet.pts is not None]
            assert times == sorted(times)
            assert times[-1] - times[0] == (len(times) - 1) * 40_000
