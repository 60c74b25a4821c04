"""SRT against the libsrt inside PyPI's tstrans, which is newer than Debian's; it is built without AES-GCM."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
import trio

# A missing peer is an error, not a skipped test.
from tstrans.srt import Builder, Socket

from terzetto.errors import ConnectionRefusedByPeer
from terzetto.gateway.impairment import open_impairment_proxy
from terzetto.primitives.impairment import LinkConditions
from terzetto.srt.api import open_srt_listener, open_srt_stream
from terzetto.srt.stream import SrtStream
from terzetto.srt.wire.key_material import KmState
from tests.interop.srt_peers import CHUNK, free_port

pytestmark = pytest.mark.interop

# It hands out transport packets one by one, and drops whatever is none.
PACKETS = CHUNK // 188 * 800
DATA = b"".join(b"G\x01\x00\x10" + random.Random(number).randbytes(184) for number in range(PACKETS))
DIGEST = hashlib.sha256(DATA).hexdigest()

SECURITY = [
    "",
    "&passphrase=correct-horse-battery&pbkeylen=16",
    "&passphrase=correct-horse-battery&pbkeylen=24",
    "&passphrase=correct-horse-battery&pbkeylen=32",
]

T = TypeVar("T")


async def blocking(function: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


async def theirs_calls(port: int, query: str) -> Socket:
    return await blocking(Builder(f"srt://127.0.0.1:{port}?{query}").caller().connect)


async def theirs_listens(
    port: int,
    query: str,
    accepted: trio.MemorySendChannel[Socket],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    listener = Builder(f"srt://127.0.0.1:{port}?mode=listener&{query}").listener().listen()
    task_status.started()
    accepted.send_nowait(await blocking(partial(listener.accept, timeout_ms=20_000)))


async def they_send(peer: Socket) -> None:
    """Everything, and padding behind it: libsrt does not repair the last packets when nothing follows."""
    sender = peer.into_sender()

    def send() -> None:
        for start in range(0, len(DATA), CHUNK):
            sender.send_bytes(DATA[start : start + CHUNK])

    await trio.to_thread.run_sync(send)
    for _ in range(100):
        sender.send_bytes(DATA[:CHUNK])
        await trio.sleep(0.01)
    await blocking(sender.close)


async def they_receive(peer: Socket) -> str:
    receiver = peer.into_receiver()

    def receive() -> str:
        digest, size = hashlib.sha256(), 0
        while size < len(DATA):
            piece = receiver.recv_bytes()
            digest.update(piece)
            size += len(piece)
        receiver.close()
        return digest.hexdigest()

    return await blocking(receive)


async def we_send(stream: SrtStream) -> None:
    for start in range(0, len(DATA), 4 * CHUNK):
        await stream.send_all(DATA[start : start + 4 * CHUNK])
        await trio.sleep(0.003)


async def we_receive(stream: SrtStream) -> str:
    data = bytearray()
    async for chunk in stream:
        data += chunk
        if len(data) >= len(DATA):
            break
    return hashlib.sha256(data[: len(DATA)]).hexdigest()


async def exchange(stream: SrtStream, peer: Socket, *, sending: bool) -> str:
    """Carry everything one way; the digest of what came."""
    if not sending:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(they_send, peer)
            return await we_receive(stream)
    digests: list[str] = []

    async def listen() -> None:
        digests.append(await they_receive(peer))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await we_send(stream)
        await stream.aclose()
    return digests[0]


def check(stream: SrtStream, query: str) -> None:
    assert stream.peer_version >= 0x010504
    state = KmState.SECURED if "passphrase" in query else KmState.UNSECURED
    assert (stream.sending_security, stream.receiving_security) == (state, state)
    if "passphrase" in query:
        assert stream.options.crypto_mode == "ctr"
        assert stream.options.key_length == int(query[-2:])
    assert stream.statistics().undecrypted == 0


@pytest.mark.parametrize("sending", [True, False])
@pytest.mark.parametrize("query", SECURITY)
async def test_they_call_us(query: str, sending: bool) -> None:
    common = f"latency=400{query}"
    port = free_port()
    with trio.fail_after(40):
        async with open_srt_listener(f"srt://@127.0.0.1:{port}?latency=400{_secret(query)}") as listener:
            peers: list[Socket] = []

            async def call() -> None:
                peers.append(await theirs_calls(port, common + "&streamid=live/cam"))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                stream = await listener.accept()
            assert stream.stream_id == "live/cam"
            assert await exchange(stream, peers[0], sending=sending) == DIGEST
            check(stream, query)


@pytest.mark.parametrize("sending", [True, False])
@pytest.mark.parametrize("query", SECURITY)
async def test_we_call_them(query: str, sending: bool) -> None:
    port = free_port()
    put, get = trio.open_memory_channel[Socket](1)
    with trio.fail_after(40):
        async with trio.open_nursery() as nursery:
            # A listener with a passphrase has an opinion on key lengths, and we follow it.
            await nursery.start(theirs_listens, port, f"latency=400{query}", put)
            async with open_srt_stream(f"srt://127.0.0.1:{port}?latency=400{_secret(query)}") as stream:
                assert await exchange(stream, await get.receive(), sending=sending) == DIGEST
                check(stream, query)


@pytest.mark.parametrize("sending", [True, False])
async def test_a_lossy_way_while_our_keys_change(sending: bool) -> None:
    port = free_port()
    query = "&passphrase=correct-horse-battery&pbkeylen=16"
    conditions = LinkConditions(delay=0.01, loss=0.05)
    put, get = trio.open_memory_channel[Socket](1)
    with trio.fail_after(50):
        async with (
            open_impairment_proxy(
                ("127.0.0.1", 0), ("127.0.0.1", port), up=conditions, down=conditions, seed=6
            ) as proxy,
            trio.open_nursery() as nursery,
        ):
            await nursery.start(theirs_listens, port, f"latency=1000{_secret(query)}", put)
            url = f"srt://{proxy.listen_address}?latency=1000{query}&kmrefreshrate=300&kmpreannounce=100"
            async with open_srt_stream(url, connect_timeout=20.0) as stream:
                assert await exchange(stream, await get.receive(), sending=sending) == DIGEST
                check(stream, query)
                statistics = stream.statistics()
    assert (statistics.retransmitted if sending else statistics.recovered) > 10


@pytest.mark.parametrize("theirs", ["another-passphrase", ""])
async def test_a_wrong_or_missing_passphrase_is_said_on_our_side(theirs: str) -> None:
    await refused(f"passphrase={theirs}" if theirs else "", "ctr", 10 if theirs else 11)


async def test_gcm_is_refused_by_a_libsrt_without_it() -> None:
    # It has a code for modes that differ, and gives that of a missing passphrase.
    await refused("passphrase=correct-horse-battery", "gcm", 11)


async def refused(theirs: str, mode: str, code: int) -> None:
    port = free_port()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            put, _ = trio.open_memory_channel[Socket](1)
            await nursery.start(theirs_listens, port, theirs, put)
            with pytest.raises(ConnectionRefusedByPeer) as caught:
                async with open_srt_stream(
                    f"srt://127.0.0.1:{port}", passphrase="correct-horse-battery", crypto_mode=mode
                ):
                    pass  # pragma: no cover
            nursery.cancel_scope.cancel()
    assert caught.value.code == code


def _secret(query: str) -> str:
    return "&passphrase=correct-horse-battery" if query else ""
