"""Several streams in one tunnel, with libRIST's tools: what they call ``stream-id``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

import terzetto as tz
from tests.interop.rist_peers import Arrivals, bad_network, free_pair, running, udp_input, udp_output

pytestmark = [pytest.mark.interop, pytest.mark.needs("ristsender", "ristreceiver")]

HOST = "127.0.0.1"
SECURE = "&secret=hush&aes-type=128"
LEAD, COUNT = 100, 400


def payload(stream: int, number: int) -> bytes:
    return (b"\x47" + bytes((stream,)) + number.to_bytes(4, "big")) * 40


def wanted(stream: int) -> bytes:
    return b"".join(payload(stream, number) for number in range(LEAD, COUNT - LEAD))


async def feed(*sends: Callable[[bytes], Awaitable[object]]) -> None:
    for number in range(COUNT):
        for stream, send in enumerate(sends):
            await send(payload(stream, number))
        await trio.sleep(0.003)


async def wait_for_both(heard: tuple[Arrivals, Arrivals]) -> None:
    with trio.move_on_after(20):
        while not all(wanted(stream) in arrivals.data for stream, arrivals in enumerate(heard)):  # noqa: ASYNC110
            await trio.sleep(0.05)
    for stream, arrivals in enumerate(heard):
        assert wanted(stream) in arrivals.data
        assert payload(1 - stream, LEAD) not in arrivals.data


@pytest.mark.parametrize("security", ["", SECURE])
async def test_ristreceiver_takes_our_streams_apart(security: str) -> None:
    listening = free_pair()
    async with udp_output() as (one, first), udp_output() as (other, second):
        outputs = f"udp://{HOST}:{one}?stream-id=1968,udp://{HOST}:{other}?stream-id=1970"
        async with (
            running(
                *(
                    "ristreceiver",
                    "-p",
                    "1",
                    "-i",
                    f"rist://@{HOST}:{listening}?buffer=1000&session-timeout=5000{security}",
                ),
                *("-o", outputs),
            ),
            bad_network(listening, 0.05, seed=3) as port,
            tz.open_rist_sender(f"rist://{HOST}:{port}?buffer=1000&session-timeout=5000{security}") as sender,
        ):
            await feed(sender.send_packet, sender.open_stream(1970).send_packet)
            await wait_for_both((first, second))
            assert sender.statistics().retransmitted > 20


async def test_a_listener_knows_the_streams_of_ristsender_by_their_numbers() -> None:
    """Each input of ristsender has a tunnel of its own, and the port that was asked for in it."""
    heard = {1000: Arrivals(), 2000: Arrivals()}
    into_one, into_other = free_pair(), free_pair()
    inputs = (
        f"udp://@{HOST}:{into_one}?stream-id=1000,udp://@{HOST}:{into_other}?stream-id=2000&multiplex-mode=1"
    )

    async def collect(receiver: tz.RistReceiver) -> None:
        async with receiver.open_streams() as streams:
            stream = await streams.accept()
            async for chunk in stream:
                heard[stream.stream_id].data += chunk

    async with (
        tz.open_rist_listener(
            f"rist://@{HOST}:{free_pair()}?buffer=1000&session-timeout=5000{SECURE}", multiplexed=True
        ) as listener,
        bad_network(listener.local_address.port, 0.05, seed=5) as port,
        running(
            "ristsender",
            "-p",
            "1",
            "-i",
            inputs,
            "-o",
            f"rist://{HOST}:{port}?buffer=1000&session-timeout=5000{SECURE}",
        ),
        udp_input(into_one) as one,
        udp_input(into_other) as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(partial(trio.serve_listeners, collect, [listener]))
        with trio.fail_after(30):
            while listener.flows < 2:  # noqa: ASYNC110
                await trio.sleep(0.05)
        await feed(one, other)
        await wait_for_both((heard[1000], heard[2000]))
        nursery.cancel_scope.cancel()
