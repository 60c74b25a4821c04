"""RIST Simple against libRIST's tools and ffmpeg, both directions, clean and on a network that loses.

libRIST has no reversed Simple (a receiver that calls a sender), so that is tried among ourselves, over real sockets.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.mpegts.packet import null_packet
from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.rist.options import NackType
from tests.interop.rist_peers import (
    LEAD,
    Arrivals,
    bad_network,
    free_pair,
    pace,
    running,
    udp_input,
    udp_output,
)

pytestmark = [pytest.mark.interop, pytest.mark.needs("ristsender", "ristreceiver", "ffmpeg", "tshark")]

# libRIST 0.2.7 gives a peer up after a quarter of a second unless told otherwise.
QUERY = "buffer=500&session-timeout=2000"


async def collect(receiver: tz.RistReceiver, arrivals: Arrivals) -> None:
    async for chunk in receiver:
        arrivals.data += chunk


@pytest.mark.parametrize(
    ("loss", "nack_type"),
    [(0.0, "range"), (0.05, "range"), (0.05, "bitmask"), (0.1, "range"), (0.1, "bitmask")],
)
async def test_ristsender_to_us(loss: float, nack_type: NackType) -> None:
    arrivals = Arrivals()
    into_tool = free_pair()
    async with (
        tz.open_rist_receiver(
            "rist://@127.0.0.1:0?profile=simple", buffer=0.5, nack_type=nack_type
        ) as receiver,
        bad_network(receiver.local_address.port, loss, seed=7) as port,
        running(
            *("ristsender", "-p", "0", "-i", f"udp://@127.0.0.1:{into_tool}"),
            *("-o", f"rist://127.0.0.1:{port}?{QUERY}&cname=tool"),
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
    statistics = receiver.statistics()
    assert statistics.peer.cname == "tool"
    assert statistics.peer.round_trip_measured
    assert (statistics.recovered > 30) == (loss > 0)
    assert statistics.dropped == {}


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.1])
async def test_we_to_ristreceiver(loss: float) -> None:
    listening = free_pair()
    async with (
        udp_output() as (output, arrivals),
        running(
            *(
                "ristreceiver",
                "-p",
                "0",
                "-i",
                f"rist://@127.0.0.1:{listening}?{QUERY}&cname=tool",
            ),
            *("-o", f"udp://127.0.0.1:{output}"),
        ),
        bad_network(listening, loss, seed=8) as port,
        tz.open_rist_sender(f"rist://127.0.0.1:{port}?{QUERY}&profile=simple") as sender,
    ):
        with trio.fail_after(5):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        statistics = sender.statistics()
    arrivals.check()
    assert statistics.peer.cname == "tool"
    assert statistics.peer.round_trip_measured
    assert (statistics.retransmitted > 30) == (loss > 0)
    assert statistics.dropped == {}


@pytest.mark.parametrize("loss", [0.0, 0.1])
async def test_a_receiver_of_ours_calls_a_sender_of_ours(loss: float) -> None:
    arrivals = Arrivals()
    async with (
        tz.open_rist_sender("rist://@127.0.0.1:0?profile=simple", buffer=0.5) as sender,
        bad_network(sender.local_address.port, loss, seed=9) as port,
        tz.open_rist_receiver(f"rist://127.0.0.1:{port}?profile=simple", buffer=0.5) as receiver,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        with trio.fail_after(5):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()
    assert receiver.statistics().unrecovered == 0


async def test_ffmpeg_to_us() -> None:
    arrivals = Arrivals()
    async with (
        tz.open_rist_receiver("rist://@127.0.0.1:0?profile=simple", buffer=0.5) as receiver,
        bad_network(receiver.local_address.port, 0.05, seed=10) as port,
        running(
            *("ffmpeg", "-v", "error", "-f", "data", "-i", "pipe:0", "-map", "0", "-c", "copy", "-f", "data"),
            *(
                "-flush_packets",
                "1",
                "-rist_profile",
                "simple",
                f"rist://127.0.0.1:{port}?{QUERY}",
            ),
        ) as ffmpeg,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(collect, receiver, arrivals)
        assert ffmpeg.stdin is not None
        await pace(ffmpeg.stdin.send_all)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()
    assert receiver.statistics().recovered > 30


async def test_we_to_ffmpeg() -> None:
    listening = free_pair()
    arrivals = Arrivals()
    async with (
        running(
            *("ffmpeg", "-v", "error", "-f", "data", "-rist_profile", "simple"),
            *(
                "-i",
                f"rist://@127.0.0.1:{listening}?{QUERY}",
                "-map",
                "0",
                "-c",
                "copy",
                "-f",
                "data",
            ),
            *("-flush_packets", "1", "pipe:1"),
        ) as ffmpeg,
        bad_network(listening, 0.05, seed=11) as port,
        tz.open_rist_sender(f"rist://127.0.0.1:{port}?{QUERY}&profile=simple") as sender,
        trio.open_nursery() as nursery,
    ):

        async def read() -> None:
            assert ffmpeg.stdout is not None
            async for chunk in ffmpeg.stdout:
                arrivals.data += chunk

        nursery.start_soon(read)
        with trio.fail_after(5):
            await sender.wait_connected()
        await pace(sender.send_packet)
        await arrivals.wait_complete()
        nursery.cancel_scope.cancel()
    arrivals.check()
    assert sender.statistics().retransmitted > 30


def test_wireshark_finds_nothing_malformed_in_what_we_send(tmp_path: Path) -> None:
    capture = tmp_path / "rist.pcapng"

    async def talk() -> None:
        network = SimulatedNetwork(3)
        alice, bob = network.add_host("alice"), network.add_host("bob")
        network.connect(alice, bob, LinkConditions(delay=0.02, loss=0.1))
        for nack_type in ("range", "bitmask"):
            with use_network(bob):
                async with tz.open_rist_receiver(
                    "rist://@:5000?profile=simple", buffer=0.2, nack_type=nack_type
                ) as receiver:
                    with use_network(alice):
                        async with tz.open_rist_sender(
                            "rist://bob:5000?profile=simple", buffer=0.2
                        ) as sender:
                            for _ in range(LEAD):
                                await sender.send_packet(7 * null_packet())
                                await trio.sleep(0.002)
                            await receiver.receive_packets()
        network.write_capture(capture)

    trio.run(talk, clock=MockClock(autojump_threshold=0))
    ports = {"5000": "rtp", "5001": "rtcp"}
    decode = [part for port, kind in ports.items() for part in ("-d", f"udp.port=={port},{kind}")]
    fields = ["_ws.malformed", "_ws.expert.severity", "rtp.seq", "rtcp.pt", "rtcp.app.name", "rtcp.sdes.text"]
    listing = subprocess.run(
        ["tshark", "-r", str(capture), *decode, "-T", "fields", "-E", "separator=;"]
        + [part for field in fields for part in ("-e", field)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows = [line.split(";") for line in listing.splitlines()]
    assert len(rows) > 2 * LEAD
    assert [row for row in rows if row[0]] == []
    error = str(0x800000)
    assert [row for row in rows if error in row[1].split(",")] == []
    assert sum(bool(row[2]) for row in rows) > 2 * LEAD
    kinds = {kind for row in rows for kind in row[3].split(",") if kind}
    assert kinds == {"200", "201", "202", "203", "204", "205", "207"}
    assert any("RIST" in row[4] for row in rows)
    assert any("terzetto" in row[5] for row in rows)
