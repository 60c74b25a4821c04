"""Running the command as a user does."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from terzetto.mpegts.generator import TsGenerator


def command(*arguments: str) -> list[str]:
    """The command line of ``terzetto`` with *arguments*."""
    return [sys.executable, "-m", "terzetto", *arguments]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``terzetto`` with *arguments* as a process, gone when the block ends."""
    process = subprocess.Popen(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def json_lines(text: str) -> list[dict[str, Any]]:
    """Every line as an object; anything else on standard output fails the test here."""
    return [json.loads(line) for line in text.splitlines()]


def listening_port(process: subprocess.Popen[str]) -> int:
    """Where a relay with ``--json`` and port 0 in its URL listens, once it does."""
    assert process.stdout is not None
    for line in process.stdout:
        told = json.loads(line)
        if told.get("event") == "listening":
            return int(told["text"].rpartition(":")[2])
    raise AssertionError("it ended without having listened")


def free_pair() -> int:
    """An even port that was free a moment ago, as was the one above it."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1]) & ~1
        try:
            for number in (port, port + 1):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
                    each.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port


def programme(path: Path, *, seconds: float, bitrate: int = 4_000_000) -> bytes:
    """Write a transport stream to *path*; its bytes."""
    data = TsGenerator(bitrate, seed=11).take(int(seconds * bitrate / 8 / 188) // 7 * 7)
    path.write_bytes(data)
    return data
