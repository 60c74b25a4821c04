"""A recording is replayed as ONVIF has it: from a date on, as fast as it is taken, with a seek on the way."""

from __future__ import annotations

import trio
import trio.testing

from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.wire.headers.range import ClockRange
from terzetto.rtsp.wire.headers.replay import Replay
from tests.simulation.rtsp_recorder import Recorder
from tests.simulation.rtsp_world import open_world

NEW_YEAR = 1_767_225_600_000_000
HOUR = 3_600_000_000


async def test_a_recording_comes_as_fast_as_it_is_taken_and_from_where_it_is_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        recorder = Recorder(nursery)
        async with open_world(handler=recorder, feeding=False, reader_backlog=1 << 17) as world:
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
            async with open_rtsp_client("rtsp://10.0.0.1:8554/rec", transport="tcp") as client:
                async with client.play(range=ClockRange(NEW_YEAR)):
                    assert recorder.asked[0].replay is None
                    connection = await client.connection()
                    fields = {"Require": "onvif-replay", "Frames": "some"}
                    answered = await connection.request("PLAY", client.base, fields)
                    assert answered.response.code == 456
        nursery.cancel_scope.cancel()
