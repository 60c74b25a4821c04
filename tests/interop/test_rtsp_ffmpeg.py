"""ffmpeg and ffprobe as readers and publishers of our server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from terzetto.errors import PeerError
from terzetto.rtsp.client import RtspPlayback, open_rtsp_client
from terzetto.rtsp.wire.description import Description
from tests.interop.rtsp_tools import program, run, serving, wait_for
from tests.net.certificates import make_certificate

pytestmark = pytest.mark.interop

SOURCE = (
    *("-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-f", "lavfi", "-i", "sine"),
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-c:a", "aac"),
)


@asynccontextmanager
async def publishing(url: str, transport: str) -> AsyncIterator[None]:
    command = ("ffmpeg", "-loglevel", "error", *SOURCE, "-f", "rtsp", "-rtsp_transport", transport, url)
    async with program(*command):
        yield


async def probe(url: str, transport: str) -> list[str]:
    output = await run(
        *("ffprobe", "-loglevel", "error", "-rtsp_transport", transport),
        *("-show_entries", "stream=codec_name", "-of", "csv=p=0", url),
    )
    return sorted(output.split())


@pytest.mark.parametrize("read_by", ["tcp", "udp"])
@pytest.mark.parametrize("publish_by", ["tcp", "udp"])
async def test_what_ffmpeg_publishes_ffmpeg_reads(publish_by: str, read_by: str) -> None:
    async with serving() as (server, handler):
        url = f"{server.url}/live"
        async with publishing(url, publish_by):
            await wait_for(lambda: "/live" in handler.streams)
            assert await probe(url, read_by) == ["aac", "h264"]


async def test_ffmpeg_proves_its_password_by_digest_and_a_wrong_one_is_refused() -> None:
    async with serving(credentials={"me": "secret"}) as (server, handler):
        good = server.url.replace("//", "//me:secret@") + "/live"
        async with publishing(good, "tcp"):
            await wait_for(lambda: "/live" in handler.streams)
            assert await probe(good, "tcp") == ["aac", "h264"]
            with pytest.raises(AssertionError, match="401"):
                await probe(good.replace("secret", "guess"), "tcp")


async def test_ffmpeg_reads_and_publishes_through_tls(tmp_path: Path) -> None:
    context, _ = make_certificate(tmp_path)
    async with serving("rtsps://127.0.0.1:0", ssl_context=context) as (server, handler):
        url = f"{server.url}/live"
        async with publishing(url, "tcp"):
            await wait_for(lambda: "/live" in handler.streams)
            assert await probe(url, "tcp") == ["aac", "h264"]


async def test_we_read_what_ffmpeg_publishes_with_times_by_sender_reports() -> None:
    async with serving() as (server, handler):
        url = f"{server.url}/live"
        async with publishing(url, "tcp"):
            await wait_for(lambda: "/live" in handler.streams)
            async with open_rtsp_client(url) as client, client.play() as packets:
                seen = []
                async for packet in packets:
                    seen.append(packet)
                    if len(seen) == 150:
                        break
        assert {packet.media for packet in seen} == {0, 1}
        late = [packet for packet in seen[100:] if packet.pts is not None]
        assert {packet.pts_quality.value for packet in late} == {"sender report"}
        # Presentation time and wall clock are the same clock, read from different zeros.
        zeros = [
            packet.ntp - packet.pts for packet in late if packet.ntp is not None and packet.pts is not None
        ]
        assert max(zeros) - min(zeros) < 2000


async def test_ffmpeg_receives_what_we_publish_to_it(tmp_path: Path) -> None:
    """ffmpeg as the server: it listens for one publisher."""
    async with serving() as (server, handler):
        url = f"{server.url}/live"
        async with publishing(url, "tcp"):
            await wait_for(lambda: "/live" in handler.streams)
            port = 10000 + server.address.port % 10000
            listener = (
                *(
                    "ffmpeg",
                    "-loglevel",
                    "error",
                    "-rtsp_flags",
                    "listen",
                    "-i",
                    f"rtsp://127.0.0.1:{port}/in",
                ),
                *("-t", "1", "-c", "copy", "-f", "null", "-"),
            )
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: run(*listener))
                async with open_rtsp_client(url) as reader, reader.play() as packets:
                    assert packets.description is not None
                    await publish_until_left(f"rtsp://127.0.0.1:{port}/in", packets, packets.description)


async def publish_until_left(url: str, packets: RtspPlayback, description: Description) -> None:
    sent = 0
    with trio.fail_after(20):
        while not sent:
            await trio.sleep(0.2)  # until it listens
            with suppress(PeerError):
                async with open_rtsp_client(url) as writer, writer.record(description) as publication:
                    while True:
                        for packet in await packets.receive_packets():
                            await publication.send(packet.media, [packet.data], ntp=packet.ntp)
                            sent += 1
