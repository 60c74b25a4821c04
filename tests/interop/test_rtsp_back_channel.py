"""ONVIF back channels with GStreamer at the other end: we talk to its server, its client talks to ours."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from terzetto.rtp.header import pack_header
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.server import RtspRequest
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description, Format, Media
from terzetto.rtsp.wire.message import Response
from tests.interop.rtsp_tools import (
    SYSTEM_PYTHON,
    ObservedHandler,
    printed_port,
    program,
    run,
    serving,
    wait_for,
)

pytestmark = pytest.mark.interop

GST_TALK = str(Path(__file__).with_name("gst_talk.py"))
SOUND = bytes(index * 11 & 0xFF for index in range(8000))
LIVE = Media(kind="audio", formats=(Format(payload_type=8, encoding="PCMA", clock_rate=8000),))
TALK = Media(
    kind="audio", formats=(Format(payload_type=0, encoding="PCMU", clock_rate=8000),), is_back_channel=True
)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_we_talk_to_gst_onvif_server(transport: str, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    async with program(SYSTEM_PYTHON, GST_TALK, "listen", str(heard)) as process:
        port = await printed_port(process)
        url = f"rtsp://127.0.0.1:{port}/talk"
        async with open_rtsp_client(url, transport=transport, back_channel=True) as client:
            description = await client.describe()
            assert [media.is_back_channel for media in description.medias] == [False, True]
            async with client.play(description.medias) as playback:
                talk = playback.back_channel()
                assert talk.format.codec == "pcmu"
                await talk.send_all(SOUND)
                await wait_for(lambda: heard.exists() and heard.stat().st_size >= len(SOUND) - 160)
                assert await anext(playback)
    assert SOUND.startswith(heard.read_bytes())


class Camera(ObservedHandler):
    """Hears what is said to it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []

    async def play(self, request: RtspRequest) -> Response | None:
        assert request.session is not None
        request.session.on_packets = lambda packets: self.heard.extend(each.payload for each in packets)
        return None


async def test_rtspsrc_talks_to_us() -> None:
    async with serving(handler=Camera()) as (server, handler), trio.open_nursery() as nursery:
        assert isinstance(handler, Camera)
        stream = handler.streams["/cam"] = ServerStream(Description(medias=(LIVE, TALK)))

        async def play() -> None:
            for number in range(100_000):
                stream.write(0, [pack_header(8, number & 0xFFFF, number * 160, 7) + bytes(160)])
                await trio.sleep(0.02)

        nursery.start_soon(play)
        said = await run(SYSTEM_PYTHON, GST_TALK, "say", f"{server.url}/cam", timeout=60)
        await wait_for(lambda: len(handler.heard) >= 50)
        assert said.splitlines()[-1] == "50"
        assert {len(payload) for payload in handler.heard} == {160}
        nursery.cancel_scope.cancel()
