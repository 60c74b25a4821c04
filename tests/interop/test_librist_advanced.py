"""RIST Advanced against libRIST's tools of Debian, which know no more than Main: the session has to stay there."""

from __future__ import annotations

import pytest
import trio

import terzetto as tz
from tests.interop.rist_peers import Arrivals, free_pair, pace, running, udp_input, udp_output
from tests.interop.test_librist_main import QUERY, SECURITIES, bad_network, collect, our_knobs, tool_query

pytestmark = [pytest.mark.interop, pytest.mark.needs("ristsender", "ristreceiver")]


@pytest.mark.parametrize("security", ["clear", "srp and aes-128"])
async def test_a_main_sender_calls_our_advanced_receiver(security: str) -> None:
    arrivals = Arrivals()
    into_tool = free_pair()
    knobs = {**our_knobs(SECURITIES[security]), "profile": "advanced"}
    async with (
        tz.open_rist_receiver("rist://@127.0.0.1:0", **knobs) as receiver,
        bad_network(receiver.local_address.port, 0.05, seed=17) as port,
        running(
            *("ristsender", "-p", "1", "-i", f"udp://@127.0.0.1:{into_tool}"),
            *("-o", f"rist://127.0.0.1:{port}?{QUERY}&cname=tool{tool_query(SECURITIES[security])}"),
        ),
        udp_input(into_tool) as send,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        with trio.fail_after(15):
            await receiver.wait_connected()
        await pace(send)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()
    assert receiver.statistics().recovered > 20


@pytest.mark.parametrize("security", ["clear", "srp and aes-128"])
async def test_our_advanced_sender_calls_a_main_receiver(security: str) -> None:
    listening = free_pair()
    knobs = {**our_knobs(SECURITIES[security]), "profile": "advanced"}
    async with (
        udp_output() as (output, arrivals),
        running(
            *("ristreceiver", "-p", "1"),
            *("-i", f"rist://@127.0.0.1:{listening}?{QUERY}&cname=tool{tool_query(SECURITIES[security])}"),
            *("-o", f"udp://127.0.0.1:{output}"),
        ),
        bad_network(listening, 0.05, seed=18) as port,
        tz.open_rist_sender(f"rist://127.0.0.1:{port}", **knobs) as sender,
    ):
        with trio.fail_after(15):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        statistics = sender.statistics()
    arrivals.check()
    assert statistics.retransmitted > 20
