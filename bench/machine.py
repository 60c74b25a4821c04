"""This machine: its sockets, its processors, and the C tools built for it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["BenchError", "Busy", "UdpSocket", "busy", "tool", "udp_sockets"]

_SOURCES: Final = Path(__file__).resolve().parent / "c"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The bench cannot run here as asked."""


class UdpSocket(NamedTuple):
    """What the kernel says of the sockets on one port."""

    queued: int
    drops: int


class Busy(NamedTuple):
    """Processor seconds of the whole machine since it was switched on."""

    working: float
    everything: float
    stolen: float


def udp_sockets() -> dict[int, UdpSocket]:
    """Every UDP port in use."""
    found: dict[int, UdpSocket] = {}
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            port = int(fields[1].rpartition(":")[2], 16)
            before = found.get(port, UdpSocket(0, 0))
            queued = int(fields[4].split(":")[1], 16)
            found[port] = UdpSocket(before.queued + queued, before.drops + int(fields[-1]))
    return found


def busy() -> Busy:
    """How busy the machine has been; differences are what it is good for."""
    fields = [int(each) / _TICKS for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return Busy(sum(fields) - fields[3] - fields[4], sum(fields), fields[7])


def tool(name: str) -> str:
    """The path of a C tool of ours, built on first use.

    The folder is ``$BENCH_BUILD``, or one in the temporary folder named after a digest of the sources, so that
    changed sources are built anew.
    """
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.glob("*.[ch]")):
        digest.update(source.read_bytes())
    chosen = os.environ.get("BENCH_BUILD")
    folder = Path(chosen or tempfile.gettempdir()) / f"terzetto-bench-{digest.hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / name
    if not built.exists():
        compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
        if not compiler:
            raise BenchError("the source and the sink of the bench are written in C: install gcc, or set CC")
        fresh = built.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-o", str(fresh), str(_SOURCES / f"{name}.c")], check=True)
        fresh.replace(built)
    return str(built)
