"""RTSP as an end of a route: play, publish, serve, be published to; any format from RTSP to RTSP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from terzetto.errors import AuthenticationFailed, InvalidUrl
from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.route import Route
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.server import PathHandler, serve_rtsp
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.transport_stream import TransportStreamPacketizer
from terzetto.rtsp.wire.description import Description
from tests.gateway.fakes import ListSink, ListSource, Notices, sink_plan, source_plan
from tests.simulation.rtsp_world import AV, feed

TS = [bytes([0x47, 0, number, 0x10]) + bytes([number]) * 184 for number in range(140)]
PAYLOADS = [b"".join(TS[start : start + 7]) for start in range(0, 140, 7)]


@asynccontextmanager
async def running(route: Route) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(route.run)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def on_one_network() -> AsyncIterator[None]:
    """All ends on one host, which knows itself by the name "here"."""
    with use_network(SimulatedNetwork(seed=1).add_host("here")):
        yield


@asynccontextmanager
async def camera(
    description: Description, write: Callable[[ServerStream], Awaitable[None]]
) -> AsyncIterator[PathHandler]:
    """A server at port 8554 that plays at /x and takes publishers elsewhere."""
    stream = ServerStream(description)
    handler = PathHandler({"/x": stream}, accept_publishers=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_rtsp, handler, "rtsp://:8554"))
        nursery.start_soon(write, stream)
        yield handler
        nursery.cancel_scope.cancel()


async def feed_ts(stream: ServerStream) -> None:
    packetizer = TransportStreamPacketizer(lambda packets: stream.write(0, packets))
    while True:
        for payload in PAYLOADS:
            packetizer.send(payload)
            await trio.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.05)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_any_format_passes_from_a_camera_to_a_server(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with on_one_network(), camera(AV, feed) as handler:
        query = f"?rtsp_transport={transport}"
        notices = Notices()
        route = Route(
            plan_source(f"rtsp://here:8554/x{query}"),
            [plan_sink(f"rtsp://here:8554/copy{query}")],
            notice=notices,
        )
        async with running(route):
            await until(lambda: "/copy" in handler.streams)
            async with open_rtsp_client("rtsp://here:8554/copy", transport=transport) as client:
                description = await client.describe()
                assert [media.formats[0].codec for media in description.medias] == ["vp8", "opus"]
                async with client.play() as packets:
                    seen = [await anext(packets) for _ in range(300)]
        for media in (0, 1):
            numbers = [int.from_bytes(each.payload[:4], "big") for each in seen if each.media == media]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert notices.named("playing")[0].text == f"playing by {transport}: VP8, opus"


async def test_a_camera_is_served_to_many(autojump_clock: trio.testing.MockClock) -> None:
    async with on_one_network(), camera(AV, feed):
        notices = Notices()
        route = Route(plan_source("rtsp://here:8554/x"), [plan_sink("rtsp://@:9554/live")], notice=notices)
        async with running(route):
            await until(lambda: bool(notices.named("listening")))
            async with (
                open_rtsp_client("rtsp://here:9554/live", transport="tcp") as one,
                open_rtsp_client("rtsp://here:9554/live", transport="udp") as two,
                one.play() as tcp,
                two.play() as udp,
            ):
                for packets in (tcp, udp):
                    assert {(await anext(packets)).media for _ in range(40)} == {0, 1}
                assert route.reports()[1].details["readers"] == 2
            await until(lambda: len(notices.named("reader_left")) == 2)


async def test_bytes_are_served_as_a_transport_stream_and_come_back_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_one_network():
        source = source_plan(ListSource([[payload] for payload in PAYLOADS * 3], every=0.1, ends=False))
        sink = ListSink()
        serving = Route(source, [plan_sink("rtsp://@:8554/live?rtsp_ts=keep")], notice=Notices())
        playing = Route(plan_source("rtsp://here:8554/live"), [sink_plan(sink)], notice=Notices())
        async with running(serving), running(playing):
            await until(lambda: len(sink.got) >= 40)
        got = b"".join(sink.got)
        assert got in b"".join(PAYLOADS * 3)


async def test_a_publisher_fills_a_route_and_the_next_one_takes_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_one_network():
        sink = ListSink()
        notices = Notices()
        taking = Route(plan_source("rtsp://@:8554/in"), [sink_plan(sink)], notice=notices)
        async with running(taking):
            await until(lambda: bool(notices.named("listening")))
            for _ in range(2):
                sink.got.clear()
                given = source_plan(ListSource([[payload] for payload in PAYLOADS], every=0.05))
                publishing = Route(given, [plan_sink("rtsp://here:8554/in?rtsp_ts=keep")], notice=Notices())
                await publishing.run()
                assert publishing.all_done
                await until(lambda: b"".join(sink.got) == b"".join(PAYLOADS))
            assert len(notices.named("peer_connected")) == 2


async def test_a_camera_that_comes_back_is_played_again(autojump_clock: trio.testing.MockClock) -> None:
    async with on_one_network():
        sink = ListSink()
        notices = Notices()
        route = Route(plan_source("rtsp://here:8554/x"), [sink_plan(sink)], notice=notices)
        async with running(route):
            await until(lambda: bool(notices.named("no_answer")))
            for _ in range(2):
                async with camera(Description.mpeg_ts(), feed_ts):
                    sink.got.clear()
                    await until(lambda: len(sink.got) > 20)
            assert len(notices.named("playing")) == 2
            assert notices.named("peer_lost")
            tries = [notice.text for notice in notices.named("reconnecting")]
            assert len(tries) >= 2
            assert all(text.startswith("rtsp://here:8554/x is tried again in ") for text in tries)


async def test_an_output_of_bytes_refuses_what_is_no_transport_stream(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_one_network(), camera(AV, feed):
        sink = ListSink()
        notices = Notices()
        route = Route(plan_source("rtsp://here:8554/x"), [sink_plan(sink)], notice=notices)
        with trio.fail_after(30):
            await route.run()
        assert not route.all_done
        assert "VP8, opus" in notices.named("refused")[0].text
        assert not sink.got


async def test_who_has_no_password_is_not_played_to(autojump_clock: trio.testing.MockClock) -> None:
    async with on_one_network():
        source = source_plan(ListSource([[payload] for payload in PAYLOADS * 9], every=0.1, ends=False))
        serving = Route(source, [plan_sink("rtsp://me:secret@@:8554/live?rtsp_ts=keep")], notice=Notices())
        async with running(serving):
            with pytest.raises(AuthenticationFailed):
                await Route(
                    plan_source("rtsp://here:8554/live"), [sink_plan(ListSink())], notice=Notices()
                ).run()
            sink = ListSink()
            async with running(
                Route(plan_source("rtsp://me:secret@here:8554/live"), [sink_plan(sink)], notice=Notices())
            ):
                await until(lambda: bool(sink.got))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("rtsp://here/x?rtsp_transpor=tcp", "rtsp_transport"),
        ("rtsp://here/x?rtsp_transport=pigeon", "transport"),
        ("rtsp://here/x?rtsp_timeout=soon", "rtsp_timeout"),
        ("rtsp://@:8554/x?channel=1", "channel"),
        ("rtsp://here/x?rtsp_ts=perhaps", "rtsp_ts"),
        ("rtsp://me@@:8554/x", "password"),
        ("rtsp://@:8554/x?rtsp_certificate=a.pem", "rtsps"),
        ("rtsps://@:8554/x", "certificate"),
        ("rtsps://@:8554/x?rtsp_certificate=/nowhere.pem", "nowhere"),
    ],
)
def test_mistakes_in_urls_are_named(url: str, problem: str) -> None:
    for plan in (plan_source, plan_sink):
        with pytest.raises((InvalidUrl, ValueError), match=problem):
            plan(url)
