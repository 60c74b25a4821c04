"""SRTP between client and server, on a network where everything can be read.

The keys travel over rtsp:// here, which both sides must allow: what is tried are the media.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from terzetto.errors import ConnectionRefusedByPeer, InvalidOption
from terzetto.net.stream import StreamOptions
from terzetto.primitives.datagrams import Address, Run
from terzetto.rtp.srtp import SrtpSender
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.core.media_keys import make_key
from terzetto.rtsp.server import serve_rtsp
from terzetto.rtsp.server.paths import PathHandler
from tests.simulation.rtsp_world import AV, World, open_world, rtp

SECURE: dict[str, Any] = {"srtp": True, "allow_readable_keys": True}


def datagrams_from_server(world: World) -> list[bytes]:
    world.network.settle()
    return [
        bytes(record.datagram)
        for record in world.network.trace.packets
        if record.source.host == "10.0.0.1" and len(record.datagram) > 500
    ]


@pytest.mark.parametrize("transport", ["tcp", "udp", "multicast"])
async def test_media_are_opened_and_nobody_else_can_read_them(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with (
        open_world(multicast_groups="239.1.0.0/24", **SECURE) as world,
        open_rtsp_client(world.url, transport=transport, allow_readable_keys=True) as client,
    ):
        description = await client.describe()
        assert all(media.is_secure for media in description.medias)
        async with client.play() as playback:
            assert playback.transport == transport
            packets = [await anext(playback) for _ in range(500)]
            for packet in packets:
                assert bytes(packet.payload[4:]) == bytes(len(packet.payload) - 4)
            assert playback.statistics().lost == 0
            assert [media.errors for media in playback.statistics().medias] == [{}, {}]
            if transport != "tcp":
                seen = datagrams_from_server(world)
                assert len(seen) > 400
                assert not any(bytes(100) in datagram for datagram in seen)


async def test_who_comes_late_is_told_how_far_the_numbers_have_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(feeding=False, **SECURE) as world:
        knobs: dict[str, Any] = {"transport": "udp", "allow_readable_keys": True}

        async def read(first: int) -> None:
            async with open_rtsp_client(world.url, **knobs) as client, client.play() as playback:
                for number in range(first, first + 20):
                    world.stream.write(0, [rtp(0, number)])
                    assert (await anext(playback)).payload[:4] == number.to_bytes(4, "big")

        await read(0)
        # Nobody reads while the numbers wrap twice.
        for number in range(20, 150_000, 10_000):
            world.stream.write(0, [rtp(0, number)])
        await read(150_000)
        await read(150_020)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_publisher_encrypts_and_others_read(
    transport: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_world(feeding=False, **SECURE) as world:
        url = "rtsp://10.0.0.1:8554/up"
        async with (
            open_rtsp_client(url, transport=transport, srtp=True, allow_readable_keys=True) as writer,
            writer.record(AV) as publication,
        ):
            await publication.send(0, [rtp(0, 0)])
            await trio.sleep(1)
            async with (
                open_rtsp_client(url, transport=transport, allow_readable_keys=True) as reader,
                reader.play() as playback,
            ):
                for number in range(1, 50):
                    await publication.send(0, [rtp(0, number)])
                    packet = await anext(playback)
                    assert packet.payload[:4] == number.to_bytes(4, "big")
            session = world.handler.opened[0]
            assert session.received().medias[0].packets == 50
            assert session.received().in_error == 0


async def test_plain_rtp_is_refused_by_udp_beside_encrypted_media_only_where_it_would_leak(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_world(feeding=False, **SECURE) as world:
        stream = await world.client_host.open_tcp_stream(Address("10.0.0.1", 8554), StreamOptions())

        async def setup(transport: str, key: str = "") -> bytes:
            head = f"SETUP {world.url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\nTransport: {transport}\r\n{key}\r\n"
            await stream.send_all(head.encode())
            return bytes(await stream.receive_some())

        answer = await setup("RTP/SAVP;unicast;client_port=5000-5001")
        assert answer.startswith(b"RTSP/1.0 463 Key Management Failure")
        answer = await setup("RTP/SAVP;unicast;client_port=5000-5001", "KeyMgmt: prot=mikey;data=AAAA\r\n")
        assert answer.startswith(b"RTSP/1.0 463")
        assert world.server.statistics().sessions == 0
        answer = await setup("RTP/AVP/TCP;unicast;interleaved=0-1")
        assert answer.startswith(b"RTSP/1.0 200")
        assert b"KeyMgmt" not in answer
        stream.close()


async def test_srtp_is_refused_where_it_is_not_offered(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        with pytest.raises(ConnectionRefusedByPeer, match="461"):
            async with (
                open_rtsp_client("rtsp://10.0.0.1:8554/up", srtp=True, allow_readable_keys=True) as writer,
                writer.record(AV),
            ):
                pass
        assert world.server.statistics().sessions == 0


async def test_keys_are_not_sent_readable_unless_that_is_wanted() -> None:
    with pytest.raises(InvalidOption, match="keys readable"):
        await serve_rtsp(PathHandler(), "rtsp://127.0.0.1:0", srtp=True)


async def test_forged_packets_reach_nobody(autojump_clock: trio.testing.MockClock) -> None:
    async with (
        open_world(**SECURE) as world,
        open_rtsp_client(world.url, transport="udp", allow_readable_keys=True) as client,
        client.play() as playback,
    ):
        await anext(playback)
        source = next(
            record
            for record in world.network.trace.packets
            if record.source.host == "10.0.0.1" and len(record.datagram) > 500
        )
        forger = SrtpSender(make_key(bytes))
        endpoint = world.server.udp
        assert endpoint is not None
        ssrc = int.from_bytes(source.datagram[8:12], "big")
        forged = [rtp(0, 7, 600)[:8] + ssrc.to_bytes(4, "big") + bytes(600), forger.protect(rtp(0, 9, 600))]
        endpoint.endpoints[0].send_nowait([Run(source.destination, forged)])
        packets = [await anext(playback) for _ in range(200)]
        assert all(bytes(packet.payload[4:]) == bytes(len(packet.payload) - 4) for packet in packets)
        assert sum(playback.statistics().medias[0].errors.values()) == 2
        assert playback.statistics().lost == 0
