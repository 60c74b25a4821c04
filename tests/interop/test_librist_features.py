"""Null packet deletion, out-of-band data and rist2rist, with libRIST's tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import terzetto as tz
from terzetto.mpegts.packet import null_packet
from terzetto.rist.events import OutOfBandReceived
from tests.interop.rist_peers import Arrivals, bad_network, free_pair, pace, running, udp_input, udp_output

pytestmark = [pytest.mark.interop, pytest.mark.needs("ristsender", "ristreceiver", "rist2rist")]

HOST = "127.0.0.1"
QUERY = "buffer=500"
SECURE = "&secret=hush&aes-type=128"
COUNT = 400
EDGE = 100


def half_empty(number: int) -> bytes:
    """Seven TS packets of which three are null, in other places each time."""
    data = b"\x47\x01\x00\x10" + number.to_bytes(4, "big") + bytes(180)
    places = {(number + step) % 7 for step in (0, 2, 5)}
    return b"".join(null_packet() if place in places else data for place in range(7))


SENT = [half_empty(number) for number in range(COUNT)]
WANTED = b"".join(SENT[EDGE : COUNT - EDGE])


async def feed(send: Callable[[bytes], Awaitable[object]]) -> None:
    for payload in SENT:
        await send(payload)
        await trio.sleep(0.002)


async def wait_for(wanted: bytes, arrivals: Arrivals) -> bool:
    with trio.move_on_after(8):
        while wanted not in arrivals.data:  # noqa: ASYNC110
            await trio.sleep(0.05)
    return wanted in arrivals.data


async def collect(receiver: tz.RistReceiver, arrivals: Arrivals) -> None:
    async for chunk in receiver:
        arrivals.data += chunk


@pytest.mark.parametrize("security", ["", SECURE])
async def test_we_restore_the_null_packets_that_ristsender_deletes(security: str) -> None:
    arrivals = Arrivals()
    into_tool = free_pair()
    async with (
        tz.open_rist_receiver(f"rist://@{HOST}:{free_pair()}?{QUERY}{security}") as receiver,
        bad_network(receiver.local_address.port, 0.05, seed=7) as port,
        running(
            *("ristsender", "-p", "1", "-n", "-i", f"udp://@{HOST}:{into_tool}"),
            *("-o", f"rist://{HOST}:{port}?{QUERY}{security}"),
        ),
        udp_input(into_tool) as send,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        with trio.fail_after(10):
            await receiver.wait_connected()
        await feed(send)
        assert await wait_for(WANTED, arrivals)
        assert receiver.statistics().recovered > 5
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("security", ["", SECURE])
async def test_ristreceiver_restores_the_null_packets_that_we_delete(security: str) -> None:
    listening = free_pair()
    async with (
        udp_output() as (output, arrivals),
        running(
            *("ristreceiver", "-p", "1", "-i", f"rist://@{HOST}:{listening}?{QUERY}{security}"),
            *("-o", f"udp://{HOST}:{output}"),
        ),
        bad_network(listening, 0.05, seed=8) as port,
        tz.open_rist_sender(f"rist://{HOST}:{port}?{QUERY}{security}&null-packet-deletion=1") as sender,
    ):
        with trio.fail_after(10):
            await sender.wait_connected()
        await feed(sender.send_packet)
        assert await wait_for(WANTED, arrivals)


@pytest.mark.parametrize("security", ["", SECURE])
async def test_the_tools_message_beside_the_stream_is_received_and_ours_does_no_harm(security: str) -> None:
    """Whoever listens tells its caller both addresses that way."""
    listening = free_pair()
    async with (
        udp_output() as (output, arrivals),
        running(
            *("ristreceiver", "-p", "1", "-i", f"rist://@{HOST}:{listening}?{QUERY}{security}"),
            *("-o", f"udp://{HOST}:{output}"),
        ),
        tz.open_rist_sender(f"rist://{HOST}:{listening}?{QUERY}{security}") as sender,
    ):
        with trio.fail_after(10):
            heard: OutOfBandReceived = await sender.receive_oob()
        assert heard.ether_type == 0x0800
        assert heard.data[0] == 0x45
        assert b"auth,127.0.0.1:" in heard.data
        assert await sender.send_oob(heard.data)
        await pace(sender.send_packet)
        await arrivals.wait_complete()
    arrivals.check()


@pytest.mark.parametrize("secret", [[], ["-s", "hush", "-e", "1"]])
async def test_rist2rist_takes_our_stream_and_gives_it_back(secret: list[str]) -> None:
    """It receives in the Simple profile and sends in Main."""
    into, arrivals = free_pair(), Arrivals()
    knobs: dict[str, Any] = {"secret": "hush", "aes_type": 128} if secret else {}
    async with (
        tz.open_rist_receiver(f"rist://@{HOST}:{free_pair()}?{QUERY}", **knobs) as receiver,
        bad_network(receiver.local_address.port, 0.05, seed=11) as port,
        running(
            *("rist2rist", "-i", f"rist://@{HOST}:{into}?{QUERY}", "-o", f"rist://{HOST}:{port}?{QUERY}"),
            *secret,
        ),
        bad_network(into, 0.05, seed=12) as first,
        tz.open_rist_sender(f"rist://{HOST}:{first}?{QUERY}&profile=simple") as sender,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        with trio.fail_after(10):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()
