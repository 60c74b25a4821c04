"""Fan-out of one stream to many readers: CPU per gigabyte delivered and losses, beside gst-rtsp-server.

    python bench/rtsp_fanout.py --readers 1,10,50,100 --transport tcp,udp [--gst] [--rate 8] [--seconds 10]

The readers run in a process of their own, which reads and counts and does nothing else. CPU is that of the server's
process, which makes the packets as well; ``--gst`` runs the same stream through gst-rtsp-server (the system's Python
with its bindings), whose source is a ``udpsrc`` fed by this program, at a rate that is the same.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import trio

from terzetto.rtp.header import pack_header
from terzetto.rtsp.client import open_rtsp_client
from terzetto.rtsp.server import PathHandler, RtspServer, serve_rtsp
from terzetto.rtsp.stream import ServerStream
from terzetto.rtsp.wire.description import Description

PAYLOAD = bytes(1316)
INTERVAL = 0.02


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _read(url: str, transport: str, count: int, seconds: float, out: Connection) -> None:
    """Read *count* times at once with plain sockets; send back (bytes, packets, lost)."""
    trio.run(_read_all, url, transport, count, seconds, out)


async def _read_all(url: str, transport: str, count: int, seconds: float, out: Connection) -> None:
    totals = [0, 0, 0]
    ready = 0

    async def one() -> None:
        nonlocal ready
        async with open_rtsp_client(url, transport=transport, tick=0.02) as client:
            description = await client.describe()
            async with client.play(description.medias[:1]) as playback:
                await playback.receive_packets()
                ready += 1
                await started.wait()
                before = playback.statistics()
                with trio.move_on_after(seconds):
                    while True:
                        await playback.receive_packets()
                after = playback.statistics()
                totals[0] += after.bytes - before.bytes
                totals[1] += after.packets - before.packets
                totals[2] += after.lost - before.lost

    started = trio.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
            await trio.sleep(0.01)
        while ready < count:  # noqa: ASYNC110
            await trio.sleep(0.05)
        out.send("ready")
        started.set()
    out.send(tuple(totals))


async def _serve(
    transport: str, readers: int, rate: float, seconds: float
) -> tuple[float, tuple[int, int, int]]:
    stream = ServerStream(Description.mpeg_ts("bench"))
    async with trio.open_nursery() as nursery:
        server: RtspServer = await nursery.start(
            serve_rtsp, PathHandler({"/live": stream}), "rtsp://127.0.0.1:0"
        )
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_read, args=(f"{server.url}/live", transport, readers, seconds, theirs)
        )
        process.start()
        nursery.start_soon(_feed, stream, rate)
        await trio.to_thread.run_sync(ours.recv)
        before = _cpu()
        await trio.sleep(seconds)
        used = _cpu() - before
        totals: tuple[int, int, int] = await trio.to_thread.run_sync(ours.recv)
        process.join()
        nursery.cancel_scope.cancel()
    return used, totals


async def _feed(stream: ServerStream, rate: float) -> None:
    per_batch = rate * 1e6 * INTERVAL / 8 / len(PAYLOAD)
    sequence, owed, due = 0, 0.0, trio.current_time()
    while True:
        owed += per_batch
        batch = []
        timestamp = int(time.monotonic() * 90_000) & 0xFFFFFFFF
        while owed >= 1:
            owed -= 1
            batch.append(pack_header(33, sequence, timestamp, 1) + PAYLOAD)
            sequence = sequence + 1 & 0xFFFF
        stream.write(0, batch)
        due += INTERVAL
        await trio.sleep_until(due)


_GST = """
import gi, sys
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(); server.set_address("127.0.0.1"); server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory(); factory.set_shared(True)
factory.set_launch('( udpsrc port=%s address=127.0.0.1 buffer-size=4000000 caps="application/x-rtp,media=video,'
    'clock-rate=90000,encoding-name=MP2T,payload=33" ! rtpmp2tdepay ! rtpmp2tpay name=pay0 pt=33 )' % sys.argv[1])
server.get_mount_points().add_factory("/live", factory)
server.attach(None); print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


def _gst(transport: str, readers: int, rate: float, seconds: float) -> tuple[float, tuple[int, int, int]]:
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    server = subprocess.Popen(["/usr/bin/python3", "-c", _GST, str(port)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = f"rtsp://127.0.0.1:{server.stdout.readline().strip()}/live"
    stop = threading.Event()
    feeder = threading.Thread(target=_feed_udp, args=(port, rate, stop))
    feeder.start()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_read, args=(url, transport, readers, seconds, theirs)
    )
    process.start()
    try:
        ours.recv()
        before = _cpu_of(server.pid)
        time.sleep(seconds)
        used = _cpu_of(server.pid) - before
        totals: tuple[int, int, int] = ours.recv()
        process.join()
    finally:
        stop.set()
        feeder.join()
        server.terminate()
        server.wait()
    return used, totals


def _feed_udp(port: int, rate: float, stop: threading.Event) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    per_batch = rate * 1e6 * INTERVAL / 8 / len(PAYLOAD)
    sequence, owed, due = 0, 0.0, time.monotonic()
    packet = (b"\x47\x1f\xff\x10" + bytes(184)) * 7
    while not stop.is_set():
        owed += per_batch
        timestamp = int(time.monotonic() * 90_000) & 0xFFFFFFFF
        while owed >= 1:
            owed -= 1
            sock.sendto(struct.pack("!BBHII", 0x80, 33, sequence, timestamp, 1) + packet, ("127.0.0.1", port))
            sequence = sequence + 1 & 0xFFFF
        due += INTERVAL
        time.sleep(max(0.0, due - time.monotonic()))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print one line per case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", default="1,10,50,100")
    parser.add_argument("--transport", default="tcp,udp")
    parser.add_argument("--rate", type=float, default=8.0, help="Mbit/s of payload")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--gst", action="store_true", help="measure gst-rtsp-server as well")
    options = parser.parse_args()
    print(f"{'server':10} {'by':4} {'readers':>7} {'CPU s/GB':>9} {'CPU %':>6} {'Mbit/s':>8} {'lost':>6}")
    for transport in options.transport.split(","):
        for readers in map(int, options.readers.split(",")):
            kinds = ["terzetto", "gst"] if options.gst else ["terzetto"]
            for kind in kinds:
                if kind == "gst":
                    used, totals = _gst(transport, readers, options.rate, options.seconds)
                else:
                    used, totals = trio.run(_serve, transport, readers, options.rate, options.seconds)
                size, _, lost = totals
                print(
                    f"{kind:10} {transport:4} {readers:7} {used / max(size, 1) * 1e9:9.2f}"
                    f" {100 * used / options.seconds:6.1f} {8e-6 * size / options.seconds:8.1f} {lost:6}"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
