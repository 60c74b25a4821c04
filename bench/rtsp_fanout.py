"""Fan-out of one RTSP stream to many readers: CPU per gigabyte delivered and losses, beside gst-rtsp-server.

    python -m bench.rtsp_fanout [--readers 1,10,50,100] [--transport tcp,udp] [--rate 8] [--seconds 8] [--repeat 3]
        [--out bench/results/rtsp-fanout.jsonl] [--into docs/performance.md]

Both servers send the same paced stream to the same readers, which are a C program that counts and does nothing else,
in turn, repeat by repeat, so that they share the machine's good and bad moments. CPU is that of the server's process.
Ours makes its packets itself; gst-rtsp-server (run by the system's Python, which has its bindings) takes them from a
``udpsrc``. The last row is one reader over TCP as fast as it goes.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from bench.child import Child
from bench.machine import BenchError, busy, tool
from bench.rtsp_server import INTERVAL, PAYLOAD
from bench.table import replace_between

__all__ = ["FanOut", "main", "make_parser", "table"]

KINDS: Final = ("terzetto", "gst")
BEGIN: Final = "<!-- bench rtsp: begin -->"
END: Final = "<!-- bench rtsp: end -->"
_PATIENCE: Final = 60.0


@attrs.frozen(kw_only=True)
class FanOut:
    """One run."""

    server: str
    transport: str
    readers: int
    rate: float
    """Mbit/s of payload to each; 0 is as fast as it goes."""
    seconds: float
    cpu: float = 0.0
    """Processor seconds of the server."""
    bytes: int = 0
    """Payload that all readers received together."""
    packets: int = 0
    lost: int = 0
    foreign_cpu_percent: float = 0.0
    """What else ran on the machine, readers and feeder included."""
    error: str = ""

    @property
    def cpu_per_gb(self) -> float:
        """Processor seconds for 10⁹ bytes that readers received."""
        return self.cpu / max(self.bytes, 1) * 1e9

    @property
    def mbits(self) -> float:
        """Mbit/s of payload, of all readers together."""
        return 8e-6 * self.bytes / self.seconds

    @property
    def delivered_percent(self) -> float:
        """Of what all readers together should have had in that time."""
        return min(100 * self.mbits / (self.rate * self.readers), 100.0) if self.rate else 100.0

    @property
    def lost_percent(self) -> float:
        """Of what should have come."""
        return 100 * self.lost / max(self.packets + self.lost, 1)

    def line(self) -> str:
        """For people who watch."""
        head = f"{self.server:9} {self.transport} {self.readers:4} readers"
        if self.error:
            return f"{head}: {self.error}"
        return (
            f"{head}: {self.cpu_per_gb:6.2f} CPU s/GB, {100 * self.cpu / self.seconds:5.1f} % of a core, "
            f"{self.mbits:7.1f} Mbit/s, lost {self.lost_percent:.3f} %"
        )


_GST: Final = """
import gi, sys
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(); server.set_address("127.0.0.1"); server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory(); factory.set_shared(True)
port = int(sys.argv[1])
source = (
    'udpsrc port=%d address=127.0.0.1 buffer-size=4000000 caps="application/x-rtp,media=video,'
    'clock-rate=90000,encoding-name=MP2T,payload=33" ! rtpmp2tdepay' % port
    if port else 'fakesrc sizetype=fixed sizemax=1316 filltype=nothing ! video/mpegts,packetsize=188,systemstream=true'
)
factory.set_launch("( %s ! rtpmp2tpay name=pay0 pt=33 mtu=1328 )" % source)
server.get_mount_points().add_factory("/live", factory)
server.attach(None); print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@contextmanager
def _server(kind: str, rate: float) -> Iterator[tuple[Child, int]]:
    """A server at work, and its port."""
    if kind == "terzetto":
        with _child([sys.executable, "-m", "bench.rtsp_server", str(rate)]) as child:
            yield child, int(child.lines().readline())
        return
    if not rate:
        with _child(["/usr/bin/python3", "-c", _GST, "0"]) as child:
            yield child, int(child.lines().readline())
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = threading.Event()
    feeder = threading.Thread(target=_feed, args=(port, rate, stop))
    with _child(["/usr/bin/python3", "-c", _GST, str(port)]) as child:
        feeder.start()
        try:
            yield child, int(child.lines().readline())
        finally:
            stop.set()
            feeder.join()


@contextmanager
def _child(argv: Sequence[str]) -> Iterator[Child]:
    child = Child(argv, capture="stdout")
    try:
        yield child
    finally:
        child.close()


def _feed(port: int, rate: float, stop: threading.Event) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sent, began = 0, time.monotonic()
    while not stop.wait(INTERVAL):
        elapsed = time.monotonic() - began
        count = int(elapsed * rate * 1e6 / 8 / len(PAYLOAD)) - sent
        for number in range(sent, sent + count):
            header = struct.pack("!BBHII", 0x80, 33, number & 0xFFFF, int(elapsed * 90_000) & 0xFFFFFFFF, 1)
            sock.sendto(header + PAYLOAD, ("127.0.0.1", port))
        sent += count
    sock.close()


