"""GStreamer: gst-rtsp-server for our client, rtspsrc and rtspclientsink for our server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve

from terzetto.errors import AuthenticationFailed
from terzetto.net.tls import fingerprint_of
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.events import PtsQuality, TransportChanged
from tests.interop.rtsp_tools import GST_READER, SYSTEM_PYTHON, gst_server, program, run, serving, wait_for
from tests.net.certificates import make_certificate
from tests.net.namespace import needs_namespace

pytestmark = pytest.mark.interop

VIDEO = (
    "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1"
    " ! x264enc tune=zerolatency key-int-max=25"
)


@asynccontextmanager
async def publishing(url: str, protocols: str, *properties: str) -> AsyncIterator[None]:
    pipeline = f"{VIDEO} ! rtspclientsink location={url} protocols={protocols} {' '.join(properties)}"
    async with program("gst-launch-1.0", "-q", *pipeline.split()):
        yield


async def read_with_rtspsrc(url: str, protocols: str, *properties: str) -> None:
    await run(SYSTEM_PYTHON, str(GST_READER), f"location={url}", f"protocols={protocols}", *properties)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_we_play_from_gst_rtsp_server(transport: str) -> None:
    async with (
        gst_server() as port,
        open_rtsp_client(f"rtsp://127.0.0.1:{port}/av", transport=transport) as client,
    ):
        description = await client.describe()
        assert [media.formats[0].codec for media in description.medias] == ["h264", "pcma"]
        async with client.play() as packets:
            assert packets.transport == transport
            seen = [await anext(packets) for _ in range(150)]
        assert {packet.media for packet in seen} == {0, 1}
        assert packets.statistics().lost == 0
        assert seen[-1].pts_quality in (PtsQuality.ARRIVAL, PtsQuality.SENDER_REPORT)


async def test_we_fall_back_to_tcp_where_udp_is_refused() -> None:
    async with (
        gst_server("--protocols", "tcp") as port,
        open_rtsp_client(f"rtsp://127.0.0.1:{port}/av") as client,
        client.play() as packets,
    ):
        await anext(packets)
        assert packets.transport == "tcp"
        with trio.fail_after(5):
            async with aclosing(client.events()) as events:
                async for event in events:
                    if isinstance(event, TransportChanged):
                        break


async def test_we_prove_our_password_by_digest_to_gst_rtsp_server() -> None:
    async with gst_server("--digest") as port:
        url = f"rtsp://me:secret@127.0.0.1:{port}/av"
        async with open_rtsp_client(url, transport="tcp") as client, client.play() as packets:
            await anext(packets)
        with pytest.raises(AuthenticationFailed, match="does not accept"):
            async with open_rtsp_client(url.replace("secret", "wrong")) as client:
                await client.describe()
        with pytest.raises(AuthenticationFailed, match="none were given"):
            async with open_rtsp_client(f"rtsp://127.0.0.1:{port}/av") as client:
                await client.describe()


async def test_we_play_through_tls_with_a_pinned_certificate(tmp_path: Path) -> None:
    _, der = make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    async with gst_server("--certificate", str(both)) as port:
        url = f"rtsps://localhost:{port}/av"
        async with open_rtsp_client(url, fingerprint=fingerprint_of(der)) as client, client.play() as packets:
            assert packets.transport == "tcp"
            await anext(packets)
        with pytest.raises(AuthenticationFailed, match="fingerprint"):
            async with open_rtsp_client(url) as client:
                await client.describe()


async def test_we_pause_and_go_on_with_gst_rtsp_server() -> None:
    async with gst_server() as port:
        url = f"rtsp://127.0.0.1:{port}/av"
        async with open_rtsp_client(url, transport="tcp") as client, client.play() as packets:
            await anext(packets)
            await packets.pause()
            await trio.sleep(0.3)
            await packets.resume()
            with trio.fail_after(10):
                for _ in range(100):
                    await anext(packets)


async def test_a_transport_stream_is_bytes() -> None:
    async with gst_server() as port:
        url = f"rtsp://127.0.0.1:{port}/ts"
        async with open_rtsp_client(url, transport="udp") as client, client.play() as packets:
            data = b""
            while len(data) < 20_000:
                data += await packets.receive_some()
        assert set(data[::188]) == {0x47}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_we_publish_to_gst_rtsp_server(transport: str) -> None:
    async with gst_server() as port:
        base = f"rtsp://127.0.0.1:{port}"
        async with (
            # The server's encoder takes its time to start on a busy machine.
            open_rtsp_client(f"{base}/av", transport="tcp", read_timeout=40) as reader,
            open_rtsp_client(f"{base}/record", transport=transport) as writer,
        ):
            description = await reader.describe()
            video = evolve(description, medias=description.medias[:1])
            async with writer.record(video) as publication, reader.play(description.medias[:1]) as packets:
                for _ in range(60):
                    packet = await anext(packets)
                    await publication.send(0, [packet.data])
                assert publication.statistics()[0].packets == 60


# Groups are for networks that nobody else shares: `network_of_its_own` moves the whole run into one.
@pytest.mark.parametrize("read_by", ["tcp", "udp", pytest.param("udp-mcast", marks=needs_namespace)])
@pytest.mark.parametrize("publish_by", ["tcp", "udp"])
async def test_rtspsrc_reads_what_rtspclientsink_publishes(publish_by: str, read_by: str) -> None:
    async with serving(
        multicast_groups="239.7.8.0/24", multicast_port=18002, multicast_interface="127.0.0.1"
    ) as (
        server,
        handler,
    ):
        url = f"{server.url}/live"
        async with publishing(url, publish_by):
            await wait_for(lambda: "/live" in handler.streams)
            properties = ("multicast-iface=lo",) if read_by == "udp-mcast" else ()
            await read_with_rtspsrc(url, read_by, *properties)
            await wait_for(lambda: handler.endings == ["torn down by the client"])


async def test_gstreamer_proves_its_password_by_digest() -> None:
    async with serving(credentials={"me": "secret"}) as (server, handler):
        url = f"{server.url}/live"
        account = ("user-id=me", "user-pw=secret")
        async with publishing(url, "tcp", *account):
            await wait_for(lambda: "/live" in handler.streams)
            await read_with_rtspsrc(url, "tcp", *account)


async def test_gstreamer_reads_through_tls(tmp_path: Path) -> None:
    context, _ = make_certificate(tmp_path)
    async with serving("rtsps://127.0.0.1:0", ssl_context=context) as (server, handler):
        url = f"{server.url}/live"
        async with publishing(url, "tcp", "tls-validation-flags=0"):
            await wait_for(lambda: "/live" in handler.streams)
            await read_with_rtspsrc(url, "tcp", "tls-validation-flags=0")
