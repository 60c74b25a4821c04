"""SRT against Debian's srt-live-transmit and ffmpeg: every byte, both directions, both roles."""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncGenerator
from functools import partial

import pytest
import trio

from terzetto.errors import AuthenticationFailed, ConnectionRefusedByPeer, PeerTimedOut
from terzetto.gateway.impairment import open_impairment_proxy
from terzetto.primitives.impairment import LinkConditions
from terzetto.srt.api import open_srt_listener, open_srt_stream
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.events import ConnectionRefused, SrtEvent
from terzetto.srt.listening import SrtRefusal
from terzetto.srt.stream import SrtStream
from terzetto.srt.wire.key_material import KmState
from tests.interop.srt_peers import CHUNK, ffmpeg, free_port, running, tool, wait_bound

pytestmark = pytest.mark.interop

DATA = random.Random(20).randbytes(CHUNK * 1200)
DIGEST = hashlib.sha256(DATA).hexdigest()

# 1.5.1 does not decode what stands in its URLs, so a passphrase for both sides has no blanks.
SECURITY = [
    "latency=300",
    "latency=300&passphrase=correct-horse-battery&pbkeylen=16",
    "latency=300&passphrase=correct-horse-battery&pbkeylen=24",
    "latency=300&passphrase=correct-horse-battery&pbkeylen=32",
]


async def trickle(write: trio.abc.SendStream | SrtStream) -> None:
    for start in range(0, len(DATA), 4 * CHUNK):
        await write.send_all(DATA[start : start + 4 * CHUNK])
        await trio.sleep(0.003)


async def send_to_tool(stream: SrtStream, process: trio.Process) -> None:
    """Send everything, and check that the tool writes all of it.

    Its output is buffered, and asked to end it drops what it has not read: so more follows until all is out.
    """
    assert process.stdout is not None
    source = process.stdout
    is_out = trio.Event()

    async def read() -> None:
        assert await digest_of(source) == DIGEST
        is_out.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trickle(stream)
        while not is_out.is_set():
            await stream.send_all(bytes(CHUNK))
            await trio.sleep(0.01)
    process.terminate()


async def feed(process: trio.Process, *, padding: int = 0) -> None:
    """Give the tool everything, after it has had time to notice that it is connected.

    libsrt does not repair its last packets when nothing follows them; on a lossy way *padding* packets do.
    """
    assert process.stdin is not None
    await trio.sleep(0.3)
    await trickle(process.stdin)
    for _ in range(padding):
        await process.stdin.send_all(bytes(CHUNK))
        await trio.sleep(0.01)


async def digest_of(stream: SrtStream | trio.abc.ReceiveStream) -> str:
    """The digest of as many bytes as were sent; padding that follows them does not count."""
    digest = hashlib.sha256()
    size = 0
    async for chunk in stream:
        digest.update(chunk[: len(DATA) - size])
        size = min(size + len(chunk), len(DATA))
        if size >= len(DATA):
            break
    assert size == len(DATA)
    return digest.hexdigest()


async def first_refusal(events: AsyncGenerator[SrtEvent, None]) -> ConnectionRefused:
    async for event in events:
        if isinstance(event, ConnectionRefused):
            await events.aclose()
            return event
    raise AssertionError("nobody was refused")


@pytest.mark.parametrize("query", SECURITY)
@pytest.mark.parametrize("tool_calls", [True, False])
async def test_what_srt_live_transmit_sends_arrives(query: str, tool_calls: bool) -> None:
    port = free_port()
    with trio.fail_after(30):
        if tool_calls:
            async with (
                open_srt_listener(f"srt://@127.0.0.1:{port}?{query}") as listener,
                running(tool("file://con", f"srt://127.0.0.1:{port}?{query}&streamid=live/cam")) as process,
                trio.open_nursery() as nursery,
            ):
                stream = await listener.accept()
                assert stream.stream_id == "live/cam"
                assert stream.peer_version == 0x010501
                nursery.start_soon(feed, process)
                assert await digest_of(stream) == DIGEST
        else:
            async with running(tool("file://con", f"srt://:{port}?mode=listener&{query}")) as process:
                await wait_bound(port)
                async with (
                    open_srt_stream(f"srt://127.0.0.1:{port}?{query}") as stream,
                    trio.open_nursery() as nursery,
                ):
                    nursery.start_soon(feed, process)
                    assert await digest_of(stream) == DIGEST
        secured = KmState.SECURED if "passphrase" in query else KmState.UNSECURED
        assert stream.receiving_security is secured
        assert stream.latency == 0.3


