"""One listening port of ours for libRIST's tools of both profiles, in both directions."""

from __future__ import annotations

import pytest
import trio

import terzetto as tz
from tests.interop.rist_peers import Arrivals, bad_network, free_pair, pace, running, udp_input, udp_output

pytestmark = [pytest.mark.interop, pytest.mark.needs("ristsender", "ristreceiver")]


async def collect(receiver: tz.RistReceiver, arrivals: Arrivals) -> None:
    async for chunk in receiver:
        arrivals.data += chunk


@pytest.mark.parametrize("profile", ["0", "1"])
async def test_ristsender_calls_whatever_its_profile(profile: str) -> None:
    arrivals = Arrivals()
    into_tool = free_pair()
    async with (
        tz.open_rist_receiver(f"rist://@127.0.0.1:{free_pair()}?profile=auto&buffer=500") as receiver,
        bad_network(receiver.local_address.port, 0.05, seed=7) as port,
        running(
            *("ristsender", "-p", profile, "-i", f"udp://@127.0.0.1:{into_tool}"),
            *("-o", f"rist://127.0.0.1:{port}?buffer=500"),
        ),
        udp_input(into_tool) as send,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        with trio.fail_after(10):
            await receiver.wait_connected()
        await pace(send)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()


async def test_ristreceiver_of_the_main_profile_calls() -> None:
    """In the Simple profile it never calls anybody."""
    async with (
        udp_output() as (output, arrivals),
        tz.open_rist_sender(f"rist://@127.0.0.1:{free_pair()}?profile=auto&buffer=500") as sender,
        bad_network(sender.local_address.port, 0.05, seed=9) as port,
        running(
            *("ristreceiver", "-p", "1", "-i", f"rist://127.0.0.1:{port}?buffer=500"),
            *("-o", f"udp://127.0.0.1:{output}"),
        ),
    ):
        with trio.fail_after(10):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
    arrivals.check()
