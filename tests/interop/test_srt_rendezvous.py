"""Rendezvous with Debian's srt-live-transmit: whoever is first, clear and encrypted, both directions, and lossy."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from terzetto.errors import AuthenticationFailed, PeerTimedOut
from terzetto.srt.api import open_srt_rendezvous
from terzetto.srt.stream import SrtStream
from terzetto.srt.wire.key_material import KmState
from tests.interop.srt_peers import free_port, lossy_link, running, tool, wait_bound
from tests.interop.test_srt import DIGEST, digest_of, feed, send_to_tool

pytestmark = pytest.mark.interop

# Each side is called where it calls from, so on one machine two addresses are needed.
OURS, THEIRS = "127.0.0.2", "127.0.0.3"

# Where each sees the other when there is a lossy way between them.
NEAR, FAR = "127.0.0.4", "127.0.0.5"

SECURITY = ["latency=300", "latency=300&passphrase=correct-horse-battery&pbkeylen=32"]


def theirs(port: int, query: str, at: str = OURS) -> str:
    return f"srt://{at}:{port}?mode=rendezvous&adapter={THEIRS}&{query}"


def ours(port: int, query: str, at: str = THEIRS) -> str:
    return f"srt://{at}:{port}?adapter={OURS}&{query}"


@pytest.mark.parametrize(("query", "we_are_first"), [(SECURITY[0], True), (SECURITY[1], False)])
async def test_what_they_send_arrives(query: str, we_are_first: bool) -> None:
    port = free_port()
    # libsrt has to connect before it reads its input, so what it is to send waits in the pipe.
    command = tool("file://con", theirs(port, query))

    async def receive(stream: SrtStream, process: trio.Process) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed, process)
            assert await digest_of(stream) == DIGEST
        secured = KmState.SECURED if "passphrase" in query else KmState.UNSECURED
        assert (stream.sending_security, stream.receiving_security) == (secured, secured)

    await meet(command, ours(port, query), receive, port, we_are_first=we_are_first)


@pytest.mark.parametrize(("query", "we_are_first"), [(SECURITY[0], False), (SECURITY[1], True)])
async def test_what_we_send_arrives(query: str, we_are_first: bool) -> None:
    port = free_port()
    command = tool(theirs(port, query), "file://con")

    await meet(command, ours(port, query), send_to_tool, port, we_are_first=we_are_first)


@pytest.mark.parametrize("we_send", [True, False])
async def test_losses_are_repaired(we_send: bool) -> None:
    port = free_port()
    query = SECURITY[1].replace("latency=300", "latency=800")

    async def receive(stream: SrtStream, process: trio.Process) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(feed, process, padding=100))
            assert await digest_of(stream) == DIGEST
        assert stream.statistics().recovered > 10

    async def send(stream: SrtStream, process: trio.Process) -> None:
        await send_to_tool(stream, process)
        assert stream.statistics().retransmitted > 10

    url = theirs(port, query, FAR)
    command = tool(url, "file://con") if we_send else tool("file://con", url)
    async with lossy_link((NEAR, port), (FAR, port), (THEIRS, port), ours=(OURS, port), loss=0.03):
        with trio.fail_after(40):
            async with running(command) as process, open_srt_rendezvous(ours(port, query, NEAR)) as stream:
                await (send if we_send else receive)(stream, process)


async def test_passphrases_that_differ_keep_us_apart() -> None:
    """Where we answer, we say why; where 1.5.1 answers it says nothing at all (1.5.2 and later do)."""
    port = free_port()
    with trio.fail_after(30):
        async with running(tool("file://con", theirs(port, "passphrase=another-passphrase"))):
            await wait_bound(port)
            with pytest.raises((AuthenticationFailed, PeerTimedOut)):
                async with open_srt_rendezvous(ours(port, "passphrase=correct-horse-battery&conntimeo=400")):
                    pass  # pragma: no cover


async def meet(command: list[str], url: str, then: object, port: int, *, we_are_first: bool) -> None:
    assert callable(then)
    with trio.fail_after(40):
        if not we_are_first:
            async with running(command) as process:
                await wait_bound(port)
                async with open_srt_rendezvous(url) as stream:
                    await then(stream, process)
            return
        async with trio.open_nursery() as nursery:
            processes, late = trio.open_memory_channel[trio.Process](1)
            finished = trio.Event()

            async def come_late() -> None:
                await wait_bound(port)
                await trio.sleep(0.4)
                async with running(command) as process:
                    processes.send_nowait(process)
                    await finished.wait()

            nursery.start_soon(come_late)
            async with open_srt_rendezvous(url) as stream:
                await then(stream, await late.receive())
            finished.set()
