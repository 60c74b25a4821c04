"""Kernel sockets, where only they can tell: a host with several addresses."""

from __future__ import annotations

import socket
import sys

import pytest
import trio

from terzetto.net.udp import UdpEndpoint
from terzetto.srt.api import open_srt_listener, open_srt_stream


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.77"])
async def test_a_listener_answers_from_the_address_that_was_called(host: str) -> None:
    """A caller takes no answer from another address than the one it called."""
    with trio.fail_after(20):
        async with open_srt_listener("srt://:0?ipv6only=-1") as listener:
            port = listener.local_address.port
            async with open_srt_stream(f"srt://{host}:{port}?latency=50") as caller:
                accepted = await listener.accept()
                assert accepted.local_address.host.removeprefix("::ffff:") == host
                assert caller.peer_address.host == host
                # And not in the handshake alone.
                await accepted.send_all(b"from here")
                assert await caller.receive_some() == b"from here"


async def test_sockets_that_exist_already_serve_as_transport() -> None:
    """One that somebody else opened, bound and set up: a socket handed over by a service manager, say."""
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for each in (ours, theirs):
        each.setblocking(False)
        each.bind(("127.0.0.1", 0))
    port = theirs.getsockname()[1]
    with trio.fail_after(20):
        async with (
            open_srt_listener("srt://:1", endpoint=UdpEndpoint(theirs)) as listener,
            open_srt_stream(f"srt://127.0.0.1:{port}?latency=50", endpoint=UdpEndpoint(ours)) as caller,
        ):
            accepted = await listener.accept()
            assert accepted.peer_address.port == ours.getsockname()[1]
            await caller.send_all(b"through them")
            assert await accepted.receive_some() == b"through them"
    assert ours.fileno() == theirs.fileno() == -1  # who hands a socket over has handed over its end as well
