"""Version 4 of the handshake with Debian's libsrt: both roles, both directions of data, clear, encrypted and lossy."""

from __future__ import annotations

import hashlib
import random
import sys
from contextlib import AbstractAsyncContextManager

import attrs
import pytest
import trio

from terzetto.srt.api import open_srt_listener, open_srt_stream
from terzetto.srt.stream import SrtStream
from terzetto.srt.wire.handshake import DATAGRAMS, INDUCTION, Handshake
from terzetto.srt.wire.key_material import KmState
from tests.interop.srt_peers import CHUNK, free_port, lossy_link, running, wait_bound

pytestmark = pytest.mark.interop

COUNT = 300
DATA = random.Random(4).randbytes(CHUNK * COUNT)
DIGEST = hashlib.sha256(DATA).hexdigest()
LATENCY = 600
SECRET = "correct-horse-battery"

# What is sent in the clear takes the same way but for the keys, so once for each direction is enough.
HARD = (SECRET, 0.05)
CLEAR = ("", 0.0)


def peer(role: str, direction: str, port: int, secret: str) -> list[str]:
    arguments = [role, direction, str(port), str(LATENCY), secret or "-", str(len(DATA))]
    return [sys.executable, "-m", "tests.interop.srt_v4_peer", *arguments]


def ours(secret: str) -> str:
    return f"latency={LATENCY}&conntimeo=10000" + (f"&passphrase={secret}" if secret else "")


def in_the_past(target: int, *, loss: float) -> AbstractAsyncContextManager[int]:
    """A port from which datagrams reach *target*, where a listener's version reads 4; some are lost on the way."""
    return lossy_link(("127.0.0.1", 0), ("127.0.0.1", 0), ("127.0.0.1", target), loss=loss, change=aged)


def aged(packet: bytes) -> bytes:
    if packet[:4] != bytes.fromhex("80000000") or Handshake.decode(packet[16:]).kind != INDUCTION:
        return packet
    answer = attrs.evolve(Handshake.decode(packet[16:]), version=4, encryption=0, extension=DATAGRAMS)
    return packet[:16] + answer.encode()


async def receive_all(stream: SrtStream, process: trio.Process, secret: str) -> None:
    got = b""
    async with trio.open_nursery() as nursery:

        async def feed() -> None:
            assert process.stdin is not None
            await process.stdin.send_all(DATA)

        nursery.start_soon(feed)
        while len(got) < len(DATA):
            got += await stream.receive_some()
    assert hashlib.sha256(got[: len(DATA)]).hexdigest() == DIGEST
    assert stream.peer_version == 0x010203
    assert stream.latency == LATENCY / 1000
    assert (stream.receiving_security is KmState.SECURED) is bool(secret)


async def send_all(stream: SrtStream, process: trio.Process, secret: str) -> None:
    got = b""
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            for start in range(0, len(DATA), CHUNK):
                await stream.send_all(DATA[start : start + CHUNK])
                await trio.sleep(0.001)
            while True:  # the very last packets are repaired only when something follows them
                await stream.send_all(bytes(CHUNK))
                await trio.sleep(0.01)

        nursery.start_soon(send)
        assert process.stdout is not None
        async for chunk in process.stdout:
            got += chunk
            if len(got) >= len(DATA):
                break
        nursery.cancel_scope.cancel()
    assert hashlib.sha256(got).hexdigest() == DIGEST
    assert stream.peer_version == 0x010203
    assert stream.peer_latency == LATENCY / 1000
    assert (stream.sending_security is KmState.SECURED) is bool(secret)


@pytest.mark.parametrize(("direction", "conditions"), [("send", HARD), ("receive", HARD), ("send", CLEAR)])
async def test_they_call(direction: str, conditions: tuple[str, float]) -> None:
    secret, loss = conditions
    with trio.fail_after(60):
        async with (
            open_srt_listener(f"srt://@127.0.0.1:0?{ours(secret)}") as listener,
            in_the_past(listener.local_address.port, loss=loss) as port,
            running(peer("call", direction, port, secret)) as process,
        ):
            stream = await listener.accept()
            await (receive_all if direction == "send" else send_all)(stream, process, secret)


@pytest.mark.parametrize(("direction", "conditions"), [("send", HARD), ("receive", HARD), ("receive", CLEAR)])
async def test_we_call(direction: str, conditions: tuple[str, float]) -> None:
    secret, loss = conditions
    theirs = free_port()
    with trio.fail_after(60):
        async with (
            running(peer("listen", direction, theirs, secret)) as process,
            in_the_past(theirs, loss=loss) as port,
        ):
            await wait_bound(theirs)
            async with open_srt_stream(f"srt://127.0.0.1:{port}?{ours(secret)}") as stream:
                await (receive_all if direction == "send" else send_all)(stream, process, secret)
