"""ST 2022-1 against independent implementations: GStreamer's decoder and encoder, ffmpeg's encoder."""

from __future__ import annotations

import os
import random
import shutil
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest
import trio
from trio.testing import MockClock

from terzetto import open_rist_receiver, open_rist_sender
from terzetto.net.endpoint import EndpointOptions
from terzetto.net.network import current_network, use_network
from terzetto.net.ports import open_port_group
from terzetto.net.simulated import LinkConditions, SimulatedNetwork
from terzetto.primitives.datagrams import Address, Run
from terzetto.rist.statistics import RistReceiverStatistics
from terzetto.rtp.header import RtpPacket, pack_header

pytestmark = pytest.mark.interop

CAPS = (
    "application/x-rtp,media=(string)video,clock-rate=(int)90000,encoding-name=(string)MP2T,payload=(int)33"
)
HOST = "127.0.0.1"
COUNT = 800
# Linux's numbers, which Python has no names for.
SO_RCVBUFFORCE: Final = 33
SO_TIMESTAMPNS: Final = 35
PAYLOADS = [index.to_bytes(4, "big") + random.Random(index).randbytes(1312) for index in range(COUNT)]


async def free_ports() -> int:
    """An even port with its neighbour free, and those two and four above it."""
    group = await open_port_group(
        current_network(), EndpointOptions(local=Address(HOST, 0), family=4), beyond=(2, 4)
    )
    for endpoint in group:
        endpoint.close()
    return group[0].local_address.port


def in_bursts(length: int, every: int) -> Callable[[int], bool]:
    """Drop *length* packets in a row, again and again, but leave the beginning and the end of the stream alone."""
    return lambda number: 100 <= number < COUNT - 150 and number % every < length


class LossyWire:
    """Carries media and parities from one group of ports to another, and loses media by number."""

    def __init__(self, source: int, target: int, drop: Callable[[int], bool]) -> None:
        self.media: list[RtpPacket] = []
        self.dropped = 0
        self.parities = 0
        self._source, self._target, self._drop = source, target, drop

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            for offset in (0, 2, 4):
                await nursery.start(self._carry, offset)
            task_status.started()

    async def _carry(self, offset: int, task_status: trio.TaskStatus[None]) -> None:
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            await wire.bind((HOST, self._source + offset))
            task_status.started()
            while True:
                datagram = await wire.recv(65536)
                if offset:
                    self.parities += 1
                else:
                    self.media.append(RtpPacket.decode(datagram))
                    if self._drop(len(self.media) - 1):
                        self.dropped += 1
                        continue
                await wire.sendto(datagram, (HOST, self._target + offset))


