"""SRT's file mode: how fast a file goes over loopback, and for how much processor time, beside srt-file-transmit.

    python bench/srt_files.py [--size 200] [--repeat 3]

Every pair of terzetto's ``relay`` and ``srt-file-transmit`` moves the same file in turn, repeat by repeat, so that all
share the machine's good and bad moments. CPU is the whole life of each process, the start of an interpreter included.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.child import Child

TUNED: Final = "transtype=file&fc=100000&rcvbuf=100000000&sndbuf=100000000"
KINDS: Final = ("terzetto", "libsrt")
_PATIENCE: Final = 120.0


def _command(kind: str, input_url: str, output_url: str) -> list[str]:
    if kind == "terzetto":
        return [sys.executable, "-m", "terzetto", "relay", input_url, output_url]
    return [
        "srt-file-transmit",
        "-q",
        input_url.replace("file:", "file://"),
        output_url.replace("file:", "file://"),
    ]


def _bound(port: int) -> bool:
    word = f":{port:04X} "
    tables = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
    return any(word in table.read_text(encoding="ascii") for table in tables)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def measure(sender: str, receiver: str, source: Path, folder: Path, port: int) -> tuple[float, float, float]:
    """Mbit/s, and CPU seconds per gigabyte of the sender and of the receiver."""
    target = folder / source.name
    target.unlink(missing_ok=True)
    size = source.stat().st_size
    url = f"srt://127.0.0.1:{port}"
    far = Child(_command(receiver, f"srt://:{port}?mode=listener&{TUNED}", f"file:{target}"))
    try:
        while not _bound(port):
            time.sleep(0.02)
        near = Child(_command(sender, f"file:{source}", f"{url}?mode=caller&{TUNED}"))
        try:
            # What is written while it grows bears another name, depending on who writes.
            names = (target, target.with_name(target.name + ".part"))
            began = 0.0
            while not began:
                began = time.monotonic() if any(n.exists() and n.stat().st_size for n in names) else 0.0
                time.sleep(0.002)
            while max((n.stat().st_size for n in names if n.exists()), default=0) < size:
                if time.monotonic() - began > _PATIENCE:
                    raise RuntimeError(f"{sender} to {receiver} did not finish")
                time.sleep(0.005)
            elapsed = time.monotonic() - began
            for child in (near, far):
                child.wait(10)
        finally:
            near.close()
    finally:
        far.close()
    if _digest(target) != _digest(source):
        raise RuntimeError(f"{sender} to {receiver} changed the file")
    assert near.life is not None
    assert far.life is not None
    return size * 8 / elapsed / 1e6, near.life.total * 1e9 / size, far.life.total * 1e9 / size


def main() -> None:
    """Measure, and print a table of medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=200, help="megabytes")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--port", type=int, default=23_900)
    options = parser.parse_args()
    pairs = list(itertools.product(KINDS, KINDS))
    results: dict[tuple[str, str], list[tuple[float, float, float]]] = {pair: [] for pair in pairs}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        source, folder = Path(name) / "file.bin", Path(name) / "out"
        folder.mkdir()
        with source.open("wb") as file:
            for _ in range(options.size):
                file.write(os.urandom(1_000_000))
        for _ in range(options.repeat):
            for pair in pairs:
                results[pair].append(measure(*pair, source, folder, options.port))
                print(*pair, *(f"{figure:.1f}" for figure in results[pair][-1]), file=sys.stderr)
    print("| pair | Mbit/s | CPU s/GB sender | receiver |\n|---|---|---|---|")
    for (sender, receiver), runs in results.items():
        rate, near, far = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"| {sender} → {receiver} | {rate:.0f} | {near:.1f} | {far:.1f} |")


if __name__ == "__main__":
    main()
