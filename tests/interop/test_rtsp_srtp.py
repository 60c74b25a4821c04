"""SRTP against GStreamer, which brings keys by MIKEY, and ffmpeg, which takes them from a description."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
import trio
from attrs import evolve

from terzetto.errors import UnsupportedOperation
from terzetto.net.tls import fingerprint_of
from terzetto.rtp.srtp import SrtpReceiver, SrtpSender
from terzetto.rtp.srtp_keys import MasterKey, SrtpProfile
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.wire.sdp.crypto import Crypto
from tests.interop.rtsp_tools import gst_server, program, run, serving, wait_for
from tests.interop.test_rtsp_ffmpeg import probe
from tests.interop.test_rtsp_ffmpeg import publishing as ffmpeg_publishing
from tests.interop.test_rtsp_gstreamer import publishing as gstreamer_publishing
from tests.net.certificates import make_certificate

pytestmark = pytest.mark.interop


def certificate(folder: Path) -> tuple[Path, str]:
    _, der = make_certificate(folder)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both, fingerprint_of(der)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_we_play_what_gst_rtsp_server_encrypts(transport: str, tmp_path: Path) -> None:
    pem, fingerprint = certificate(tmp_path)
    async with gst_server("--srtp", "--certificate", str(pem)) as port:
        url = f"rtsps://localhost:{port}/av"
        async with open_rtsp_client(url, fingerprint=fingerprint, transport=transport) as client:
            description = await client.describe()
            assert all(media.is_secure for media in description.medias)
            async with client.play() as packets:
                with trio.fail_after(20):
                    seen = [await anext(packets) for _ in range(150)]
                assert {packet.media for packet in seen} == {0, 1}
                # What is opened is H.264 and A-law again, not noise.
                assert {packet.payload_type for packet in seen} == {8, 96}
                assert all(bytes(packet.payload)[0] & 0x80 == 0 for packet in seen if packet.media == 0)
                statistics = packets.statistics()
                assert statistics.lost == 0
                assert [media.errors for media in statistics.medias] == [{}, {}]


async def test_keys_that_all_can_read_are_refused_unless_asked_for() -> None:
    async with gst_server("--srtp") as port, open_rtsp_client(f"rtsp://localhost:{port}/av") as client:
        with pytest.raises(UnsupportedOperation, match="travel readable"):
            async with client.play():
                pass
    # Another server: gst-rtsp-server answers 503 to who comes while it still takes down what the first had it build.
    async with (
        gst_server("--srtp") as port,
        open_rtsp_client(f"rtsp://localhost:{port}/av", allow_readable_keys=True, transport="udp") as client,
        client.play() as packets,
    ):
        with trio.fail_after(20):
            await anext(packets)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_gst_rtsp_server_takes_what_we_encrypt(transport: str, tmp_path: Path) -> None:
    pem, fingerprint = certificate(tmp_path)
    async with gst_server("--srtp", "--certificate", str(pem)) as port:
        base = f"rtsps://localhost:{port}"
        async with (
            open_rtsp_client(f"{base}/av", fingerprint=fingerprint) as reader,
            open_rtsp_client(
                f"{base}/record", fingerprint=fingerprint, transport=transport, srtp=True
            ) as writer,
        ):
            description = await reader.describe()
            video = evolve(description, medias=description.medias[:1])
            async with writer.record(video) as publication, reader.play(description.medias[:1]) as packets:
                for _ in range(60):
                    packet = await anext(packets)
                    await publication.send(0, [packet.data])
                assert publication.statistics()[0].packets == 60


@pytest.mark.parametrize("protocols", ["tcp", "udp", "udp-mcast"])
async def test_rtspsrc_opens_what_we_encrypt(protocols: str, tmp_path: Path) -> None:
    context, _ = make_certificate(tmp_path)
    async with serving(
        "rtsps://127.0.0.1:0",
        ssl_context=context,
        srtp=True,
        multicast_groups="239.7.9.0/24",
        multicast_port=18102,
        multicast_interface="127.0.0.1",
    ) as (server, handler):
        url = f"{server.url}/live"
        async with ffmpeg_publishing(url, "tcp"):
            await wait_for(lambda: "/live" in handler.streams)
            # What we describe as SRTP, ffmpeg reads as RTP inside the encrypted connection.
            assert await probe(url, "tcp") == ["aac", "h264"]
            source = f"rtspsrc location={url} protocols={protocols} tls-validation-flags=0 multicast-iface=lo name=s"
            # A decoder is the judge: noise would be an error, or no picture.
            pipeline = f"{source} s. ! rtph264depay ! avdec_h264 ! fakesink num-buffers=40 sync=false"
            await run("gst-launch-1.0", "-q", *pipeline.split())


async def test_we_take_what_rtspclientsink_encrypts(tmp_path: Path) -> None:
    context, der = make_certificate(tmp_path)
    async with serving("rtsps://127.0.0.1:0", ssl_context=context, srtp=True) as (server, handler):
        url = f"{server.url}/live"
        async with gstreamer_publishing(url, "udp", "tls-validation-flags=0", "profiles=savp"):
            await wait_for(lambda: "/live" in handler.streams)
            async with (
                open_rtsp_client(url, fingerprint=fingerprint_of(der), transport="udp") as client,
                client.play() as packets,
            ):
                with trio.fail_after(20):
                    seen = [await anext(packets) for _ in range(50)]
                assert all(bytes(packet.payload)[0] & 0x80 == 0 for packet in seen)


async def test_ffmpeg_seals_and_opens_by_the_keys_of_descriptions(tmp_path: Path) -> None:
    profile = SrtpProfile.AES_CM_128_HMAC_SHA1_80
    theirs, ours = (MasterKey.from_bytes(profile, bytes(range(first, first + 30))) for first in (1, 101))
    arriving = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
    await arriving.bind(("127.0.0.1", 0))
    port = arriving.getsockname()[1]
    player_port = (port + 2) | 1 ^ 1
    sdp = tmp_path / "player.sdp"
    sdp.write_text(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns= \r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video {player_port} RTP/SAVP 96\r\na=rtpmap:96 H264/90000\r\na=crypto:{Crypto(ours)}\r\n"
    )
    encoder = (
        *("ffmpeg", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "5", "-f", "rtp"),
        *("-srtp_out_suite", profile.name, "-srtp_out_params", b64encode(theirs.to_bytes()).decode()),
        f"srtp://127.0.0.1:{port}",
    )
    # -xerror: a packet that is noise after opening would end it with an error.
    player = (
        *("ffmpeg", "-loglevel", "error", "-xerror", "-protocol_whitelist", "file,udp,rtp,srtp"),
        *("-i", str(sdp), "-frames:v", "10", "-f", "null", "-"),
    )
    receiver, sender = SrtpReceiver(theirs), SrtpSender(ours)

    async def pass_on() -> None:
        while True:
            data, _ = await arriving.recvfrom(2048)
            plain = receiver.unprotect(data)
            if plain is not None:
                await arriving.sendto(sender.protect(plain), ("127.0.0.1", player_port))

    async with program(*encoder), trio.open_nursery() as nursery:
        nursery.start_soon(pass_on)
        await run(*player)
        nursery.cancel_scope.cancel()
    arriving.close()
    assert not receiver.dropped
