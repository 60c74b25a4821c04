"""RTSP through HTTP: ffmpeg and GStreamer as clients of our server, gst-rtsp-server for our client."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from terzetto.net.tls import fingerprint_of
from terzetto.rtsp.client import open_rtsp_client
from tests.interop.rtsp_tools import gst_server, run, serving, wait_for
from tests.interop.test_rtsp_ffmpeg import probe, publishing
from tests.net.certificates import make_certificate

pytestmark = pytest.mark.interop


async def test_ffmpeg_and_gstreamer_read_through_http() -> None:
    async with serving() as (server, handler):
        url = f"{server.url}/live"
        async with publishing(url, "tcp"):
            await wait_for(lambda: "/live" in handler.streams)
            assert await probe(url, "http") == ["aac", "h264"]
            tunnelled = url.replace("rtsp://", "rtsph://")
            pipeline = f"rtspsrc location={tunnelled} ! fakesink num-buffers=60 sync=false"
            await run("gst-launch-1.0", "-q", *pipeline.split())


async def test_ffmpeg_reads_through_http_and_tls(tmp_path: Path) -> None:
    context, _ = make_certificate(tmp_path)
    async with serving("rtsps://127.0.0.1:0", ssl_context=context) as (server, handler):
        async with publishing(f"{server.url}/live", "tcp"):
            await wait_for(lambda: "/live" in handler.streams)
            assert await probe(f"{server.url.replace('rtsps', 'rtsp')}/live", "https") == ["aac", "h264"]


async def test_we_play_through_http_from_gst_rtsp_server(tmp_path: Path) -> None:
    async with (
        gst_server() as port,
        open_rtsp_client(f"rtsp://127.0.0.1:{port}/av", tunnel="http") as client,
        client.play() as packets,
    ):
        with trio.fail_after(20):
            assert {(await anext(packets)).media for _ in range(100)} == {0, 1}
    _, der = make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    async with gst_server("--certificate", str(both)) as port:
        url = f"rtsps://localhost:{port}/av"
        async with (
            open_rtsp_client(url, fingerprint=fingerprint_of(der), tunnel="http") as client,
            client.play() as packets,
        ):
            with trio.fail_after(20):
                await anext(packets)


@pytest.mark.parametrize("tunnel", ["http", "websocket"])
async def test_tunnels_go_through_tls_between_our_own_ends(tunnel: str, tmp_path: Path) -> None:
    context, der = make_certificate(tmp_path)
    async with serving("rtsps://127.0.0.1:0", ssl_context=context) as (server, handler):
        url = f"{server.url}/live"
        async with publishing(url, "tcp"):
            await wait_for(lambda: "/live" in handler.streams)
            async with (
                open_rtsp_client(url, fingerprint=fingerprint_of(der), tunnel=tunnel) as client,
                client.play() as packets,
            ):
                with trio.fail_after(20):
                    await anext(packets)
