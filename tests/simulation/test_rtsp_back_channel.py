"""Talking to a camera: sound goes from the client to the server, and one talks at a time."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from terzetto.errors import ConnectionRefusedByPeer, UnsupportedOperation
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.formats.contract import AccessUnit
from terzetto.rtsp.server import RtspRequest, RtspServerSession
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description, Format, Media
from terzetto.rtsp.wire.message import Response
from tests.simulation.rtsp_world import AV, NotingHandler, World, open_world

MULAW = Format(payload_type=0, encoding="PCMU", clock_rate=8000)
AAC = Format(payload_type=100, encoding="mpeg4-generic", clock_rate=16_000, parameters={"config": "1408"})
TALK = Media(kind="audio", formats=(MULAW, AAC), is_back_channel=True)
SOUND = bytes(index * 7 & 0xFF for index in range(8000))


class Camera(NotingHandler):
    """Plays /cam, and listens to whoever talks."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[float, int, bytes]] = []

    async def play(self, request: RtspRequest) -> Response | None:
        assert request.session is not None
        request.session.on_packets = lambda packets: self.heard.extend(
            (trio.current_time(), packet.timestamp, packet.payload) for packet in packets
        )
        return None

    async def session_opened(self, session: RtspServerSession) -> None:
        self.opened.append(session)


def camera_of(world: World) -> Camera:
    assert isinstance(world.handler, Camera)
    world.handler.streams["/cam"] = ServerStream(Description(medias=(*AV.medias, TALK)))
    return world.handler


URL = "rtsp://10.0.0.1:8554/cam"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_sound_arrives_at_its_own_pace(transport: str, autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(handler=Camera()) as world:
        camera = camera_of(world)
        async with open_rtsp_client(URL, transport=transport, back_channel=True) as client:
            description = await client.describe()
            assert [media.is_back_channel for media in description.medias] == [False, False, True]
            async with client.play([description.medias[2]]) as playback:
                talk = playback.back_channel()
                assert talk.format.encoding == "PCMU"
                began = trio.current_time()
                for start in range(0, len(SOUND), 1000):
                    await talk.send_all(SOUND[start : start + 1000])
                assert 0.8 < trio.current_time() - began < 1.0
                await trio.sleep(1)
                await talk.send_all(SOUND[:160])
                await talk.send_all(b"end")
                await talk.aclose()
                await trio.sleep(0.5)
                with pytest.raises(trio.ClosedResourceError):
                    await talk.send_all(b"more")
        payloads = [payload for _, _, payload in camera.heard]
        assert b"".join(payloads) == SOUND + SOUND[:160] + b"end"
        assert {len(payload) for payload in payloads[:50]} == {160}
        stamps = [stamp for _, stamp, _ in camera.heard]
        assert [stamp - stamps[0] & 0xFFFF_FFFF for stamp in stamps[:50]] == list(range(0, 8000, 160))
        # After the silence the clock shows what has passed.
        assert 14_000 < (stamps[50] - stamps[0] & 0xFFFF_FFFF) < 17_000


async def test_one_talks_at_a_time_and_the_next_when_the_first_has_left(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(handler=Camera()) as world:
        camera_of(world)
        async with (
            open_rtsp_client(URL, transport="tcp", back_channel=True) as one,
            open_rtsp_client(URL, transport="tcp", back_channel=True) as two,
        ):
            medias = (await one.describe()).medias
            async with one.play(medias):
                with pytest.raises(ConnectionRefusedByPeer, match="503 Somebody Else Is Talking"):
                    async with two.play((await two.describe()).medias):
                        pass
                # Who only listens is welcome.
                async with two.play() as listening:
                    assert listening.transport == "tcp"
            async with two.play((await two.describe()).medias) as playback:
                await playback.back_channel().send_all(SOUND[:160])


async def test_a_talker_whose_connection_breaks_gives_the_floor_away(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(handler=Camera(), idle_timeout=10.0) as world:
        camera_of(world)
        async with open_rtsp_client(URL, transport="udp", back_channel=True) as one:
            async with one.play((await one.describe()).medias):
                world.handler.opened[0].close("for this test")
                async with open_rtsp_client(URL, transport="tcp", back_channel=True) as two:
                    async with two.play((await two.describe()).medias) as playback:
                        playback.back_channel()


async def test_who_does_not_ask_sees_no_back_channel(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(handler=Camera()) as world:
        camera = camera_of(world)
        async with open_rtsp_client(URL, transport="tcp") as client:
            assert len((await client.describe()).medias) == 2
            async with client.play() as playback:
                with pytest.raises(UnsupportedOperation, match="back_channel=True"):
                    playback.back_channel()
        with pytest.raises(UnsupportedOperation, match="readers who send"):
            camera.streams["/cam"].write(2, [b"\x80" + bytes(20)])


async def test_frames_are_sent_where_the_format_has_frames(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(handler=Camera()) as world:
        camera = camera_of(world)
        async with open_rtsp_client(URL, transport="tcp", back_channel=True) as client:
            description = await client.describe()
            async with client.play([description.medias[2]]) as playback:
                talk = playback.back_channel(2, payload_type=100)
                with pytest.raises(UnsupportedOperation, match="send_unit"):
                    await talk.send_all(SOUND)
                await talk.send_unit(AccessUnit((b"frame",), 0))
                await trio.sleep(0.5)
                with pytest.raises(UnsupportedOperation, match="media 1 "):
                    playback.back_channel(1)
        assert [payload for _, _, payload in camera.heard] == [b"\x00\x10\x00\x28frame"]
