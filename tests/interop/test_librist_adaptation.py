"""libRIST knows nothing of link quality messages, and takes no harm from them."""

from __future__ import annotations

import pytest
import trio

import terzetto as tz
from tests.interop.rist_peers import Arrivals, bad_network, free_pair, pace, running, udp_input

pytestmark = [pytest.mark.interop, pytest.mark.needs("ristsender")]


@pytest.mark.parametrize(("profile", "number"), [("simple", 0), ("main", 1)])
async def test_ristsender_passes_over_what_we_report(profile: str, number: int) -> None:
    arrivals = Arrivals()
    into_tool, ours = free_pair(), free_pair()
    async with (
        tz.open_rist_receiver(
            f"rist://@127.0.0.1:{ours}?profile={profile}", buffer=0.5, adaptation="period:100"
        ) as receiver,
        bad_network(ours, 0.05, seed=7) as port,
        running(
            *("ristsender", "-p", str(number), "-i", f"udp://@127.0.0.1:{into_tool}"),
            *("-o", f"rist://127.0.0.1:{port}?buffer=500&cname=tool&session-timeout=5000"),
        ),
        udp_input(into_tool) as send,
        trio.open_nursery() as nursery,
    ):

        async def collect() -> None:
            async for chunk in receiver:
                arrivals.data += chunk

        nursery.start_soon(collect)
        with trio.fail_after(10):
            await receiver.wait_connected()
        await pace(send)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()
    assert receiver.statistics().recovered > 10
