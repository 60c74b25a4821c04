"""One measured run::

    tsgen -> UDP -> [sender] -> (impair) -> [receiver] -> UDP -> tssink

The source sends 1316-byte payloads (7 TS packets) at an even pace, in steps of half a millisecond; each carries a
number and the moment it was sent. The sink checks every byte, counts, and keeps the delay of each. A low-rate lead
and tail around the measured part let the peers connect and notice the last losses; they are not counted.
"""

from __future__ import annotations

import json
import os
import shlex
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs

from bench.cases import Case
from bench.child import Child, Cpu
from bench.machine import BenchError, Busy, busy, tool, udp_sockets
from bench.result import Result

__all__ = ["Settings", "measure"]

HOST: Final = "127.0.0.1"
PAYLOAD: Final = 1316

# Even, for the port pairs of RIST Simple; $BENCH_PORT lets two benches run side by side.
_FIRST_PORT: Final = int(os.environ.get("BENCH_PORT", "21000"))
_PORTS_PER_RUN: Final = 20
_PORT_RANGE: Final = 4000


@attrs.frozen(kw_only=True)
class Settings:
    """How to measure."""

    rate: float
    """Payload, Mbit/s."""
    latency: int = 200
    """Recovery buffer, milliseconds."""
    impairment: str = ""
    """Options of ``bench/c/impair.c``; empty leaves the path alone."""
    seconds: float = 8.0
    lead: float = 1.2
    tick_us: float = 500.0
    repeat: int = 0
    nice: int = -10
    """For source, sink and faulty path, where the system grants it."""
    logs: Path | None = None
    """A folder for what the peers print."""


# A source that could not send for this long was not measuring the peers but a machine that stood still.
_MOST_SLIP: Final = 500.0
_MORE_TRIES: Final = 2


def measure(case: Case, settings: Settings) -> Result:
    """Run *case* once, or again when the machine stood still meanwhile.

    Never raises for what a peer does wrong: the result says it.
    """
    result = _measure_once(case, settings)
    for _ in range(_MORE_TRIES):
        if result.source_slipped < _MOST_SLIP:
            return result
        result = _measure_once(case, settings)
    return attrs.evolve(result, error=f"the machine stood still for {result.source_slipped:.0f} ms")


def _measure_once(case: Case, settings: Settings) -> Result:
    with ExitStack() as stack:
        bench = _Run(case, settings, stack)
        try:
            return bench.measure()
        except BenchError as exc:
            return bench.result(error=str(exc))


