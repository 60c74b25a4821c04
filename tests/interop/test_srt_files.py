"""Files and messages, to and from Debian's srt-file-transmit and srt-live-transmit, and ffmpeg in file mode."""

from __future__ import annotations

import hashlib
import random
import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio

from terzetto.errors import PeerError
from terzetto.srt.api import open_srt_listener, open_srt_stream
from terzetto.srt.files import receive_file, send_file
from terzetto.srt.stream import SrtStream
from tests.interop.srt_peers import CHUNK, ffmpeg, free_port, lossy_link, running, wait_bound
from tests.interop.srt_peers import tool as live

pytestmark = pytest.mark.interop

SIZE = 3_000_001
FILE = "transtype=file&conntimeo=10000"
SECRET = FILE + "&passphrase=correct-horse-battery&pbkeylen=32"


def lossy_way(port: int, loss: float = 0.04) -> AbstractAsyncContextManager[int]:
    return lossy_link(("127.0.0.1", 0), ("127.0.0.1", 0), ("127.0.0.1", port), loss=loss)


def tool(*arguments: str) -> list[str]:
    path = shutil.which("srt-file-transmit")
    assert path is not None, "srt-file-transmit is missing (Debian: srt-tools)"
    return [path, "-q", "-loglevel", "fatal", *arguments]


def make(folder: Path, size: int = SIZE) -> Path:
    path = folder / "picture.bin"
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def whole(path: Path, size: int = SIZE) -> None:
    """Wait until the tool has written so much."""
    while not path.exists() or path.stat().st_size < size:  # noqa: ASYNC110, ASYNC240 -- of another process
        await trio.sleep(0.02)


@pytest.mark.parametrize("query", [FILE, SECRET])
@pytest.mark.parametrize("loss", [0.0, 0.05], ids=["clean", "lossy"])
async def test_a_file_for_srt_file_transmit(tmp_path: Path, query: str, loss: float) -> None:
    port = free_port()
    source, target = make(tmp_path), tmp_path / "out" / "picture.bin"
    target.parent.mkdir()
    async with (
        lossy_way(port, loss) as way,
        running(tool(f"srt://:{port}?mode=listener&{query}", f"file://{target}")) as process,
    ):
        await wait_bound(port)
        with trio.fail_after(40):
            async with open_srt_stream(f"srt://127.0.0.1:{way}?{query}&streamid=picture.bin") as stream:
                sent = await send_file(stream, source)
            await whole(target)
            await process.wait()
    assert sent.sha256 == digest(target) == digest(source)
    assert stream.statistics().retransmitted > 50 or not loss


