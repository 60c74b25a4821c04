"""RIST over two paths against libRIST's own tools, in both directions: duplicates, and shares by weight."""

from __future__ import annotations

import pytest
import trio

import terzetto as tz
from tests.interop.rist_peers import (
    PACKETS,
    Arrivals,
    bad_network,
    free_pair,
    pace,
    running,
    udp_input,
    udp_output,
)

pytestmark = pytest.mark.interop

HOST = "127.0.0.1"
PROFILES = {"simple": "0", "main": "1"}
SECRETS = {"simple": "", "main": "&secret=two-ways&aes-type=128"}


async def collect(receiver: tz.RistReceiver, arrivals: Arrivals) -> None:
    async for chunk in receiver:
        arrivals.data += chunk


async def both_connected(stream: tz.RistSender | tz.RistReceiver) -> None:
    with trio.fail_after(15):
        while not all(path.connected for path in stream.statistics().paths):  # noqa: ASYNC110  (no event says both)
            await trio.sleep(0.05)


@pytest.mark.parametrize("weights", [(0, 0), (3, 1)])
@pytest.mark.parametrize("profile", PROFILES)
async def test_ristsender_calls_us_over_two_paths(profile: str, weights: tuple[int, int]) -> None:
    arrivals = Arrivals()
    into_tool, one, two = free_pair(), free_pair(), free_pair()
    query = f"buffer=1000&reorder-buffer=25{SECRETS[profile]}"
    paths = [f"rist://@{HOST}:{port}?profile={profile}&{query}" for port in (one, two)]
    async with (
        tz.open_rist_receiver(paths) as receiver,
        bad_network(one, 0.05, seed=7) as first,
        bad_network(two, 0.05, seed=8) as second,
        running(
            *("ristsender", "-p", PROFILES[profile], "-i", f"udp://@{HOST}:{into_tool}", "-o"),
            ",".join(
                f"rist://{HOST}:{port}?{query}&session-timeout=2000&weight={weight}"
                for port, weight in zip((first, second), weights, strict=True)
            ),
        ),
        udp_input(into_tool) as send,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        await both_connected(receiver)
        await pace(send)
        await arrivals.wait_complete()
        statistics = receiver.statistics()
        nursery.cancel_scope.cancel()
    arrivals.check()
    brought = [path.media_received for path in statistics.paths]
    assert min(brought) > (0.15 if any(weights) else 0.6) * len(PACKETS)
    assert (statistics.duplicates > len(PACKETS) / 2) == (not any(weights))


@pytest.mark.parametrize("weights", [(0, 0), (3, 1)])
@pytest.mark.parametrize("profile", PROFILES)
async def test_we_call_ristreceiver_over_two_paths(profile: str, weights: tuple[int, int]) -> None:
    # A Simple ristreceiver with a port for each path merges nothing, not even what ristsender sends it: it hands out
    # everything twice. With one port for both it does.
    one, two = free_pair(), free_pair()
    ports = [one, two] if profile == "main" else [one]
    query = f"buffer=1000{SECRETS[profile]}"
    async with (
        udp_output() as (output, arrivals),
        running(
            *("ristreceiver", "-p", PROFILES[profile], "-i"),
            ",".join(f"rist://@{HOST}:{port}?{query}&session-timeout=2000" for port in ports),
            *("-o", f"udp://{HOST}:{output}"),
        ),
        bad_network(one, 0.05, seed=9) as first,
        bad_network(ports[-1], 0.05, seed=10) as second,
        tz.open_rist_sender(
            [
                f"rist://{HOST}:{port}?profile={profile}&{query}&weight={weight}"
                for port, weight in zip((first, second), weights, strict=True)
            ]
        ) as sender,
    ):
        await both_connected(sender)
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        statistics = sender.statistics()
    arrivals.check()
    shares = [path.media_sent / statistics.sent for path in statistics.paths]
    assert shares == pytest.approx([0.75, 0.25] if any(weights) else [1.0, 1.0], abs=0.02)
    # What is sent twice is hardly ever lost twice; what is shared is.
    assert statistics.retransmitted > 0 or not any(weights)


async def test_two_ristreceivers_call_one_reflector() -> None:
    query = "buffer=1000&session-timeout=2000&secret=for-both&aes-type=128"
    listening = free_pair()
    async with (
        tz.open_rist_sender(f"rist://@{HOST}:{listening}?reflector=1&buffer=1000&secret=for-both") as sender,
        udp_output() as (one, first),
        udp_output() as (two, second),
        bad_network(listening, 0.05, seed=11) as port,
        running(*f"ristreceiver -p 1 -i rist://{HOST}:{port}?{query} -o udp://{HOST}:{one}".split()),
        running(*f"ristreceiver -p 1 -i rist://{HOST}:{port}?{query} -o udp://{HOST}:{two}".split()),
    ):
        with trio.fail_after(15):
            while sum(path.connected for path in sender.statistics().paths) < 2:  # noqa: ASYNC110
                await trio.sleep(0.05)
        await pace(sender.send_packet)
        await first.wait_complete()
        await second.wait_complete()
        statistics = sender.statistics()
    first.check()
    second.check()
    assert all(path.repeats_sent > 20 for path in statistics.paths)