class _Run:
    _next_port = _FIRST_PORT

    def __init__(self, case: Case, settings: Settings, stack: ExitStack) -> None:
        self._case = case
        self._settings = settings
        self._stack = stack
        self._port = self._take_ports()
        self._rx_port = self._port + 4
        self._dst_port = self._port + 8 if settings.impairment else self._rx_port
        self._out_port = self._port + 12
        # With the second path's, and where a profile has two, the one above each.
        self._receiving_ports = [self._rx_port, self._rx_port + 1, self._port + 14, self._port + 15]
        self._nice = ["--nice", str(settings.nice)] if settings.nice else []
        self._tokens = {
            "host": HOST,
            "in_port": str(self._port),
            "rx_port": str(self._rx_port),
            "dst_port": str(self._dst_port),
            "out_port": str(self._out_port),
            "aux_port": str(self._port + 14),
            "aux_port2": str(self._port + 15),
            "latency": str(settings.latency),
            # Ten times the rate: nobody shall hold repeats back for want of permission.
            "bandwidth": str(int(max(100.0, settings.rate) * 10_000)),
            "passphrase": "benchpassphrase16",
        }

    @classmethod
    def _take_ports(cls) -> int:
        taken = cls._next_port
        cls._next_port = _FIRST_PORT + (taken + _PORTS_PER_RUN - _FIRST_PORT) % _PORT_RANGE
        return taken

    def measure(self) -> Result:
        """Start everything, wait, and collect."""
        settings = self._settings
        sink = self._start_sink()
        sender, receiver = self._start_peers()
        source = _Source(
            self._start(
                tool("tsgen"),
                *("--dest", f"{HOST}:{self._port}", "--rate", str(settings.rate)),
                *("--seconds", str(settings.seconds), "--lead", str(settings.lead)),
                *("--tail", str(settings.latency / 1000 + 0.8), "--tick-us", str(settings.tick_us)),
                *self._nice,
                capture="stderr",
            )
        )
        watched = [sender, receiver, sink, source.child]
        source.started.wait(settings.lead + 10)
        before, busy_before = [child.cpu() for child in watched], busy()
        source.ended.wait(settings.seconds * 3 + 10)
        time.sleep(settings.latency / 1000 + 0.3)
        after, busy_after = [child.cpu() for child in watched], busy()
        used = [_difference(late, early) for late, early in zip(after, before, strict=True)]
        source.wait()
        sockets = udp_sockets()
        died = tuple(
            name for name, child in (("sender", sender), ("receiver", receiver)) if child.has_ended()
        )
        memory = sender.peak_memory(), receiver.peak_memory()
        sender.stop()
        receiver.stop()
        printed = sink.finish()
        if not source.figures or not printed:
            raise BenchError("no figures from the source or the sink")
        ours = sum(cpu.total for cpu in used)
        drops = [
            sum(sockets[port].drops for port in ports if port in sockets)
            for ports in ([self._port], self._receiving_ports, [self._out_port])
        ]
        return self._figures(
            source.figures,
            json.loads(printed),
            cpu=(used[0], used[1]),
            life=(sender.life or Cpu(0, 0), receiver.life or Cpu(0, 0)),
            sender_memory=memory[0],
            receiver_memory=memory[1],
            dropped_by_sender_input=drops[0],
            dropped_by_receiver_input=drops[1],
            dropped_by_sink=drops[2],
            died=died,
            **_foreign(busy_before, busy_after, ours),
        )

    def result(self, **figures: Any) -> Result:
        """What was asked for, with these figures."""
        case, settings = self._case, self._settings
        return Result(
            mode=case.mode,
            pair=case.name,
            is_reference=case.sender.is_reference and case.sender == case.receiver,
            rate=settings.rate,
            latency=settings.latency,
            impairment=settings.impairment,
            seconds=settings.seconds,
            repeat=settings.repeat,
            **figures,
        )

    def _figures(
        self,
        source: dict[str, float],
        sink: dict[str, float],
        *,
        cpu: tuple[Cpu, Cpu],
        life: tuple[Cpu, Cpu],
        **others: Any,
    ) -> Result:
        sent, delivered = int(source["sent"]), int(sink["unique"])
        gigabytes = sent * PAYLOAD / 1e9
        held_back = self._settings.latency if self._case.sender.buffers else 0
        return self.result(
            sent=sent,
            delivered=delivered,
            undelivered_percent=100.0 * (sent - delivered) / sent,
            duplicates=int(sink["dups"]),
            out_of_order=int(sink["ooo"]),
            corrupt=int(sink["corrupt"]),
            sender_cpu_per_gb=cpu[0].total / gigabytes,
            receiver_cpu_per_gb=cpu[1].total / gigabytes,
            sender_life_per_gb=life[0].total / gigabytes,
            receiver_life_per_gb=life[1].total / gigabytes,
            added_delay=sink["lat_p50_ms"] - held_back,
            delay_p50=sink["lat_p50_ms"],
            delay_p99=sink["lat_p99_ms"],
            delay_max=sink["lat_max_ms"],
            source_lag=source["max_lag_us"] / 1000,
            source_slipped=source["slipped_us"] / 1000,
            **others,
        )

    def _start_sink(self) -> Child:
        settings = self._settings
        room = int(settings.rate * 1e6 * settings.seconds / 8 / PAYLOAD) + 1000
        arguments = "--listen", f"{HOST}:{self._out_port}", "--max-packets", str(room)
        return self._start(tool("tssink"), *arguments, *self._nice, capture="stdout")

    def _start_peers(self) -> tuple[Child, Child]:
        """Sender and receiver, whichever has to be there first, first; the faulty path in between."""
        if self._case.sender.sender_first:
            sender = self._start_sender()
            receiver = self._start_receiver()
            time.sleep(0.3)
            return sender, receiver
        receiver = self._start_receiver()
        _wait_bound(self._rx_port, receiver)
        if self._settings.impairment:
            offsets = self._case.sender.maps
            maps = [f"{self._dst_port + offset}:{self._rx_port + offset}" for offset in offsets]
            options = [part for each in maps for part in ("--map", each)]
            options += shlex.split(self._settings.impairment)
            self._start(
                tool("impair"),
                *options,
                "--seed",
                str(self._settings.repeat + 1),
                *self._nice,
                capture="stdout",
            )
            time.sleep(0.1)
        return self._start_sender(), receiver

    def _start_sender(self) -> Child:
        sender = self._start(*self._case.sender_command(self._tokens), log="sender")
        _wait_bound(self._port, sender)
        return sender

    def _start_receiver(self) -> Child:
        return self._start(*self._case.receiver_command(self._tokens), log="receiver")

    def _start(self, *argv: str, log: str = "", capture: str = "") -> Child:
        path: Path | None = None
        if log and self._settings.logs is not None:
            self._settings.logs.mkdir(parents=True, exist_ok=True)
            name = self._case.name.replace(" → ", "-to-")
            path = self._settings.logs / f"{self._case.mode}-{name}-{self._settings.rate:g}-{log}.log"
        try:
            child = Child(argv, log=path, capture=capture)
        except OSError as exc:
            raise BenchError(f"cannot start {argv[0]}: {exc.strerror}") from exc
        self._stack.callback(child.close)
        return child


class _Source:
    """Reads what the source says of itself while it runs."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.started, self.ended = threading.Event(), threading.Event()
        self.figures: dict[str, float] = {}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for its end."""
        self.child.wait(15)
        self._thread.join(5)

    def _read(self) -> None:
        for line in self.child.lines():
            if line.startswith(b"START"):
                self.started.set()
            elif line.startswith(b"END"):
                self.ended.set()
            elif line.startswith(b"{"):
                self.figures = json.loads(line)
        self.started.set()
        self.ended.set()


def _wait_bound(port: int, child: Child, patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while port not in udp_sockets():
        if child.has_ended():
            raise BenchError(f"{child.argv[0]} ended before it bound port {port}; --logs keeps what it said")
        if time.monotonic() > deadline:
            raise BenchError(f"{child.argv[0]} did not bind port {port}; --logs keeps what it said")
        time.sleep(0.02)


def _difference(late: Cpu, early: Cpu) -> Cpu:
    return Cpu(late.user - early.user, late.system - early.system)


def _foreign(before: Busy, after: Busy, ours: float) -> dict[str, float]:
    span = after.everything - before.everything
    if not span:
        return {}
    return {
        "foreign_cpu_percent": 100.0 * max(0.0, after.working - before.working - ours) / span,
        "stolen_cpu_percent": 100.0 * (after.stolen - before.stolen) / span,
    }
