"""Routes between RTSP's pictures and sound and transport streams."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from threading import Thread

import pytest
import trio
import trio.testing

from terzetto.errors import MissingExtra
from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.route import Route
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.formats.reader import UnitReader
from terzetto.rtsp.formats.writer import UnitWriter
from terzetto.rtsp.remux import DemuxedUnit, TransportStreamDemuxer
from terzetto.rtsp.server import PathHandler, serve_rtsp
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description, Format, Media
from tests.gateway.fakes import ListSink, ListSource, Notices, sink_plan, source_plan
from tests.gateway.test_rtsp import on_one_network, running, until
from tests.rtsp.remux.programme import frames, programme

ALAW = Media(kind="audio", formats=(Format(payload_type=8, encoding="PCMA", clock_rate=8000),))


@cache
def units() -> tuple[Description, tuple[DemuxedUnit, ...]]:
    """What a camera sends."""
    described: list[Description] = []
    found: list[DemuxedUnit] = []
    demuxer = TransportStreamDemuxer(
        lambda description, left_out: described.append(description), found.extend
    )
    thread = Thread(target=demuxer.run, daemon=True)
    thread.start()
    demuxer.feed(programme("libx264", "aac"))
    demuxer.close()
    thread.join()
    return described[0], tuple(found)


@asynccontextmanager
async def camera(more: tuple[Media, ...] = ()) -> AsyncIterator[None]:
    """Plays its programme once to whoever comes, at /x."""
    description, all_units = units()
    stream = ServerStream(Description(medias=description.medias + more))
    network_bytes = iter(range(1, 1 << 30))

    def entropy(size: int) -> bytes:
        return next(network_bytes).to_bytes(size, "big")

    async def play() -> None:
        while not stream.statistics().readers:  # noqa: ASYNC110
            await trio.sleep(0.05)
        await trio.sleep(0.5)
        writers = [UnitWriter(media.formats[0], entropy) for media in description.medias]
        began = trio.current_time()
        for media, unit, ticks in all_units:
            await trio.sleep_until(began + max(0, ticks - 20_000) / 90_000)
            stream.write(media, writers[media].write(unit))

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_rtsp, PathHandler({"/x": stream}), "rtsp://:8554"))
        nursery.start_soon(play)
        yield
        nursery.cancel_scope.cancel()


async def test_a_camera_leaves_as_a_transport_stream(autojump_clock: trio.testing.MockClock) -> None:
    async with on_one_network(), camera((ALAW,)):
        one, other, notices = ListSink(), ListSink(), Notices()
        route = Route(plan_source("rtsp://here:8554/x"), [sink_plan(one), sink_plan(other)], notice=notices)
        async with running(route):
            await until(lambda: bool(one.got))
            await trio.sleep(5)
        assert one.got == other.got
        assert all(len(payload) % 188 == 0 and len(payload) <= 1316 for payload in one.got)
        original = frames(programme("libx264", "aac"))
        assert frames(b"".join(one.got)) == original[: len(frames(b"".join(one.got)))]
        assert len(frames(b"".join(one.got))) >= 48
        assert [notice.text for notice in notices.named("remuxing")] == [
            "goes on as an MPEG transport stream; PCMA has no place there and is left out"
        ]


async def test_a_contribution_is_served_as_pictures_and_sound(autojump_clock: trio.testing.MockClock) -> None:
    # A thread works here: the clock waits for it.
    autojump_clock.autojump_threshold = 0.05
    async with on_one_network():
        feed = programme("libx264", "aac")
        batches = [[feed[at : at + 1316]] for at in range(0, len(feed), 1316)]
        source = source_plan(ListSource(batches, every=2 / len(batches), ends=False))
        notices = Notices()
        route = Route(source, [plan_sink("rtsp://@:8554/live")], notice=notices)
        async with running(route), open_rtsp_client("rtsp://here:8554/live") as client:
            await until(lambda: bool(notices.named("listening")))
            description = await client.describe()
            assert [media.formats[0].codec for media in description.medias] == ["h264", "mpeg4-generic"]
            async with client.play() as packets:
                reader = UnitReader(description)
                found = []
                with trio.move_on_after(5):
                    while True:
                        found += reader.push(await packets.receive_packets())
        assert {each.media for each in found} == {0, 1}
        assert not any(each.unit.lost_before for each in found[5:])
        assert notices.named("remuxing")[0].text == "goes out as H264, mpeg4-generic"


async def test_the_end_of_the_input_is_not_lost_in_the_thread(autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = 0.05
    async with on_one_network(), trio.open_nursery() as nursery:
        handler = PathHandler(accept_publishers=True)
        await nursery.start(partial(serve_rtsp, handler, "rtsp://:8554"))
        feed = programme("libx264", "aac")
        batches = [[feed[at : at + 1316]] for at in range(0, len(feed), 1316)]
        route = Route(
            source_plan(ListSource(batches, every=0.01)), [plan_sink("rtsp://here:8554/in")], notice=Notices()
        )
        await route.run()
        assert route.all_done
        assert route.reports()[1].details["remux_shed_octets"] == 0
        nursery.cancel_scope.cancel()


async def test_what_has_no_elementary_stream_goes_out_as_it_is(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("terzetto.rtsp.remux.carried.TO_RTP", {})
    monkeypatch.setattr("terzetto.rtsp.remux.demuxer.TO_RTP", {})
    autojump_clock.autojump_threshold = 0.05
    async with on_one_network():
        feed = programme("libx264", "aac")
        batches = [[feed[at : at + 1316]] for at in range(0, len(feed), 1316)] * 3
        source = source_plan(ListSource(batches, every=0.05, ends=False))
        notices = Notices()
        route = Route(source, [plan_sink("rtsp://@:8554/live")], notice=notices)
        async with running(route), open_rtsp_client("rtsp://here:8554/live") as client:
            await until(lambda: bool(notices.named("remuxing")))
            description = await client.describe()
            assert description.medias[0].formats[0].is_mpeg_ts
            assert notices.named("remuxing")[0].text.endswith("it goes out as it is")


async def test_without_the_extra_each_way_says_how_to_get_it(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    units()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"terzetto\[av\]"):
        plan_sink("rtsp://@:8554/live?rtsp_ts=split")
    async with on_one_network(), camera():
        notices = Notices()
        route = Route(plan_source("rtsp://here:8554/x"), [sink_plan(ListSink())], notice=notices)
        with trio.fail_after(30):
            await route.run()
        assert not route.all_done
        assert "terzetto[av]" in notices.named("refused")[0].text
