"""RIST Main against libRIST's tools: both media directions, both roles, clear, enciphered, with logins, with loss."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import terzetto as tz
from terzetto.gateway.impairment import open_impairment_proxy
from terzetto.primitives.impairment import PERFECT, LinkConditions
from tests.interop.rist_peers import Arrivals, free_pair, pace, running, udp_input, udp_output

pytestmark = [pytest.mark.interop, pytest.mark.needs("ristsender", "ristreceiver")]

# libRIST 0.2.7 gives a peer up after a quarter of a second unless told otherwise; here it is left to.
QUERY = "buffer=500"

USER, PASSWORD = "rist", "mainprofile"
SECRET = "ReliableInternetStreamTransport"

Security = dict[str, Any]

SECURITIES: dict[str, Security] = {
    "clear": {},
    "aes-128": {"secret": SECRET, "aes_type": 128},
    "aes-256": {"secret": SECRET, "aes_type": 256},
    "srp": {"username": USER, "password": PASSWORD},
    "srp and aes-128": {"username": USER, "password": PASSWORD, "secret": SECRET, "aes_type": 128},
}


def tool_query(security: Security) -> str:
    return "".join(f"&{name.replace('_', '-')}={value}" for name, value in security.items())


def our_knobs(security: Security) -> Security:
    return {"buffer": 0.5, **security}


@asynccontextmanager
async def bad_network(port: int, loss: float, *, seed: int) -> AsyncIterator[int]:
    conditions = LinkConditions(loss=loss, delay=0.02) if loss else PERFECT
    async with open_impairment_proxy(
        ("127.0.0.1", 0), ("127.0.0.1", port), up=conditions, seed=seed
    ) as proxy:
        yield proxy.listen_address.port


async def collect(receiver: tz.RistReceiver, arrivals: Arrivals) -> None:
    async for chunk in receiver:
        arrivals.data += chunk


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize("security", SECURITIES)
async def test_ristsender_calls_us(security: str, loss: float) -> None:
    arrivals = Arrivals()
    into_tool = free_pair()
    async with (
        tz.open_rist_receiver("rist://@127.0.0.1:0", **our_knobs(SECURITIES[security])) as receiver,
        bad_network(receiver.local_address.port, loss, seed=7) as port,
        running(
            *("ristsender", "-p", "1", "-i", f"udp://@127.0.0.1:{into_tool}"),
            *("-o", f"rist://127.0.0.1:{port}?{QUERY}&cname=tool{tool_query(SECURITIES[security])}"),
        ),
        udp_input(into_tool) as send,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        with trio.fail_after(5):
            await receiver.wait_connected()
        await pace(send)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    statistics = receiver.statistics()
    arrivals.check(statistics)
    assert statistics.peer.cname == "tool"
    assert statistics.peer.round_trip_measured
    assert (statistics.recovered > 20) == (loss > 0)


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize("security", SECURITIES)
async def test_we_call_ristreceiver(security: str, loss: float) -> None:
    listening = free_pair()
    async with (
        udp_output() as (output, arrivals),
        running(
            *("ristreceiver", "-p", "1"),
            *("-i", f"rist://@127.0.0.1:{listening}?{QUERY}&cname=tool{tool_query(SECURITIES[security])}"),
            *("-o", f"udp://127.0.0.1:{output}"),
        ),
        bad_network(listening, loss, seed=8) as port,
        tz.open_rist_sender(f"rist://127.0.0.1:{port}", **our_knobs(SECURITIES[security])) as sender,
    ):
        with trio.fail_after(5):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        statistics = sender.statistics()
    arrivals.check(statistics)
    assert statistics.peer.cname == "tool"
    assert statistics.peer.round_trip_measured
    assert (statistics.retransmitted > 20) == (loss > 0)


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize("security", SECURITIES)
async def test_ristreceiver_calls_us(security: str, loss: float) -> None:
    async with (
        udp_output() as (output, arrivals),
        tz.open_rist_sender("rist://@127.0.0.1:0", **our_knobs(SECURITIES[security])) as sender,
        bad_network(sender.local_address.port, loss, seed=9) as port,
        running(
            *("ristreceiver", "-p", "1"),
            *("-i", f"rist://127.0.0.1:{port}?{QUERY}&cname=tool{tool_query(SECURITIES[security])}"),
            *("-o", f"udp://127.0.0.1:{output}"),
        ),
    ):
        with trio.fail_after(5):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        statistics = sender.statistics()
    arrivals.check(statistics)
    assert (statistics.retransmitted > 20) == (loss > 0)


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize("security", SECURITIES)
async def test_we_call_ristsender(security: str, loss: float) -> None:
    arrivals = Arrivals()
    into_tool, listening = free_pair(), free_pair()
    async with (
        running(
            *("ristsender", "-p", "1", "-i", f"udp://@127.0.0.1:{into_tool}"),
            *("-o", f"rist://@127.0.0.1:{listening}?{QUERY}&cname=tool{tool_query(SECURITIES[security])}"),
        ),
        bad_network(listening, loss, seed=10) as port,
        tz.open_rist_receiver(f"rist://127.0.0.1:{port}", **our_knobs(SECURITIES[security])) as receiver,
        udp_input(into_tool) as send,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        with trio.fail_after(5):
            await receiver.wait_connected()
        await pace(send)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check(receiver.statistics())
    assert (receiver.statistics().recovered > 20) == (loss > 0)


@pytest.mark.parametrize("we_send", [True, False])
async def test_a_file_of_users_written_by_ristsrppasswd(tmp_path: Path, we_send: bool) -> None:
    line = (await trio.run_process(["ristsrppasswd", USER, PASSWORD], capture_stdout=True)).stdout.decode()
    users = tmp_path / "users"
    users.write_text(line)
    arrivals = Arrivals()
    query = f"{QUERY}&username={USER}&password={PASSWORD}"
    if we_send:
        async with (
            udp_output() as (output, told),
            tz.open_rist_sender("rist://@127.0.0.1:0", buffer=0.5, users=str(users)) as sender,
            running(
                *("ristreceiver", "-p", "1"),
                *("-i", f"rist://127.0.0.1:{sender.local_address.port}?{query}"),
                *("-o", f"udp://127.0.0.1:{output}"),
            ),
        ):
            with trio.fail_after(5):
                await sender.wait_connected()
            await pace(sender.send_packet)
            await told.wait_complete()
        told.check()
        return
    into_tool = free_pair()
    async with (
        tz.open_rist_receiver("rist://@127.0.0.1:0", buffer=0.5, users=str(users)) as receiver,
        running(
            *("ristsender", "-p", "1", "-i", f"udp://@127.0.0.1:{into_tool}"),
            *("-o", f"rist://127.0.0.1:{receiver.local_address.port}?{query}"),
        ),
        udp_input(into_tool) as send,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        with trio.fail_after(5):
            await receiver.wait_connected()
        await pace(send)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()