@pytest.mark.parametrize("query", [FILE, SECRET])
@pytest.mark.parametrize("loss", [0.0, 0.05], ids=["clean", "lossy"])
async def test_a_file_from_srt_file_transmit(tmp_path: Path, query: str, loss: float) -> None:
    # The tool gives its socket the file's name only after it has begun to call, which on a busy machine is too late by
    # chance; from the URL it has it before.
    # FileCC slows down at every loss, so a lossy way takes a small file.
    source, folder = make(tmp_path, SIZE // 10 if loss else SIZE), tmp_path / "in"
    folder.mkdir()
    with trio.fail_after(60):
        async with (
            open_srt_listener(f"srt://@127.0.0.1:0?{query}") as listener,
            lossy_way(listener.local_address.port, loss) as way,
            running(
                tool(f"file://{source}", f"srt://127.0.0.1:{way}?mode=caller&{query}&streamid=picture.bin")
            ),
        ):
            stream = await listener.accept()
            received = await receive_file(stream, folder)
    assert received.path == folder / "picture.bin", "the name is in the stream id"
    assert received.sha256 == digest(source) == digest(received.path)
    assert stream.statistics().recovered > 0 or not loss


@pytest.mark.parametrize("query", ["transtype=file&messageapi=1", "transtype=file&messageapi=0"])
async def test_messages_and_bytes_from_srt_live_transmit(query: str) -> None:
    data = random.Random(8).randbytes(CHUNK * 100)
    with trio.fail_after(40):
        async with (
            open_srt_listener(f"srt://@127.0.0.1:0?{query}") as listener,
            lossy_way(listener.local_address.port, 0.1) as way,
            running(live("file://con", f"srt://127.0.0.1:{way}?{query}")) as process,
        ):
            stream = await listener.accept()
            assert process.stdin is not None
            await trio.sleep(0.5)  # what the tool reads before it has noticed its peer it throws away
            await process.stdin.send_all(data)
            got: list[bytes] = []
            while sum(map(len, got)) < len(data):
                if stream.is_byte_stream:
                    got.append(await stream.receive_some())
                else:
                    message = await stream.receive_message()
                    assert len(message.payload) <= CHUNK
                    assert not message.in_order, "the tool lets its messages overtake each other"
                    got.append(bytes(message.payload))
            assert b"".join(got if stream.is_byte_stream else sorted(got, key=data.index)) == data
            assert stream.statistics().recovered > 0


async def test_messages_to_srt_live_transmit() -> None:
    query, port = "transtype=file&messageapi=1", free_port()
    sent = [random.Random(size).randbytes(size) for size in (1, 1316, 188, 700) * 40]
    whole = b"".join(sent)
    got = b""

    async def send(stream: SrtStream) -> None:
        for message in sent:
            await stream.send_message(message)
        while True:  # its output is buffered: what follows pushes the rest out
            await stream.send_message(bytes(1316))
            await trio.sleep(0.01)

    with trio.fail_after(40):
        async with running(live(f"srt://:{port}?mode=listener&{query}", "file://con")) as process:
            await wait_bound(port)
            async with (
                lossy_way(port) as way,
                open_srt_stream(f"srt://127.0.0.1:{way}?{query}&linger=0&conntimeo=10000") as stream,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(send, stream)
                assert process.stdout is not None
                async for chunk in process.stdout:
                    got += chunk
                    if len(got) >= len(whole):
                        break
                nursery.cancel_scope.cancel()
    assert got[: len(whole)] == whole
    assert stream.statistics().retransmitted > 0


async def test_ffmpeg_in_file_mode_both_ways() -> None:
    """What ffmpeg sends is what it writes to a file, and what another reads is what it reads of that file."""
    query = "transtype=file"
    made_by = (
        *("-f", "lavfi", "-i", "testsrc=size=320x240:rate=25", "-t", "2", "-bitexact", "-threads", "1"),
        *("-c:v", "mpeg2video", "-f", "mpegts"),
    )
    read_as = ("-c", "copy", "-f", "framemd5", "-")
    frames = b""
    port = free_port()
    made = b""
    with trio.fail_after(60):
        async with open_srt_listener(f"srt://@127.0.0.1:0?{query}") as listener:
            async with (
                lossy_way(listener.local_address.port) as way,
                running(ffmpeg(*made_by, f"srt://127.0.0.1:{way}?{query}")),
            ):
                stream = await listener.accept()
                async for chunk in stream:
                    made += chunk
        command = ffmpeg("-i", f"srt://127.0.0.1:{port}?mode=listener&{query}", *read_as)
        async with running(command) as process:
            await wait_bound(port)
            async with (
                lossy_way(port) as way,
                open_srt_stream(f"srt://127.0.0.1:{way}?{query}&conntimeo=10000") as stream,
            ):
                await stream.send_all(made)
                await stream.wait_delivered()
            assert process.stdout is not None
            async for chunk in process.stdout:
                frames += chunk
        file = await trio.run_process(ffmpeg(*made_by, "-"), capture_stdout=True)
        read = await trio.run_process(ffmpeg("-i", "-", *read_as), stdin=made, capture_stdout=True)
    assert len(made) > 100_000
    assert hashlib.sha256(made).digest() == hashlib.sha256(file.stdout).digest()
    assert frames == read.stdout
    assert len([line for line in frames.splitlines() if line[:1].isdigit()]) == 50


async def test_a_mode_that_differs_is_refused_with_the_reason() -> None:
    port = free_port()
    with trio.fail_after(20):
        async with running(tool(f"srt://:{port}?mode=listener&{FILE}", "file:///dev/null")):
            await wait_bound(port)
            with pytest.raises(PeerError, match="refused"):
                async with open_srt_stream(f"srt://127.0.0.1:{port}"):
                    pass  # pragma: no cover
