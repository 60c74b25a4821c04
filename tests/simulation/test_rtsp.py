"""Client and server together, on networks good and bad."""

from __future__ import annotations

from contextlib import aclosing
from itertools import pairwise

import pytest
import trio
import trio.testing

from terzetto.errors import (
    AuthenticationFailed,
    ConnectionRefusedByPeer,
    PeerError,
    PeerTimedOut,
    UnsupportedOperation,
)
from terzetto.net.network import use_network
from terzetto.net.simulated import LinkConditions, ScriptedLoss
from terzetto.net.stream import StreamOptions
from terzetto.primitives.datagrams import Address
from terzetto.primitives.reconnection import Reconnection
from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtp.sender_report import SenderReport
from terzetto.rtsp.client import RtspClient, RtspPlayback, open_rtsp_client
from terzetto.rtsp.events import (
    ClientEvent,
    PtsQuality,
    ReconnectGivenUp,
    ReconnectScheduled,
    RtspPacket,
    SourceChanged,
    TransportChanged,
)
from terzetto.rtsp.server import RtspRequest
from terzetto.rtsp.stream import Batch, ServerStream
from terzetto.rtsp.wire.description import Description, Media
from terzetto.rtsp.wire.message import Response
from terzetto.rtsp.wire.status import Status
from tests.simulation.rtsp_world import AV, NotingHandler, open_world, rtp


async def take(playback: RtspPlayback, count: int) -> list[RtspPacket]:
    packets: list[RtspPacket] = []
    while len(packets) < count:
        packets += await playback.receive_packets()
    return packets


async def settle() -> None:
    await trio.sleep(0.5)


async def event_of(client: RtspClient, kind: type[ClientEvent]) -> ClientEvent:
    with trio.fail_after(60):
        async with aclosing(client.events()) as events:
            async for event in events:
                if isinstance(event, kind):
                    return event
    raise AssertionError("the events ended")


