"""libRIST's own tools pass through ``terzetto impair --pair``, clean and with loss."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from terzetto.mpegts.generator import TsGenerator
from terzetto.mpegts.packet import PACKET_SIZE, null_packet

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        not (shutil.which("ristsender") and shutil.which("ristreceiver")), reason="needs libRIST's tools"
    ),
]

_PAYLOAD = 7 * PACKET_SIZE
_BITRATE = 6_000_000


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def free_pair() -> int:
    """An even port that is free now, like the one above it."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lower:
            lower.bind(("127.0.0.1", 0))
            port: int = lower.getsockname()[1]
            if port % 2:
                continue
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upper:
                try:
                    upper.bind(("127.0.0.1", port + 1))
                except OSError:
                    continue
                return port


class Recorder:
    """What comes out of the receiving tool."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.data = bytearray()

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    def drain(self) -> None:
        try:
            while True:
                self.data += self.socket.recv(65535)
        except BlockingIOError:
            pass


def play(media: bytes, port: int, recorder: Recorder) -> None:
    """Send *media* to the sending tool at its pace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        began = time.monotonic()
        for start in range(0, len(media), _PAYLOAD):
            while time.monotonic() < began + start * 8 / _BITRATE:
                recorder.drain()
                time.sleep(0.002)
            out.sendto(media[start : start + _PAYLOAD], ("127.0.0.1", port))


def wait_for_first(recorder: Recorder, port: int) -> None:
    """Send null packets until the first come out: the tools are connected.

    libRIST's sender throws away what comes before it is connected, and its receiver what was lost before the first
    packet it sees.
    """
    deadline = time.monotonic() + 15
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        while not recorder.data:
            assert time.monotonic() < deadline, "nothing came through"
            out.sendto(null_packet() * 7, ("127.0.0.1", port))
            time.sleep(0.05)
            recorder.drain()


@pytest.mark.parametrize("impairment", [[], ["--loss", "5%", "--delay", "20ms"]], ids=["clean", "5%"])
def test_librist_through_the_proxy_delivers_every_byte(impairment: list[str]) -> None:
    media = TsGenerator(_BITRATE, seed=5).take(7 * 2000)
    target, feed = free_pair(), free_pair()
    recorder = Recorder()
    with ExitStack() as stack:
        stack.enter_context(recorder.socket)
        command = [sys.executable, "-m", "terzetto", "impair", "--pair", "--json", "--seed", "5", *impairment]
        proxy = stack.enter_context(started(*command, "127.0.0.1:0", f"127.0.0.1:{target}"))
        assert proxy.stdout is not None
        front = json.loads(proxy.stdout.readline())["listen"]
        # The sender calls: in the Simple profile libRIST's sender cannot listen.
        sends_to, receives_at = f"rist://{front}", f"rist://@127.0.0.1:{target}"
        output = f"udp://127.0.0.1:{recorder.port}"
        stack.enter_context(started("ristreceiver", "-p", "0", "-i", receives_at, "-o", output))
        stack.enter_context(
            started("ristsender", "-p", "0", "-i", f"udp://@127.0.0.1:{feed}", "-o", sends_to)
        )
        wait_for_first(recorder, feed)
        play(media, feed, recorder)
        deadline = time.monotonic() + 6
        while not recorder.data.endswith(media[-_PAYLOAD:]) and time.monotonic() < deadline:
            recorder.drain()
            time.sleep(0.02)
        os.kill(proxy.pid, signal.SIGTERM)
        out, _ = proxy.communicate(timeout=10)
    assert proxy.returncode == 0
    final = json.loads(out.splitlines()[-1])
    # The null packets that connected the tools come first.
    got = bytes(recorder.data[-len(media) :])
    assert hashlib.sha256(got).hexdigest() == hashlib.sha256(media).hexdigest()
    assert not bytes(recorder.data[: -len(media)]).replace(null_packet(), b"")
    assert final["clients_seen"] == 1
    assert final["dropped_by_kernel"] == 0
    assert (final["up"]["lost"] + final["down"]["lost"] > 50) == bool(impairment)
