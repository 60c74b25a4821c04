"""Codecs of ffmpeg and GStreamer through our machines: what comes out decodes to the very same frames.

A publisher's packets become units in our hands and packets again, under another path; ffmpeg's decoder looks at both
and makes a checksum of every frame.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import trio

from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.formats.contract import AccessUnit
from terzetto.rtsp.formats.reader import UnitReader
from terzetto.rtsp.formats.writer import UnitWriter
from terzetto.rtsp.server import PathHandler, RtspServer
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description, Media
from tests.interop.rtsp_tools import program, run, serving, wait_for

pytestmark = pytest.mark.interop

PYAV_PEER = str(Path(__file__).with_name("pyav_peer.py"))
PICTURES = ("-re", "-f", "lavfi", "-i", "testsrc=size=160x128:rate=25")
SOUND = ("-re", "-f", "lavfi", "-i", "sine=sample_rate=48000")
ENCODERS = {
    "h264": (*PICTURES, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25"),
    "hevc": (
        *PICTURES,
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "keyint=25:log-level=none",
    ),
    "vp8": (*PICTURES, "-c:v", "libvpx", "-deadline", "realtime", "-g", "25"),
    "vp9": (*PICTURES, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-g", "25", "-strict", "experimental"),
    "mpeg4": (*PICTURES, "-c:v", "mpeg4", "-g", "25"),
    "mpeg2video": (*PICTURES, "-c:v", "mpeg2video", "-g", "25"),
    "mjpeg": (
        *PICTURES,
        "-pix_fmt",
        "yuvj420p",
        "-c:v",
        "mjpeg",
        "-huffman",
        "default",
        "-force_duplicated_matrix",
        "1",
    ),
    "aac": (*SOUND, "-c:a", "aac"),
    "opus": (*SOUND, "-c:a", "libopus", "-ac", "2"),
    "mp3": (*SOUND, "-c:a", "libmp3lame"),
    "pcm_mulaw": (*SOUND, "-ar", "8000", "-c:a", "pcm_mulaw"),
    "pcm_s16be": (*SOUND, "-c:a", "pcm_s16be"),
    "adpcm_g722": (*SOUND, "-ar", "16000", "-c:a", "adpcm_g722"),
}
GSTREAMER = {
    "h264": "videotestsrc is-live=true ! video/x-raw,width=160,height=128 ! x264enc tune=zerolatency key-int-max=25",
    "opus": "audiotestsrc is-live=true ! audioconvert ! opusenc",
    "jpeg": "videotestsrc is-live=true ! video/x-raw,width=160,height=128,format=I420 ! jpegenc",
}


@asynccontextmanager
async def ffmpeg(codec: str, url: str) -> AsyncIterator[None]:
    async with program(
        "ffmpeg", "-loglevel", "error", *ENCODERS[codec], "-f", "rtsp", "-rtsp_transport", "tcp", url
    ):
        yield


@asynccontextmanager
async def gstreamer(codec: str, url: str) -> AsyncIterator[None]:
    pipeline = f"{GSTREAMER[codec]} ! rtspclientsink location={url} protocols=tcp"
    async with program("gst-launch-1.0", "-q", *pipeline.split()):
        yield


@asynccontextmanager
async def pyav(codec: str, url: str) -> AsyncIterator[None]:
    """Only a newer FFmpeg than Debian's knows how AV1 travels in RTP."""
    assert codec == "av1"
    async with program(sys.executable, PYAV_PEER, "publish", url):
        yield


async def record(url: str, seconds: float) -> tuple[Media, list[bytes], list[AccessUnit]]:
    """The media at *url*, its packets from one on where decoding may begin, and the units that they carry."""
    async with open_rtsp_client(url) as client, client.play() as playback:
        assert playback.description is not None
        reader = UnitReader(playback.description)
        packets: list[bytes] = []
        units: list[AccessUnit] = []
        pending: list[bytes] = []
        with trio.move_on_after(seconds):
            async for packet in playback:
                pending.append(packet.data)
                found = [each.unit for each in reader.push([packet])]
                if not found:
                    continue
                if units or found[0].is_key:
                    packets += pending
                    units += found
                pending = []
        assert not reader.dropped
        return playback.description.medias[0], packets, units


async def frames(server: RtspServer, handler: PathHandler, media: Media, packets: list[bytes]) -> list[str]:
    """Checksums of the frames that ffmpeg decodes from *packets*."""
    stream = ServerStream(Description(medias=(media,)))
    handler.streams["/again"] = stream
    output: list[str] = []

    async def decode() -> None:
        if media.formats[0].codec == "av1":
            output.append(
                await run(sys.executable, PYAV_PEER, "frames", f"{server.url}/again", "30", timeout=45)
            )
            return
        output.append(
            await run(
                *("ffmpeg", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", f"{server.url}/again"),
                *("-fps_mode", "passthrough", "-frames:v", "30", "-frames:a", "30", "-f", "framemd5", "-"),
                timeout=45,
            )
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(decode)
        await wait_for(lambda: stream.readers)
        for packet in packets:
            stream.write(0, [packet])
            await trio.sleep(0.004)
    stream.close()
    return [
        line.split(",")[-1].strip() for line in output[0].splitlines() if line and not line.startswith("#")
    ]


@pytest.mark.parametrize(
    ("tool", "codec"),
    [
        *(("ffmpeg", codec) for codec in ENCODERS),
        *(("gstreamer", codec) for codec in GSTREAMER),
        ("pyav", "av1"),
    ],
)
async def test_the_same_frames_come_out(tool: str, codec: str) -> None:
    publishing = {"ffmpeg": ffmpeg, "gstreamer": gstreamer, "pyav": pyav}[tool]
    async with serving() as (server, handler):
        url = f"{server.url}/in"
        async with publishing(codec, url):
            await wait_for(lambda: "/in" in handler.streams)
            media, packets, units = await record(url, 3.0)
        assert len(units) > 20
        writer = UnitWriter(
            media.formats[0], Random(codec).randbytes, payload_size=1460
        )  # as ffmpeg cuts sound
        again = [packet for unit in units for packet in writer.write(unit)]
        original = await frames(server, handler, media, packets)
        through_us = await frames(server, handler, media, again)
        assert len(original) == 30
        assert through_us == original
