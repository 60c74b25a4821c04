"""A recording is replayed as ONVIF has it: from a date on, as fast as it is taken, with a seek on the way."""

from __future__ import annotations

import trio
import trio.testing

from terzetto.rtp.header import pack_header
from terzetto.rtp.onvif_extension import OnvifExtension
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.server import RtspRequest
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.headers.range import ClockRange
from terzetto.rtsp.wire.headers.replay import Replay
from terzetto.rtsp.wire.message import Response
from tests.simulation.rtsp_world import AV, NotingHandler, open_world

NEW_YEAR = 1_767_225_600_000_000
HOUR = 3_600_000_000


class Recorder(NotingHandler):
    """Sends a picture for each second of its recording."""

    def __init__(self, nursery: trio.Nursery) -> None:
        super().__init__()
        self.nursery = nursery
        self.asked: list[RtspRequest] = []
        self.playing = trio.CancelScope()
        self.most_waiting = 0

    async def play(self, request: RtspRequest) -> Response | None:
        self.asked.append(request)
        self.playing.cancel()
        self.playing = trio.CancelScope()
        self.nursery.start_soon(self._send, request, self.playing)
        response = Response(200)
        response.fields["Range"] = str(request.range)
        return response

    async def _send(self, request: RtspRequest, scope: trio.CancelScope) -> None:
        assert isinstance(request.range, ClockRange)
        assert request.session is not None
        number = int(request.message.cseq or 0)
        with scope:
            await trio.sleep(0.1)
            for second in range(2000):
                while not request.session.has_room:  # noqa: ASYNC110
                    await trio.sleep(0.01)
                at = OnvifExtension(
                    request.range.start + second * 1_000_000, True, False, not second, False, number
                )
                header = pack_header(96, second & 0xFFFF, second * 90_000, 5, marker=True)
                self.streams["/rec"].write(0, [at.put_on(header + bytes(1200))])


async def test_a_recording_comes_as_fast_as_it_is_taken_and_from_where_it_is_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        recorder = Recorder(nursery)
        async with open_world(handler=recorder, feeding=False, reader_backlog=1 << 17) as world:
            recorder.streams["/rec"] = ServerStream(AV)
            async with open_rtsp_client(
                "rtsp://10.0.0.1:8554/rec", transport="tcp", delivery_limit=64, read_timeout=3.0
            ) as client:
                asked = Replay(rate_control=False, frames="intra", intra_interval=1_000_000)
                async with client.play(range=ClockRange(NEW_YEAR), replay=asked) as playback:
                    assert playback.range == "clock=20260101T000000Z-"
                    seen = [await anext(playback) for _ in range(100)]
                    # Who takes a break is not taken for a silent server, and loses nothing.
                    await trio.sleep(6)
                    seen += [await anext(playback) for _ in range(1000)]
                    times = [packet.replay.recorded_at for packet in seen if packet.replay is not None]
                    assert times == [NEW_YEAR + second * 1_000_000 for second in range(1100)]
                    assert seen[0].payload == bytes(1200)
                    await playback.seek(ClockRange(NEW_YEAR + HOUR))
                    while (at := (await anext(playback)).replay) is None or (
                        at.request_number != playback.play_number & 0xFF
                    ):
                        pass
                    assert at.recorded_at == NEW_YEAR + HOUR
                    assert at.is_discontinuous
            first, second = (each.replay for each in recorder.asked)
            assert first == asked
            assert second is not None
            assert second.immediate
            assert not world.handler.write_errors
        nursery.cancel_scope.cancel()


async def test_nonsense_about_a_replay_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        recorder = Recorder(nursery)
        async with open_world(handler=recorder, feeding=False):
            recorder.streams["/rec"] = ServerStream(AV)
            async with open_rtsp_client("rtsp://10.0.0.1:8554/rec", transport="tcp") as client:
                async with client.play(range=ClockRange(NEW_YEAR)):
                    assert recorder.asked[0].replay is None
                    connection = await client.connection()
                    fields = {"Require": "onvif-replay", "Frames": "some"}
                    answered = await connection.request("PLAY", client.base, fields)
                    assert answered.response.code == 456
        nursery.cancel_scope.cancel()