@asynccontextmanager
async def running(command: list[str]) -> AsyncIterator[trio.Process]:
    assert shutil.which(command[0]), f"{command[0]} is missing"
    process = await trio.lowlevel.open_process(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def udpsrc(port: int) -> str:
    return f'udpsrc address={HOST} port={port} caps="{CAPS}"'


def udpsink(port: int) -> str:
    return f"udpsink host={HOST} port={port} sync=false async=false"


def gstreamer(pipeline: str) -> list[str]:
    return ["gst-launch-1.0", "-q", *pipeline.replace('"', "").split()]


@pytest.mark.needs("gst-launch-1.0")
@pytest.mark.parametrize(
    ("fec", "burst"),
    [
        ("cols:10,rows:5", in_bursts(7, 97)),
        ("cols:10,rows:5,layout:staircase", in_bursts(7, 97)),
        ("cols:8,rows:-6", in_bursts(8, 131)),
        ("cols:6,rows:1", in_bursts(1, 23)),
    ],
)
async def test_gstreamer_gives_back_what_our_parities_protect(fec: str, burst: Callable[[int], bool]) -> None:
    source, target, out = await free_ports(), await free_ports(), await free_ports()
    wire = LossyWire(source, target, burst)
    came: dict[int, bytes] = {}
    pipeline = (
        f"rtpst2022-1-fecdec name=dec size-time=2000000000 ! {udpsink(out)} {udpsrc(target)} ! dec.sink "
        f"{udpsrc(target + 2)} ! dec.fec_0 {udpsrc(target + 4)} ! dec.fec_1"
    )
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, running(gstreamer(pipeline)):
            with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
                await end.bind((HOST, out))
                await nursery.start(wire.run)
                await trio.sleep(1.0)
                async with open_rist_sender(
                    f"rist://{HOST}:{source}", one_way=True, profile="simple", fec=fec
                ) as sender:
                    for payload in PAYLOADS:
                        await sender.send_packet(payload)
                        await trio.sleep(0.001)
                with trio.move_on_after(1.0):
                    while True:
                        packet = RtpPacket.decode(await end.recv(65536))
                        came[packet.sequence] = bytes(packet.payload)
            nursery.cancel_scope.cancel()
    assert wire.dropped >= 20
    assert len(wire.media) == COUNT
    assert [came.get(packet.sequence) for packet in wire.media] == PAYLOADS


async def feed_rtp(port: int) -> None:
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        for number, payload in enumerate(PAYLOADS):
            # GStreamer's encoder takes no other source number than ST 2022-1's zero.
            timestamp = int(90_000 * trio.current_time()) & 0xFFFF_FFFF
            header = pack_header(33, (65_000 + number) & 0xFFFF, timestamp, 0)
            await source.sendto(header + payload, (HOST, port))
            await trio.sleep(0.001)


@pytest.mark.needs("gst-launch-1.0")
@pytest.mark.parametrize(
    ("encoder", "burst"),
    [
        ("columns=10 rows=5", in_bursts(7, 97)),
        ("columns=10 rows=8 enable-row-fec=false", in_bursts(10, 171)),
        ("columns=8 rows=4 enable-column-fec=false", in_bursts(1, 23)),
    ],
)
async def test_we_give_back_what_gstreamers_parities_protect(
    encoder: str, burst: Callable[[int], bool]
) -> None:
    source, target, into = await free_ports(), await free_ports(), await free_ports()
    wire = LossyWire(source, target, burst)
    received: list[bytes] = []
    pipeline = (
        f"{udpsrc(into)} ! rtpst2022-1-fecenc {encoder} name=enc enc.src ! {udpsink(source)} "
        f"enc.fec_0 ! {udpsink(source + 2)} enc.fec_1 ! {udpsink(source + 4)}"
    )
    with trio.fail_after(30):
        async with (
            trio.open_nursery() as nursery,
            open_rist_receiver(
                f"rist://@{HOST}:{target}", one_way=True, profile="simple", fec="cols:10,rows:5"
            ) as receiver,
            running(gstreamer(pipeline)),
        ):

            async def collect() -> None:
                while True:
                    received.extend(packet.payload for packet in await receiver.receive_packets())

            await nursery.start(wire.run)
            nursery.start_soon(collect)
            await trio.sleep(1.0)
            await feed_rtp(into)
            await trio.sleep(2.0)
            statistics = receiver.statistics()
            nursery.cancel_scope.cancel()
    assert statistics.fec_recovered == statistics.recovered == wire.dropped >= 20
    assert statistics.unrecovered == statistics.requests == 0
    assert not statistics.dropped
    assert received == PAYLOADS


def what_ffmpeg_sends(columns: int, rows: int) -> list[tuple[int, bytes]]:
    """ffmpeg's media (0) and its column (2) and row (4) parities, in the order in which they left.

    The kernel says when each came in, so it does not matter how soon anybody gets to read it.
    """
    source = trio.run(free_ports)
    wires = {}
    for offset in (0, 2, 4):
        wire = wires[offset] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 25)
        wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        wire.bind((HOST, source + offset))
        wire.setblocking(False)
    command = [
        *("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=50", "-t", "4"),
        *("-c:v", "mpeg2video", "-b:v", "4M", "-f", "rtp_mpegts", "-rtp_muxer_options", "ssrc=2000:seq=30"),
        *("-fec", f"prompeg=l={columns}:d={rows}", f"rtp://{HOST}:{source}?rtcpport={source + 1}"),
    ]
    subprocess.run(command, check=True, timeout=40, stdin=subprocess.DEVNULL)
    came: list[tuple[int, int, bytes]] = []
    for offset, wire in wires.items():
        with wire, suppress(BlockingIOError):
            while True:
                datagram, ancillary, _, _ = wire.recvmsg(2048, 64)
                seconds, nanoseconds = struct.unpack("ll", ancillary[0][2])
                came.append((seconds * 10**9 + nanoseconds, offset, datagram))
    return [(offset, datagram) for _, offset, datagram in sorted(came)]


@pytest.mark.needs("ffmpeg")
@pytest.mark.skipif(os.geteuid() != 0, reason="keeps all of it in the kernel's buffer, which takes root")
@pytest.mark.parametrize(("columns", "rows"), [(8, 4), (4, 4), (10, 10)])
def test_we_give_back_what_ffmpegs_prompeg_protects(columns: int, rows: int) -> None:
    sent = what_ffmpeg_sends(columns, rows)
    media = [RtpPacket.decode(datagram) for offset, datagram in sent if offset == 0]
    first = media[0].sequence
    assert [packet.sequence for packet in media] == [(first + n) & 0xFFFF for n in range(len(media))]
    assert len(media) > COUNT
    drop = in_bursts(columns, 5 * columns * rows // 2)
    received: list[bytes] = []
    dropped = 0

    async def replay() -> RistReceiverStatistics:
        """At the pace of its own timestamps, over a simulated wire that loses nothing but what it is told to."""
        nonlocal dropped
        network = SimulatedNetwork(1)
        alice, bob = network.add_host("alice", "10.0.0.1"), network.add_host("bob", "10.0.0.2")
        network.connect(alice, bob, LinkConditions(delay=0.01))
        with use_network(bob):
            async with (
                open_rist_receiver(
                    "rist://@:5000", one_way=True, profile="simple", fec="cols:10,rows:10"
                ) as receiver,
                trio.open_nursery() as nursery,
            ):

                async def collect() -> None:
                    while True:
                        received.extend(packet.payload for packet in await receiver.receive_packets())

                nursery.start_soon(collect)
                wire = await alice.open_datagram_endpoint(EndpointOptions(family=4))
                began, number = trio.current_time(), 0
                for offset, datagram in sent:
                    if offset == 0:
                        elapsed = (media[number].timestamp - media[0].timestamp) & 0xFFFF_FFFF
                        await trio.sleep_until(began + elapsed / 90_000)
                        number += 1
                        if drop(number - 1):
                            dropped += 1
                            continue
                    wire.send_nowait([Run(Address("10.0.0.2", 5000 + offset), [datagram])])
                await trio.sleep(2.0)
                wire.close()
                nursery.cancel_scope.cancel()
            return receiver.statistics()

    statistics = trio.run(replay, clock=MockClock(autojump_threshold=0))
    assert dropped >= columns
    assert statistics.fec_recovered == dropped
    assert statistics.unrecovered == 0
    assert received == [bytes(packet.payload) for packet in media]
