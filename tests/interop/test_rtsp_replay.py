"""ONVIF replay with GStreamer: we read its header extension, it reads ours and asks us as a replay client does."""

from __future__ import annotations

import re

import pytest
import trio

from terzetto.rtp.header import pack_header
from terzetto.rtp.onvif_extension import OnvifExtension
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.server import RtspRequest
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description, Format, Media
from terzetto.rtsp.wire.headers.replay import Replay
from terzetto.rtsp.wire.message import Response
from tests.interop.rtsp_tools import ObservedHandler, gst_server, run, serving

pytestmark = pytest.mark.interop

NEW_YEAR = 1_767_225_600_000_000
SOUND = Media(kind="audio", formats=(Format(payload_type=8, encoding="PCMA", clock_rate=8000),))


async def test_what_rtponviftimestamp_writes_is_read() -> None:
    async with (
        gst_server() as port,
        open_rtsp_client(f"rtsp://127.0.0.1:{port}/replay", transport="tcp") as client,
        client.play() as playback,
    ):
        with trio.fail_after(20):
            packets = [await anext(playback) for _ in range(20)]
    found = [packet.replay for packet in packets]
    moments = [each.recorded_at for each in found if each is not None]
    assert len(moments) == 20
    assert all(each is not None and each.is_clean_point for each in found)
    assert all(NEW_YEAR <= moment < NEW_YEAR + 60_000_000 for moment in moments)
    # The clock of the recording runs with that of the packets.
    elapsed = (packets[-1].timestamp - packets[0].timestamp & 0xFFFF_FFFF) * 125
    assert abs(moments[-1] - moments[0] - elapsed) < 2000


class Recorder(ObservedHandler):
    """Notes how it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[RtspRequest] = []

    async def play(self, request: RtspRequest) -> Response | None:
        self.asked.append(request)
        return None


async def test_rtspsrc_replays_from_us_and_rtponvifparse_reads_the_extension() -> None:
    async with serving(handler=Recorder()) as (server, handler), trio.open_nursery() as nursery:
        assert isinstance(handler, Recorder)
        stream = handler.streams["/rec"] = ServerStream(Description(medias=(SOUND,)))

        async def play() -> None:
            for number in range(100_000):
                # Every second packet is not one to begin with.
                at = OnvifExtension(NEW_YEAR + number * 20_000, is_clean_point=number % 2 == 0)
                header = pack_header(8, number & 0xFFFF, number * 160, 7)
                stream.write(0, [at.put_on(header + bytes(160))])
                await trio.sleep(0.02)

        nursery.start_soon(play)
        source = f"rtspsrc location={server.url}/rec protocols=tcp onvif-mode=true onvif-rate-control=false"
        sink = "identity silent=false eos-after=40 ! fakesink sync=false"
        told = await run("gst-launch-1.0", "-v", *f"{source} ! rtponvifparse ! {sink}".split(), timeout=40)
        nursery.cancel_scope.cancel()
    assert handler.asked[0].replay == Replay(rate_control=False)
    buffers = re.findall(r"last-message = chain .*?pts: ([\d:.]+).*?flags: ([0-9a-f]+) ", told)
    assert len(buffers) >= 30
    is_delta = [int(flags, 16) & 0x2000 != 0 for _, flags in buffers]
    assert is_delta[2:30] == [is_delta[2] ^ (index % 2 == 1) for index in range(28)]
