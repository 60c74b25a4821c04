"""Groups and Debian's srt-live-transmit, whose libsrt is built without them: both sides say so."""

from __future__ import annotations

import pytest
import trio

from terzetto.errors import AllPathsFailed, ConnectionRefusedByPeer
from terzetto.srt.group_api import open_srt_group, open_srt_group_listener
from tests.interop.srt_peers import free_port, running, tool, wait_bound

pytestmark = pytest.mark.interop


async def test_a_libsrt_without_bonding_takes_no_member_of_a_group() -> None:
    port = free_port()
    with trio.fail_after(30):
        async with running(tool(f"srt://:{port}?mode=listener", "file://con")):
            await wait_bound(port)
            with pytest.raises(AllPathsFailed) as caught:
                async with open_srt_group([f"srt://127.0.0.1:{port}"], reconnect=None):
                    pass
    (cause,) = caught.value.causes
    assert isinstance(cause, ConnectionRefusedByPeer)
    assert cause.code == 15


async def test_a_single_caller_is_told_that_only_groups_are_accepted() -> None:
    port = free_port()
    with trio.fail_after(30):
        async with open_srt_group_listener(f"srt://127.0.0.1:{port}?mode=listener") as listener:
            async with running(tool("file://con", f"srt://127.0.0.1:{port}?mode=caller")):
                async for event in listener.events():
                    if getattr(event, "code", None) == 15:
                        break