@pytest.mark.parametrize("query", SECURITY)
@pytest.mark.parametrize("tool_calls", [True, False])
async def test_what_we_send_arrives_at_srt_live_transmit(query: str, tool_calls: bool) -> None:
    port = free_port()

    with trio.fail_after(30):
        if tool_calls:
            async with (
                open_srt_listener(f"srt://@127.0.0.1:{port}?{query}") as listener,
                running(tool(f"srt://127.0.0.1:{port}?{query}", "file://con")) as process,
            ):
                await send_to_tool(await listener.accept(), process)
        else:
            async with running(tool(f"srt://:{port}?mode=listener&{query}", "file://con")) as process:
                await wait_bound(port)
                async with open_srt_stream(f"srt://127.0.0.1:{port}?{query}") as stream:
                    await send_to_tool(stream, process)


@pytest.mark.parametrize("tool_has", ["another-passphrase", ""])
async def test_a_wrong_or_missing_passphrase_is_said_on_our_side(tool_has: str) -> None:
    port = free_port()
    query = f"&passphrase={tool_has}" if tool_has else ""
    with trio.fail_after(20):
        async with running(tool(f"srt://:{port}?mode=listener{query}", "file://con")):
            await wait_bound(port)
            with pytest.raises(AuthenticationFailed, match="passphrase") as caught:
                async with open_srt_stream(f"srt://127.0.0.1:{port}?passphrase=correct-horse-battery"):
                    pass  # pragma: no cover
    assert isinstance(caught.value, ConnectionRefusedByPeer)
    assert caught.value.code == (10 if tool_has else 11)


@pytest.mark.parametrize("theirs", ["another-passphrase", ""])
async def test_a_caller_with_a_wrong_or_missing_passphrase_is_refused_and_named(theirs: str) -> None:
    port = free_port()
    query = f"&passphrase={theirs}" if theirs else ""
    with trio.fail_after(20):
        async with open_srt_listener(f"srt://@127.0.0.1:{port}?passphrase=correct-horse-battery") as listener:
            events = listener.events()
            async with running(tool(f"srt://127.0.0.1:{port}?streamid=who{query}", "file://con")):
                refused = await first_refusal(events)
    assert refused.code == (10 if theirs else 11)
    assert refused.stream_id == "who"


async def test_authorize_sees_the_stream_id_and_chooses_or_refuses() -> None:
    port = free_port()
    seen: list[ConnectionRequest] = []

    async def authorize(request: ConnectionRequest) -> SrtRefusal | None:
        await trio.sleep(0.4)  # longer than the caller's patience between repeats
        seen.append(request)
        return None if request.name.user == "bob" else SrtRefusal(1403, "only bob")

    with trio.fail_after(30):
        async with open_srt_listener(f"srt://@127.0.0.1:{port}", authorize=authorize) as listener:
            events = listener.events()
            url = f"srt://127.0.0.1:{port}?streamid="
            async with running(tool("file://con", url + "#!::u=eve,r=cam")):
                refused = await first_refusal(events)
            assert (refused.code, refused.reason) == (1403, "only bob")
            async with (
                running(tool("file://con", url + "#!::u=bob,r=cam,m=publish")) as process,
                trio.open_nursery() as nursery,
            ):
                stream = await listener.accept()
                nursery.start_soon(feed, process)
                assert await digest_of(stream) == DIGEST
    assert stream.stream_name.resource == "cam"
    assert [request.name.user for request in seen[-1:]] == ["bob"]
    assert {request.name.user for request in seen} == {"eve", "bob"}


@pytest.mark.parametrize("we_send", [True, False])
async def test_a_lossy_way_to_and_from_srt_live_transmit_loses_nothing(we_send: bool) -> None:
    """5 % of everything is lost in both directions, encrypted, keys changing on our side."""
    port = free_port()
    query = "latency=800&passphrase=correct-horse-battery"
    conditions = LinkConditions(delay=0.01, loss=0.05)
    direction = (f"srt://:{port}?mode=listener&{query}", "file://con")
    async with (
        open_impairment_proxy(
            ("127.0.0.1", 0), ("127.0.0.1", port), up=conditions, down=conditions, seed=5
        ) as proxy,
        running(tool(*(direction if we_send else direction[::-1]))) as process,
        trio.open_nursery() as nursery,
    ):
        with trio.fail_after(40):
            await wait_bound(port)
            url = f"srt://{proxy.listen_address}?{query}&kmrefreshrate=500&kmpreannounce=100"
            async with open_srt_stream(url, connect_timeout=10.0) as stream:
                if we_send:
                    await send_to_tool(stream, process)
                    assert stream.statistics().retransmitted > 20
                else:
                    nursery.start_soon(partial(feed, process, padding=50))
                    assert await digest_of(stream) == DIGEST
                    assert stream.statistics().recovered > 20


