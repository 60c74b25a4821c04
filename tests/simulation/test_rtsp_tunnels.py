"""RTSP through HTTP, WebSockets and a proxy, and what strangers may try on that door."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
import trio
import trio.testing

from terzetto.errors import AuthenticationFailed, ConnectionRefusedByPeer, InvalidOption, WrongProtocol
from terzetto.net.simulated import LinkConditions
from terzetto.net.stream import ByteStream, StreamOptions
from terzetto.primitives.datagrams import Address
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.wire.websocket import Opcode, WebSocketDecoder, encode_websocket_frame
from tests.simulation.rtsp_world import AV, World, open_world, rtp

SERVER = Address("10.0.0.1", 8554)
OPTIONS = b"OPTIONS rtsp://10.0.0.1:8554/live RTSP/1.0\r\nCSeq: 1\r\n\r\n"


async def door(world: World) -> ByteStream:
    return await world.client_host.open_tcp_stream(SERVER, StreamOptions())


async def hear(stream: ByteStream, until: bytes) -> bytes:
    data = b""
    with trio.fail_after(20):
        while until not in data:
            more = await stream.receive_some()
            if not more:
                break
            data += more
    return data


def get(cookie: str) -> bytes:
    return f"GET /live HTTP/1.0\r\nx-sessioncookie: {cookie}\r\n\r\n".encode()


def post(cookie: str) -> bytes:
    return f"POST /live HTTP/1.0\r\nx-sessioncookie: {cookie}\r\nContent-Length: 32767\r\n\r\n".encode()


@pytest.mark.parametrize("tunnel", ["http", "websocket"])
async def test_media_come_through_a_tunnel_both_ways(
    tunnel: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_world() as world:
        async with open_rtsp_client(world.url, tunnel=tunnel) as client, client.play() as playback:
            assert playback.transport == "tcp"
            seen = [await anext(playback) for _ in range(500)]
            assert playback.statistics().lost == 0
            assert {packet.media for packet in seen} == {0, 1}
            async with (
                open_rtsp_client("rtsp://10.0.0.1:8554/up", tunnel=tunnel) as writer,
                writer.record(AV) as publication,
            ):
                for number in range(50):
                    await publication.send(0, [rtp(0, number)])
                async with open_rtsp_client("rtsp://10.0.0.1:8554/up") as reader, reader.play() as copy:
                    for number in range(50, 60):
                        await publication.send(0, [rtp(0, number)])
                    assert (await anext(copy)).media == 0
        await trio.sleep(1)
        assert world.server.statistics().connections == 0
        assert world.server.statistics().sessions == 0


@pytest.mark.parametrize("tunnel", ["http", "websocket"])
async def test_passwords_are_proved_inside_the_tunnel(
    tunnel: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_world(credentials={"me": "secret"}) as world:
        url = world.url.replace("//", "//me:secret@")
        async with open_rtsp_client(url, tunnel=tunnel) as client, client.play() as playback:
            await anext(playback)
        with pytest.raises(AuthenticationFailed):
            async with open_rtsp_client(url.replace("secret", "guess"), tunnel=tunnel) as client:
                await client.describe()


async def proxy(world: World, listening: trio.Event, *, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
    """Connects whoever asks to the server."""
    (listener,) = await world.client_host.open_tcp_listeners(Address("10.0.0.2", 3128), StreamOptions())
    listening.set()
    async with trio.open_nursery() as nursery:
        while True:
            client = await listener.accept()
            head = await hear(client, b"\r\n\r\n")
            assert head.startswith(b"CONNECT 10.0.0.1:8554 HTTP/1.1\r\n")
            await client.send_all(answer)
            server = await door(world)
            nursery.start_soon(pump, client, server)
            nursery.start_soon(pump, server, client)


async def pump(source: ByteStream, target: ByteStream) -> None:
    try:
        async for data in source:
            await target.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        source.close()
        target.close()


@pytest.mark.parametrize("tunnel", ["none", "http", "websocket"])
async def test_a_proxy_connects_us(tunnel: str, autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        listening = trio.Event()
        world.nursery.start_soon(proxy, world, listening)
        await listening.wait()
        async with (
            open_rtsp_client(world.url, tunnel=tunnel, proxy="http://10.0.0.2:3128") as client,
            client.play() as playback,
        ):
            assert playback.transport == "tcp"
            await anext(playback)


async def test_a_proxy_that_does_not_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world() as world:
        listening = trio.Event()

        async def refuse() -> None:
            await proxy(world, listening, answer=b"HTTP/1.1 403 Forbidden\r\n\r\n")

        world.nursery.start_soon(refuse)
        await listening.wait()
        with pytest.raises(ConnectionRefusedByPeer, match=r"proxy does not connect us .* 403 Forbidden"):
            async with open_rtsp_client(world.url, proxy="10.0.0.2:3128") as client:
                await client.describe()


def test_options_that_cannot_work_are_refused() -> None:
    with pytest.raises(InvalidOption, match="only TCP goes through"):
        trio.run(_describe, {"tunnel": "http", "transport": "udp"})
    with pytest.raises(InvalidOption, match="proxy is 'nonsense'"):
        trio.run(_describe, {"proxy": "nonsense"})


async def _describe(knobs: dict[str, Any]) -> None:
    async with open_rtsp_client("rtsp://127.0.0.1:9/x", **knobs) as client:
        await client.describe()


async def test_a_server_without_tunnels_says_so(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(tunnels=False) as world:
        for tunnel in ("http", "websocket"):
            with pytest.raises((ConnectionRefusedByPeer, WrongProtocol), match="without the tunnel"):
                async with open_rtsp_client(world.url, tunnel=tunnel) as client:
                    await client.describe()


async def test_a_client_may_go_on_by_another_post(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        down, up, another = [await door(world) for _ in range(3)]
        await down.send_all(get("abc"))
        assert b"200 OK" in await hear(down, b"\r\n\r\n")
        half = b64encode(OPTIONS)[:30]
        await up.send_all(post("abc") + half)
        await trio.sleep(0.5)
        await another.send_all(post("abc") + b64encode(OPTIONS)[30:])
        assert b"Public:" in await hear(down, b"\r\n\r\n")
        for stream in (down, up, another):
            stream.close()


async def test_what_does_not_belong_together_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        thief_host = world.network.add_host("thief", "10.0.0.3")
        world.network.connect(world.server_host, thief_host, LinkConditions())
        down = await door(world)
        await down.send_all(get("abc"))
        await hear(down, b"\r\n\r\n")
        for data in (post("abd"), get("abc"), get(""), post("x" * 65), b"GET / HTTP/1.1\r\nbroken\r\n\r\n"):
            stream = await door(world)
            await stream.send_all(data)
            assert (await hear(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 40")
            stream.close()
        thief = await thief_host.open_tcp_stream(SERVER, StreamOptions())
        await thief.send_all(post("abc"))
        assert (await hear(thief, b"\r\n\r\n")).startswith(b"HTTP/1.1 400")
        thief.close()
        await trio.sleep(6)
        assert await down.receive_some() == b""  # it waited for its POST long enough
        assert world.server.statistics().connections == 0


async def test_endless_heads_and_silence_are_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        streams = [await door(world) for _ in range(3)]
        await streams[0].send_all(b"GE")
        await streams[1].send_all(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10)
        await streams[2].send_all(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000)
        await trio.sleep(1)
        assert world.server.statistics().connections == 2
        await trio.sleep(11)
        assert world.server.statistics().connections == 0
        for stream in streams:
            stream.close()


def upgrade(*more: str) -> bytes:
    lines = [
        "GET / HTTP/1.1",
        "Host: 10.0.0.1:8554",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *more,
    ]
    return "\r\n".join((*lines, "", "")).encode()


async def test_a_websocket_is_held_to_its_rules(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        stream = await door(world)
        await stream.send_all(upgrade("Sec-WebSocket-Protocol: x, rtsp.onvif.org"))
        head = await hear(stream, b"\r\n\r\n")
        assert b"101" in head
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert b"rtsp.onvif.org" in head
        decoder = WebSocketDecoder(is_server=False)
        mask = b"abcd"
        await stream.send_all(encode_websocket_frame(Opcode.PING, b"hello", mask=mask))
        assert decoder.decode(bytes(await stream.receive_some())) == [(Opcode.PONG, b"hello")]
        for at in (0, 20):  # the borders of messages mean nothing
            part = OPTIONS[at : at + 20] if at == 0 else OPTIONS[20:]
            await stream.send_all(encode_websocket_frame(Opcode.BINARY, part, mask=mask))
        ((opcode, payload),) = decoder.decode(bytes(await stream.receive_some()))
        assert opcode is Opcode.BINARY
        assert b"Public:" in payload
        await stream.send_all(encode_websocket_frame(Opcode.TEXT, b"no", mask=mask))
        assert decoder.decode(bytes(await stream.receive_some())) == [
            (Opcode.CLOSE, (1003).to_bytes(2, "big"))
        ]
        stream.close()
        await trio.sleep(1)
        assert world.server.statistics().connections == 0


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (upgrade("Origin: http://elsewhere.example"), 403),
        (upgrade("Sec-WebSocket-Protocol: chat"), 400),
        (upgrade().replace(b"Version: 13", b"Version: 8"), 400),
    ],
)
async def test_a_websocket_that_should_not_be_is_refused(
    request_: bytes, code: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_world(feeding=False) as world:
        stream = await door(world)
        await stream.send_all(request_)
        assert (await hear(stream, b"\r\n\r\n")).startswith(f"HTTP/1.1 {code}".encode())
        stream.close()


async def test_what_is_no_base64_ends_the_tunnel(autojump_clock: trio.testing.MockClock) -> None:
    async with open_world(feeding=False) as world:
        down, up = await door(world), await door(world)
        await down.send_all(get("abc"))
        await hear(down, b"\r\n\r\n")
        await up.send_all(post("abc") + b"!!!!")
        await trio.sleep(1)
        assert world.server.statistics().connections == 0
        down.close()
        up.close()
