"""``terzetto relay`` with RTSP at an end, against ffmpeg, GStreamer and libRIST's receiver."""

from __future__ import annotations

import json
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from tests.cli.helpers import free_pair, programme, started
from tests.interop.rtsp_tools import GST_READER, SYSTEM_PYTHON, gst_server, program, run, wait_for

pytestmark = pytest.mark.interop


async def told(process: subprocess.Popen[str], event: str) -> str:
    """What a relay with ``--json`` says of *event*, once it does."""

    def read() -> str:
        assert process.stdout is not None
        for line in process.stdout:
            found = json.loads(line)
            if found.get("event") == event:
                return str(found["text"])
        raise AssertionError(f"it ended without {event}")

    with trio.fail_after(30):
        return await trio.to_thread.run_sync(read, abandon_on_cancel=True)


def has_grown(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 50_000


async def codecs(url: str, *options: str) -> list[str]:
    output = await run(
        "ffprobe", "-loglevel", "error", *options, "-show_entries", "stream=codec_name", "-of", "csv=p=0", url
    )
    return sorted(set(output.split()))


async def test_a_file_is_served_to_rtspsrc_and_ffmpeg_unharmed(tmp_path: Path) -> None:
    programme(tmp_path / "in.ts", seconds=12.0)
    sent = (tmp_path / "in.ts").read_bytes()
    with started(
        "relay", f"file:{tmp_path}/in.ts", "rtsp://@127.0.0.1:0/live?rtsp_ts=keep", "--json"
    ) as relay:
        url = (await told(relay, "listening")).split()[-1]
        for protocol in ("tcp", "udp"):
            out = tmp_path / f"{protocol}.ts"
            pipeline = f"rtpmp2tdepay ! filesink location={out} buffer-mode=unbuffered"
            with trio.move_on_after(3):
                source = f"rtspsrc location={url} protocols={protocol} latency=100"
                await trio.run_process(["gst-launch-1.0", "-q", *f"{source} ! {pipeline}".split()])
            got = out.read_bytes()
            assert len(got) > 20_000
            assert got in sent


async def test_a_camera_goes_on_to_players_and_to_a_server(tmp_path: Path) -> None:
    async with gst_server() as camera, AsyncExitStack() as stack:
        port = free_pair()
        listener = ("-rtsp_flags", "listen", "-i", f"rtsp://127.0.0.1:{port}/in", "-t", "2", "-c", "copy")
        saved = str(tmp_path / "out.mkv")
        server = await stack.enter_async_context(
            program("ffmpeg", "-y", "-loglevel", "error", *listener, saved)
        )
        relay = stack.enter_context(
            started(
                "relay",
                *(f"rtsp://127.0.0.1:{camera}/av?rtsp_transport=udp", "rtsp://@127.0.0.1:0/live"),
                *(f"rtsp://127.0.0.1:{port}/in", "--json"),
            )
        )
        url = (await told(relay, "listening")).split()[-1]
        assert await codecs(url, "-rtsp_transport", "tcp") == ["h264", "pcm_alaw"]
        for protocol in ("tcp", "udp"):
            await run(SYSTEM_PYTHON, str(GST_READER), f"location={url}", f"protocols={protocol}")
        with trio.fail_after(30):
            assert await server.wait() == 0
        assert await codecs(saved) == ["h264", "pcm_alaw"]


async def test_a_transport_stream_of_a_camera_goes_on_by_rist(tmp_path: Path) -> None:
    rist, out = free_pair(), free_pair()
    async with (
        gst_server() as camera,
        program("ristreceiver", "-p", "0", "-i", f"rist://@127.0.0.1:{rist}", "-o", f"udp://127.0.0.1:{out}"),
    ):
        target = f"rist://127.0.0.1:{rist}?profile=simple"
        with (
            started("relay", f"udp://@127.0.0.1:{out}", f"file:{tmp_path}/out.ts"),
            started("relay", f"rtsp://127.0.0.1:{camera}/ts?rtsp_transport=tcp", target),
        ):
            await wait_for(lambda: has_grown(tmp_path / "out.ts"), timeout=30)
        assert set((tmp_path / "out.ts").read_bytes()[: 188 * 100 : 188]) == {0x47}
        assert await codecs(str(tmp_path / "out.ts")) == ["h264"]


async def test_a_transport_stream_that_is_published_to_us_goes_on_as_bytes(tmp_path: Path) -> None:
    with started("relay", "rtsp://@127.0.0.1:0/in", f"file:{tmp_path}/out.ts", "--json") as relay:
        url = (await told(relay, "listening")).split()[-1]
        video = "videotestsrc is-live=true ! x264enc tune=zerolatency ! mpegtsmux"
        pipeline = f"{video} ! rtspclientsink location={url} protocols=tcp"
        async with program("gst-launch-1.0", "-q", *pipeline.split()):
            await wait_for(lambda: has_grown(tmp_path / "out.ts"), timeout=30)
    assert await codecs(str(tmp_path / "out.ts")) == ["h264"]