async def test_a_closed_port_is_told_from_silence() -> None:
    with pytest.raises(PeerTimedOut, match="nobody listens"):
        async with open_srt_stream(f"srt://127.0.0.1:{free_port()}?conntimeo=500"):
            pass  # pragma: no cover


FFMPEG_QUERY = "latency=300000&passphrase=correct-horse-battery&pbkeylen=32"
OUR_QUERY = "latency=300&passphrase=correct-horse-battery"


def picture(*output: str) -> list[str]:
    source = ("-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-t", "3")
    return ffmpeg("-re", *source, "-c:v", "mpeg2video", "-b:v", "1M", "-f", "mpegts", *output)


@pytest.mark.parametrize("ffmpeg_calls", [True, False])
async def test_a_transport_stream_from_ffmpeg_arrives_whole(ffmpeg_calls: bool) -> None:
    port = free_port()
    mode = "caller" if ffmpeg_calls else "listener"
    command = picture(f"srt://127.0.0.1:{port}?mode={mode}&{FFMPEG_QUERY}")
    media = b""
    with trio.fail_after(40):
        if ffmpeg_calls:
            async with (
                open_srt_listener(f"srt://@127.0.0.1:{port}?{OUR_QUERY}") as listener,
                running(command),
            ):
                stream = await listener.accept()
                async for chunk in stream:
                    media += chunk
        else:
            async with running(command):
                await wait_bound(port)
                async with open_srt_stream(f"srt://127.0.0.1:{port}?{OUR_QUERY}") as stream:
                    async for chunk in stream:
                        media += chunk
    assert stream.statistics().unrecovered == 0
    assert len(media) > 100_000
    assert len(media) % 188 == 0
    assert media[::188] == b"G" * (len(media) // 188)
    assert counters_are_continuous(media)


def counters_are_continuous(media: bytes) -> bool:
    """Whether no transport packet is missing: each stream inside counts its own modulo 16."""
    expected: dict[int, int] = {}
    for start in range(0, len(media), 188):
        pid = int.from_bytes(media[start + 1 : start + 3], "big") & 0x1FFF
        flags = media[start + 3]
        if pid == 0x1FFF or not flags & 0x10:
            continue
        if expected.get(pid, flags & 15) != flags & 15:
            return False
        expected[pid] = (flags + 1) & 15
    return True


@pytest.mark.parametrize("ffmpeg_calls", [True, False])
async def test_ffmpeg_decodes_what_we_send(ffmpeg_calls: bool) -> None:
    port = free_port()
    made = await trio.run_process([word for word in picture("-") if word != "-re"], capture_stdout=True)
    mode = "caller" if ffmpeg_calls else "listener"
    source = f"srt://127.0.0.1:{port}?mode={mode}&{FFMPEG_QUERY}"
    command = ffmpeg("-i", source, "-c", "copy", "-f", "framemd5", "-")
    frames = b""

    async def read(process: trio.Process) -> None:
        nonlocal frames
        assert process.stdout is not None
        async for chunk in process.stdout:
            frames += chunk

    async def send(stream: SrtStream) -> None:
        for start in range(0, len(made.stdout), CHUNK):
            await stream.send_all(made.stdout[start : start + CHUNK])
            await trio.sleep(0.004)
        await stream.aclose()

    with trio.fail_after(60):
        if ffmpeg_calls:
            async with (
                open_srt_listener(f"srt://@127.0.0.1:{port}?{OUR_QUERY}") as listener,
                running(command) as process,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(read, process)
                await send(await listener.accept())
        else:
            async with running(command) as process, trio.open_nursery() as nursery:
                nursery.start_soon(read, process)
                await wait_bound(port)
                async with open_srt_stream(f"srt://127.0.0.1:{port}?{OUR_QUERY}") as stream:
                    await send(stream)
    lines = [line for line in frames.splitlines() if line[:1].isdigit()]
    assert len(lines) == 75
