"""Kernel sockets, where only they can tell: a host with several addresses."""

from __future__ import annotations

import sys

import pytest
import trio

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
