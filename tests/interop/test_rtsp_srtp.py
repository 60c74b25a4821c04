"""SRTP against GStreamer, which brings keys by MIKEY, and ffmpeg, which takes them from a description."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import evolve

from terzetto.errors import UnsupportedOperation
from terzetto.net.tls import fingerprint_of
from terzetto.rtsp.client import open_rtsp_client
from tests.interop.rtsp_tools import gst_server
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
    async with gst_server("--srtp") as port:
        url = f"rtsp://localhost:{port}/av"
        async with open_rtsp_client(url) as client:
            with pytest.raises(UnsupportedOperation, match="travel readable"):
                async with client.play():
                    pass
        async with (
            open_rtsp_client(url, allow_readable_keys=True, transport="udp") as client,
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