def measure(kind: str, transport: str, readers: int, rate: float, seconds: float) -> FanOut:
    """One run."""
    result = FanOut(server=kind, transport=transport, readers=readers, rate=rate, seconds=seconds)
    with _server(kind, rate) as (server, port):
        argv = [tool("rtspread"), "127.0.0.1", str(port), "/live", transport, str(readers), str(seconds)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        watchdog = threading.Timer(_PATIENCE + seconds, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                return attrs.evolve(result, error=_last_words(process))
            before, machine = _cpu(server.pid), busy()
            line = process.stdout.readline()
            cpu, after = _cpu(server.pid) - before, busy()
            if not line:
                return attrs.evolve(result, error=_last_words(process))
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
    size, packets, lost = map(int, line.split())
    everything = max(after.everything - machine.everything, 1e-9)
    return attrs.evolve(
        result,
        cpu=cpu,
        bytes=size,
        packets=packets,
        lost=lost,
        foreign_cpu_percent=100 * max(after.working - machine.working - cpu, 0.0) / everything,
    )


def _cpu(pid: int) -> float:
    # To a hundredth of a second, but of threads that have ended as well: gst-rtsp-server's come and go.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _last_words(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.read().strip()[-200:] or "the readers did not get started"


def table(results: Sequence[FanOut]) -> str:
    """Medians of both servers, row by row."""
    rows = [
        "| by | readers | terzetto, CPU s/GB | gst-rtsp-server, CPU s/GB | ratio | delivered %, terzetto | gst |",
        "|---|---|---|---|---|---|---|",
    ]
    paced = [each for each in results if each.rate and not each.error]
    for transport, readers in dict.fromkeys((each.transport, each.readers) for each in paced):
        own, other = (
            [
                each
                for each in paced
                if (each.transport, each.readers, each.server) == (transport, readers, kind)
            ]
            for kind in KINDS
        )
        if own and other:
            ours, theirs = (statistics.median(each.cpu_per_gb for each in runs) for runs in (own, other))
            came = (statistics.median(each.delivered_percent for each in runs) for runs in (own, other))
            cells = [transport.upper(), str(readers), f"{ours:.1f}", f"{theirs:.1f}", f"{ours / theirs:.2f}"]
            rows.append(f"| {' | '.join([*cells, *(f'{each:.1f}' for each in came)])} |")
    fast = [each for each in results if not each.rate and not each.error]
    if fast:
        rows += ["", "| one reader over TCP, as fast as it goes | Mbit/s | CPU s/GB |", "|---|---|---|"]
    for kind in KINDS:
        runs = [each for each in fast if each.server == kind]
        if runs:
            speed = statistics.median(each.mbits for each in runs)
            cost = statistics.median(each.cpu_per_gb for each in runs)
            rows.append(f"| {kind} | {speed:.0f} | {cost:.1f} |")
    return "\n".join(rows) + "\n"


def make_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--readers", default="1,10,50,100")
    add("--transport", default="tcp,udp")
    add("--server", default=",".join(KINDS))
    add("--rate", type=float, default=8.0, help="Mbit/s of payload to each reader")
    add("--seconds", type=float, default=8.0)
    add("--repeat", type=int, default=3)
    add("--no-fastest", action="store_true", help="leave out the reader that sets the pace")
    add("--out", type=Path, help="append every run to this file, a line of JSON each")
    add("--report", type=Path, nargs="+", help="measure nothing, make the table of these files")
    add("--into", type=Path, help=f"write the table into a page, between {BEGIN} and its end")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print a table of medians; 0 when every run gave figures."""
    options = make_parser().parse_args(argv)
    if options.report:
        lines = [line for path in options.report for line in path.read_text().splitlines()]
        results = [FanOut(**json.loads(line)) for line in lines]
    else:
        results = _measure_all(options)
    text = table(results)
    print(text, end="")
    if options.into:
        page: Path = options.into
        page.write_text(replace_between(page.read_text(), text, begin=BEGIN, end=END))
    return 1 if any(result.error for result in results) else 0


def _measure_all(options: argparse.Namespace) -> list[FanOut]:
    if not os.path.exists("/usr/bin/python3"):
        raise BenchError("gst-rtsp-server is run by /usr/bin/python3, which is missing")
    cases = [
        (transport, int(readers), options.rate)
        for transport in options.transport.split(",")
        for readers in options.readers.split(",")
    ]
    if not options.no_fastest:
        cases.append(("tcp", 1, 0.0))
    results = []
    for _ in range(options.repeat):
        for transport, readers, rate in cases:
            for kind in options.server.split(","):
                result = measure(kind, transport, readers, rate, options.seconds)
                print(result.line(), file=sys.stderr, flush=True)
                results.append(result)
                if options.out:
                    with options.out.open("a", encoding="utf-8") as out:
                        out.write(json.dumps(attrs.asdict(result)) + "\n")
    return results


if __name__ == "__main__":
    sys.exit(main())