def numbers(packets: list[RtspPacket], media: int) -> list[int]:
    return [int.from_bytes(packet.payload[:4], "big") for packet in packets if packet.media == media]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_everything_arrives_in_order(transport: str, autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world, open_rtsp_client(world.url, transport=transport) as client:
        async with client.play() as playback:
            assert playback.transport == transport
            packets = await take(playback, 1000)
            for media in (0, 1):
                seen = numbers(packets, media)
                assert seen == list(range(seen[0], seen[0] + len(seen)))
            assert playback.statistics().lost == 0
            assert world.server.statistics().sessions == 1
        await settle()
        assert world.handler.closed == ["torn down by the client"]
        assert world.stream.readers == 0
        assert world.server.statistics().sessions == 0


async def test_medias_are_aligned_by_sender_reports(autojump_clock: trio.testing.MockClock) -> None:
    async with (
        open_world() as world,
        open_rtsp_client(world.url, transport="tcp") as client,
        client.play() as playback,
    ):
        packets = await take(playback, 200)
        last = {packet.media: packet for packet in packets}
        assert last[0].pts_quality is PtsQuality.SENDER_REPORT
        # The same picture number stands for the same moment in both medias.
        shown = [
            {numbers([packet], media)[0] // 10: packet.pts for packet in packets if packet.media == media}
            for media in (0, 1)
        ]
        for picture in sorted(set(shown[0]) & set(shown[1]))[-3:]:
            one, other = shown[0][picture], shown[1][picture]
            assert one is not None
            assert other is not None
            assert abs(one - other) < 1000


@pytest.mark.parametrize("seed", range(3))
async def test_on_a_bad_network_udp_loses_but_never_repeats_or_reorders(
    seed: int, autojump_clock: trio.testing.MockClock
) -> None:
    bad = LinkConditions(delay=0.02, loss=0.02, reorder=0.05, reorder_by=0.02, duplicate=0.005)
    async with open_world(seed=seed, conditions=bad) as world:
        async with open_rtsp_client(world.url, transport="udp") as client, client.play() as playback:
            packets = await take(playback, 2000)
            for media in (0, 1):
                mine = [packet for packet in packets if packet.media == media]
                seen = [packet.sequence for packet in mine]
                assert all(after > before for before, after in pairwise(seen))
                gaps = sum(after - before - 1 for before, after in pairwise(seen))
                assert gaps == sum(packet.lost_before for packet in mine[1:])
                assert 0 < gaps < len(mine) * 0.05
            statistics = playback.statistics()
            assert statistics.lost > 0
            assert statistics.in_error == 0
            # The server hears of it by our reports.
            await trio.sleep(6)
            assert sum(media.reported_lost for media in world.stream.statistics().medias) > 0


async def test_one_lost_packet_delays_the_others_only_so_long(autojump_clock: trio.testing.MockClock) -> None:
    bad = LinkConditions(delay=0.01, loss=ScriptedLoss([55]))
    async with open_world(conditions=bad) as world:
        async with open_rtsp_client(world.url, transport="udp", reorder_time=0.1) as client:
            async with client.play() as playback:
                longest = 0.0
                for _ in range(30):
                    before = trio.current_time()
                    await playback.receive_packets()
                    longest = max(longest, trio.current_time() - before)
        assert longest < 0.2


async def test_udp_that_nat_keeps_out_becomes_tcp(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        nat = world.network.add_nat("router", "10.0.0.99")
        nat.shelter(world.client_host)
        async with open_rtsp_client(world.url) as client, client.play() as playback:
            with trio.fail_after(20):
                packets = await take(playback, 100)
            assert playback.transport == "tcp"
            assert {packet.media for packet in packets} == {0, 1}
            changed = await event_of(client, TransportChanged)
            assert isinstance(changed, TransportChanged)
            assert "no packet came by UDP" in changed.reason


async def test_silence_ends_the_stream_with_a_reason(autojump_clock: trio.testing.MockClock) -> None:
    async with (
        open_world() as world,
        open_rtsp_client(world.url, transport="udp") as client,
        client.play() as playback,
    ):
        await take(playback, 100)
        world.cut()
        began = trio.current_time()
        with pytest.raises(PeerTimedOut, match="nothing came"):
            while True:
                await playback.receive_packets()
        assert 9 < trio.current_time() - began < 13


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_player_that_may_reconnect_goes_on_after_an_outage(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    policy = Reconnection(initial=0.5, longest=2.0)
    async with open_world() as world:
        async with open_rtsp_client(world.url, transport=transport, reconnect=policy) as client:
            async with client.play() as playback:
                await take(playback, 100)
                now = world.network.elapsed() / 1e6
                world.network.partition(world.server_host, world.client_host, now, now + 30)
                await trio.sleep(45)
                before = len(await playback.receive_packets())
                assert before > 0
                with trio.fail_after(5):
                    await take(playback, 200)
                assert isinstance(await event_of(client, ReconnectScheduled), ReconnectScheduled)


async def test_a_player_gives_up_when_its_policy_does(autojump_clock: trio.testing.MockClock) -> None:
    policy = Reconnection(initial=0.5, jitter=0, most_attempts=3)
    async with (
        open_world() as world,
        open_rtsp_client(world.url, transport="tcp", reconnect=policy) as client,
        client.play() as playback,
    ):
        await take(playback, 100)
        world.cut()
        with trio.fail_after(120), pytest.raises(PeerTimedOut):
            while True:
                await playback.receive_packets()
        last = await event_of(client, ReconnectGivenUp)
        assert isinstance(last, ReconnectGivenUp)
        assert last.attempts == 3


async def test_the_server_forgets_a_reader_by_udp_that_died(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(idle_timeout=20) as world:
        with trio.move_on_after(5):
            async with open_rtsp_client(world.url, transport="udp") as client, client.play():
                world.cut()
                await trio.sleep_forever()
        assert world.server.statistics().sessions == 1
        await trio.sleep(25)
        assert world.handler.closed == ["no sign of life"]
        assert world.stream.readers == 0


async def test_who_leaves_at_once_is_gone_without_an_accident(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world, open_rtsp_client(world.url) as client:
        async with client.play():
            pass
        await settle()
        assert world.server.statistics().sessions == 0


async def test_keepalives_keep_a_paused_session(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(idle_timeout=20) as world:
        async with open_rtsp_client(world.url, transport="udp") as client, client.play() as playback:
            await take(playback, 50)
            await playback.pause()
            await trio.sleep(100)
            assert world.server.statistics().sessions == 1
            await playback.resume()
            await take(playback, 50)


async def test_a_client_that_is_cancelled_tears_its_session_down(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world() as world:
        with trio.move_on_after(2):
            async with open_rtsp_client(world.url, transport="udp") as client, client.play() as playback:
                while True:
                    await playback.receive_packets()
        await settle()
        assert world.handler.closed == ["torn down by the client"]


async def test_a_slow_reader_is_thinned_and_harms_nobody(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(reader_backlog=100_000, write_timeout=3600) as world:
        slow_host = world.network.add_host("slow", "10.0.0.3")
        world.network.link(world.server_host, slow_host, LinkConditions(delay=0.01, rate=1_000_000))
        async with open_rtsp_client(world.url, transport="tcp") as fast_client, fast_client.play() as fast:
            with use_network(slow_host):
                async with (
                    open_rtsp_client(world.url, transport="tcp") as slow_client,
                    slow_client.play() as slow,
                ):
                    fast_seen: list[RtspPacket] = []
                    with trio.move_on_after(20):
                        while True:
                            fast_seen += await fast.receive_packets()
                    slow_seen = await slow.receive_packets()
                    for media in (0, 1):
                        got = numbers(fast_seen, media)
                        assert got == list(range(got[0], got[0] + len(got)))
                    # A quarter of the stream fits through; what came is in order, and the rest was left out here.
                    assert 0.1 < len(slow_seen) / len(fast_seen) < 0.4
                    assert slow.statistics().lost > 0
                    shed = [session.sent().shed for session in world.handler.opened]
                    assert shed[0] == 0
                    assert shed[1] > 0
                    assert world.handler.write_errors > 0


async def test_a_slow_reader_is_dropped_where_that_is_the_policy(
    autojump_clock: trio.testing.MockClock,
) -> None:
    narrow = LinkConditions(delay=0.01, rate=500_000)
    async with open_world(reader_backlog=100_000, slow_reader="drop", conditions=narrow) as world:
        with pytest.raises(PeerError):
            async with open_rtsp_client(world.url, transport="tcp") as client, client.play() as playback:
                while await playback.receive_packets():
                    pass
        await settle()
        assert "too slow" in world.handler.closed


async def test_a_stuck_reader_is_cut_off_in_time(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(write_timeout=5) as world:
        stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        await talk(stream, *PLAY_BY_TCP)
        await trio.sleep(30)
        assert world.handler.closed != []
        assert world.server.statistics().connections == 0


PLAY_BY_TCP = (
    "SETUP {base}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast\r\n\r\n",
    "PLAY {base} RTSP/1.0\r\nCSeq: 2\r\n\r\n",
)

ANNOUNCED = (
    "ANNOUNCE {base} RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\n"
    "Content-Length: 19\r\n\r\nm=audio 0 RTP/AVP 0"
)


async def talk(stream: trio.abc.Stream, *requests: str, base: str = "rtsp://10.0.0.1:8554/live") -> list[str]:
    answers = []
    for request in requests:
        await stream.send_all(request.replace("{base}", base).encode())
        with trio.fail_after(30):
            answers.append((await stream.receive_some()).decode(errors="replace"))
    return answers


async def test_nobody_else_drives_a_session(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        stranger = world.network.add_host("stranger", "10.0.0.66")
        own = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        answers = await talk(own, *PLAY_BY_TCP)
        token = answers[0].partition("Session: ")[2].partition(";")[0]
        assert len(token) == 32
        for host in (stranger, world.client_host):
            other = await host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
            for method in ("TEARDOWN", "PAUSE", "PLAY", "GET_PARAMETER"):
                [answer] = await talk(
                    other, f"{method} {{base}} RTSP/1.0\r\nCSeq: 3\r\nSession: {token}\r\n\r\n"
                )
                assert answer.startswith("RTSP/1.0 454")
            other.close()
        assert world.server.statistics().sessions == 1
        own.close()
        await settle()
        assert world.server.statistics().sessions == 0


async def test_odd_requests_get_their_answers(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False, multicast_groups=None) as world:
        for request, expected in (
            ("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 200),
            ("OPTIONS {base} RTSP/1.0\r\n\r\n", 400),
            ("DESCRIBE * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 400),
            ("DESCRIBE {base} RTSP/2.0\r\nCSeq: 1\r\n\r\n", 505),
            ("DESCRIBE {base}/other RTSP/1.0\r\nCSeq: 1\r\n\r\n", 404),
            ("DESCRIBE {base} RTSP/1.0\r\nCSeq: 1\r\nRequire: tea\r\n\r\n", 551),
            ("DESCRIBE {base} RTSP/1.0\r\nCSeq: 1\r\nProxy-Require: tea\r\n\r\n", 551),
            ("DESCRIBE {base} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/rtsl\r\n\r\n", 406),
            ("BREW {base} RTSP/1.0\r\nCSeq: 1\r\n\r\n", 501),
            ("PLAY {base} RTSP/1.0\r\nCSeq: 1\r\n\r\n", 454),
            ("PLAY {base} RTSP/1.0\r\nCSeq: 1\r\nSession: guess\r\n\r\n", 454),
            ("SETUP {base}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\n\r\n", 461),
            ("SETUP {base}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;multicast\r\n\r\n", 461),
            ("SETUP {base}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast\r\n\r\n", 400),
            ("SETUP {base}/trackID=9 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP\r\n\r\n", 404),
            ("ANNOUNCE {base}2 RTSP/1.0\r\nCSeq: 1\r\n\r\n", 415),
            (
                "ANNOUNCE {base}2 RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0",
                400,
            ),
            (
                ANNOUNCED,
                403,
            ),
            ("GET_PARAMETER {base} RTSP/1.0\r\nCSeq: 1\r\n\r\n", 200),
            ("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 999999999\r\n\r\n", 413),
        ):
            stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
            [answer] = await talk(stream, request)
            assert answer.startswith(f"RTSP/1.0 {expected} "), (request, answer)
            stream.close()
        await settle()
        assert world.server.statistics().sessions == 0
        assert world.server.statistics().connections == 0


async def test_setting_up_again_is_answered_again(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        first, second = await talk(stream, PLAY_BY_TCP[0], PLAY_BY_TCP[0])
        assert "interleaved=0-1" in first
        assert second == first
        stream.close()


async def test_pipelined_requests_are_answered_in_order(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        await stream.send_all(
            b"".join(b"OPTIONS * RTSP/1.0\r\nCSeq: %d\r\n\r\n" % number for number in range(100))
        )
        data = b""
        with trio.fail_after(5):
            while data.count(b"CSeq") < 100:
                data += await stream.receive_some()
        found = [int(line[6:]) for line in data.splitlines() if line.startswith(b"CSeq: ")]
        assert found == list(range(100))
        stream.close()


async def test_strangers_who_say_nothing_are_shown_the_door(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        silent = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        halting = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        await halting.send_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\nDESC")
        await trio.sleep(9)
        assert world.server.statistics().connections == 2
        await trio.sleep(2)
        assert world.server.statistics().connections == 0
        silent.close()
        halting.close()


async def test_connections_per_host_are_limited(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(max_connections_per_host=2, feeding=False) as world:
        streams = [
            await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
            for _ in range(3)
        ]
        await settle()
        assert world.server.statistics().connections == 2
        assert world.server.statistics().connections_refused == 1
        for stream in streams:
            stream.close()


async def test_sessions_that_outlive_their_connections_are_limited_per_host(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(feeding=False, max_sessions_per_host=3) as world:
        answers = []
        for port in range(6000, 6010, 2):
            stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
            spec = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
            answers += await talk(
                stream,
                f"SETUP {{base}}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: {spec}\r\n\r\n",
                "PLAY {base} RTSP/1.0\r\nCSeq: 2\r\n\r\n",
            )
            stream.close()
        assert [answer[9:12] for answer in answers] == ["200"] * 6 + ["503", "454"] * 2
        await settle()
        assert world.server.statistics().sessions == 3
        async with open_rtsp_client(world.url) as client:
            await client.describe()  # who only asks is not shut out
        await trio.sleep(70)  # nobody reports on the three
        assert world.server.statistics().sessions == 0
        async with open_rtsp_client(world.url, transport="udp") as client, client.play():
            assert world.server.statistics().sessions == 1


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_publisher_is_read_by_others(transport: str, autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        url = "rtsp://10.0.0.1:8554/new"

        async with open_rtsp_client(url, transport=transport) as writer:
            async with writer.record(AV) as publication:

                async def publish() -> None:
                    number = 0
                    while True:
                        for media in (0, 1):
                            await publication.send(media, [rtp(media, number + index) for index in range(10)])
                        number += 10
                        await trio.sleep(0.04)

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(publish)
                    async with open_rtsp_client(url, transport="tcp") as reader, reader.play() as playback:
                        packets = await take(playback, 500)
                        for media in (0, 1):
                            seen = numbers(packets, media)
                            assert seen == list(range(seen[0], seen[0] + len(seen)))
                        assert packets[-1].ntp is not None
                    nursery.cancel_scope.cancel()
        await settle()
        assert "/new" not in world.handler.streams
        assert world.server.statistics().sessions == 0


async def test_a_publisher_that_falls_silent_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world, open_rtsp_client("rtsp://10.0.0.1:8554/new", transport="udp") as writer:
        with trio.move_on_after(20):
            async with writer.record(AV) as publication:
                await publication.send(0, [rtp(0, 0)])
                await settle()
                assert "/new" in world.handler.streams
                world.cut()
                await trio.sleep(12)
                assert world.handler.closed == ["the publisher sends nothing"]
                assert "/new" not in world.handler.streams


async def test_a_path_has_one_publisher(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world, open_rtsp_client(world.url) as writer:
        with pytest.raises(ConnectionRefusedByPeer, match="403"):
            async with writer.record(AV):
                pass


async def test_a_wrong_password_takes_its_time_and_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(credentials={"me": "secret"}, offer_sha256=True) as world:
        good = world.url.replace("//", "//me:secret@")
        async with open_rtsp_client(good, transport="tcp") as client, client.play() as playback:
            await take(playback, 50)
            assert world.handler.opened[0].user == "me"
        waits = []
        for _ in range(3):
            began = trio.current_time()
            with pytest.raises(AuthenticationFailed, match="does not accept"):
                async with open_rtsp_client(world.url, username="me", password="guess") as client:
                    await client.describe()
            waits.append(trio.current_time() - began)
        assert waits[0] < waits[1] < waits[2]
        with pytest.raises(AuthenticationFailed, match="none were given"):
            async with open_rtsp_client(world.url) as client:
                await client.describe()


async def test_a_stream_that_ends_ends_its_readers(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        async with (
            open_rtsp_client(world.url, transport="tcp", read_timeout=2) as client,
            client.play() as playback,
        ):
            world.stream.close("that was all")
            with pytest.raises(PeerError):
                while await playback.receive_packets():
                    pass
        assert world.handler.closed == ["that was all"]


async def test_draining_sends_what_waits_and_lets_everybody_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world() as world:
        with pytest.raises(PeerError):
            async with open_rtsp_client(world.url, transport="tcp") as client, client.play() as playback:
                await take(playback, 100)
                await world.server.drain()
                while await playback.receive_packets():
                    pass
        assert world.server.statistics().sessions == 0
        with pytest.raises(ConnectionRefusedByPeer):
            async with open_rtsp_client(world.url) as client:
                await client.describe()


async def test_another_source_is_believed_after_two_packets_and_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(feeding=False) as world:
        async with open_rtsp_client(world.url, transport="udp") as client, client.play() as playback:

            def send(ssrc: int, number: int) -> None:
                packet = bytearray(rtp(0, number))
                packet[8:12] = ssrc.to_bytes(4, "big")
                world.stream._distribute(Batch(0, [bytes(packet)], is_rtcp=False))

            for number, ssrc in enumerate([1, 1, 1, 9, 1, 2, 2, 2]):
                send(ssrc, number)
                await trio.sleep(0.01)
            packets = await take(playback, 7)
            assert [packet.ssrc for packet in packets] == [1, 1, 1, 1, 2, 2, 2]
            assert isinstance(await event_of(client, SourceChanged), SourceChanged)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_formats_with_sources_of_their_own_are_received_side_by_side(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    medias = (Media(kind="video", formats=(AV.medias[0].formats[0], AV.medias[1].formats[0])),)
    reordering = LinkConditions(delay=0.02, reorder=0.1, reorder_by=0.01)
    async with open_world(feeding=False, conditions=reordering) as world:
        with use_network(world.server_host):
            stream = world.handler.streams["/two"] = ServerStream(Description(medias=medias))
        url = world.url.replace("live", "two")
        async with open_rtsp_client(url, transport=transport) as client, client.play() as playback:
            for number in range(100):
                # Our server gives a media one source, and this is past its books; gortsplib's does as here.
                for which in (0, 1):
                    packet = rtp(which, number + 30_000 * which)
                    stream._distribute(Batch(0, [packet], is_rtcp=False))
                await trio.sleep(0.004)
            report = SenderReport(ssrc=0x1001, ntp=ntp_from_unix(5_000_000), rtp_timestamp=0)
            stream._distribute(Batch(0, [report.encode()], is_rtcp=True))
            await settle()
            packets = await take(playback, 200)
            for which, first in ((0, 0), (1, 30_000)):
                mine = [packet.sequence for packet in packets if packet.ssrc == 0x1000 + which]
                assert mine == list(range(first, first + 100))
            media = playback.statistics().medias[0]
            assert (media.lost, media.late_or_duplicate, media.in_error) == (0, 0, 0)
            assert [(each.remote_ssrc, each.packets) for each in media.formats] == [
                (0x1000, 100),
                (0x1001, 100),
            ]
            stream._distribute(Batch(0, [rtp(0, 100), rtp(1, 30_100)], is_rtcp=False))
            one, other = await take(playback, 2)
            assert (one.ntp, other.ntp is None) == (None, False)
            stream.close()


class Faulty(NotingHandler):
    async def play(self, request: RtspRequest) -> Response | None:
        raise RuntimeError("a mistake of the application's")


async def test_a_handler_that_fails_is_a_500_and_no_more(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_world(handler=Faulty()) as world:
        with pytest.raises(ConnectionRefusedByPeer, match="500"):
            async with open_rtsp_client(world.url, transport="tcp") as client, client.play():
                pass
        assert "a mistake of the application's" in caplog.text
        async with open_rtsp_client(world.url) as client:
            await client.describe()


class Moved(NotingHandler):
    def __init__(self, locations: dict[str, str]) -> None:
        super().__init__()
        self.locations = locations

    async def describe(self, request: RtspRequest) -> object:  # type: ignore[override]
        location = self.locations.get(request.path)
        if location is not None:
            return Response(Status.MOVED_TEMPORARILY, fields={"Location": location})
        return await super().describe(request)


async def test_redirects_are_followed_but_not_in_circles(autojump_clock: trio.testing.MockClock) -> None:
    handler = Moved({"/a": "/b", "/b": "rtsp://10.0.0.1:8554/live", "/x": "/y", "/y": "/x"})
    async with open_world(handler=handler):
        async with open_rtsp_client("rtsp://10.0.0.1:8554/a") as client:
            await client.describe()
            assert client.url == "rtsp://10.0.0.1:8554/live"
        with pytest.raises(PeerError, match="without end"):
            async with open_rtsp_client("rtsp://10.0.0.1:8554/x") as client:
                await client.describe()


async def test_multicast_reaches_every_member(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(multicast_groups="239.5.0.0/24") as world:
        other = world.network.add_host("other", "10.0.0.3")
        async with open_rtsp_client(world.url, transport="multicast") as one, one.play() as playback:
            with use_network(other):
                async with open_rtsp_client(world.url, transport="multicast") as two, two.play() as second:
                    # Readers believe packets that come from where they connected to.
                    assert world.stream.group_source(0) == "10.0.0.1"
                    assert {packet.media for packet in await take(second, 100)} == {0, 1}
            packets = await take(playback, 500)
            seen = numbers(packets, 0)
            assert seen == list(range(seen[0], seen[0] + len(seen)))
        await settle()
        assert world.stream.group(0) is None


async def test_a_call_that_makes_no_sense_is_refused_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world, open_rtsp_client(world.url, transport="tcp") as client:
        async with client.play() as playback:
            with pytest.raises(UnsupportedOperation, match="no back channel"):
                await playback.send(0, [rtp(0, 0)])
            await playback.pause()
            with pytest.raises(UnsupportedOperation, match="PAUSE"):
                await playback.pause()


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
async def test_a_server_does_not_care_how_requests_are_cut(
    pieces: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_world(feeding=False) as world:
        stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())
        request = b"DESCRIBE rtsp://10.0.0.1:8554/live RTSP/1.0\r\nCSeq: 1\r\n\r\n"
        for start in range(0, len(request), pieces):
            await stream.send_all(request[start : start + pieces])
            await trio.sleep(0.01)
        assert (await stream.receive_some()).startswith(b"RTSP/1.0 200 OK\r\n")
        stream.close()
