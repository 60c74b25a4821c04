"""``terzetto relay`` against libRIST's own tools, RIST Simple, in both directions.

The sender calls in each: libRIST takes ``rist://@`` at a Simple sender and ``rist://HOST`` at a Simple receiver, and
then never says a word. The other roles are tried between our own ends.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.helpers import command, free_pair, json_lines, listening_port, programme, started

pytestmark = pytest.mark.interop

SECONDS = 3.0


@contextmanager
def peer(program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of libRIST's tools, profile 0, gone when the block ends."""
    path = shutil.which(program)
    assert path is not None, f"{program} is not installed (Debian: rist-tools)"
    with subprocess.Popen(
        [path, "-p", "0", "-S", "0", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_bound(port: int) -> None:
    until = time.monotonic() + 10
    while f":{port:04X} " not in Path("/proc/net/udp").read_text(encoding="ascii"):
        assert time.monotonic() < until, f"nobody binds port {port}"
        time.sleep(0.02)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_what_we_send_ristreceiver_hands_out_unharmed(tmp_path: Path) -> None:
    programme(tmp_path / "in.ts", seconds=SECONDS)
    rist, out = free_pair(), free_pair()
    ours = f"rist://127.0.0.1:{rist}?profile=simple&buffer=400"
    theirs = f"rist://@127.0.0.1:{rist}?buffer=400"
    with (
        started("relay", f"udp://@127.0.0.1:{out}", f"file:{tmp_path}/out.ts", "--until-idle", "2") as sink,
        peer("ristreceiver", "-i", theirs, "-o", f"udp://127.0.0.1:{out}"),
    ):
        wait_until_bound(out)
        sender = subprocess.run(
            command("relay", f"file:{tmp_path}/in.ts", ours, "--json"),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        sink.communicate(timeout=20)
    assert sender.returncode == 0, sender.stderr
    assert json_lines(sender.stdout)[-1]["endpoints"][1]["shed"] == 0
    assert digest(tmp_path / "out.ts") == digest(tmp_path / "in.ts")


def test_what_ristsender_sends_we_hand_out_unharmed(tmp_path: Path) -> None:
    programme(tmp_path / "in.ts", seconds=SECONDS)
    entrance = free_pair()
    ours = "rist://@127.0.0.1:0?profile=simple&buffer=400"
    out = f"file:{tmp_path}/out.ts"
    with started("relay", ours, out, "--until-idle", "2", "--json") as receiver:
        theirs = f"rist://127.0.0.1:{listening_port(receiver)}?buffer=400"
        with peer("ristsender", "-i", f"udp://@127.0.0.1:{entrance}", "-o", theirs):
            assert receiver.stdout is not None
            while "peer_connected" not in receiver.stdout.readline():
                assert receiver.poll() is None
            wait_until_bound(entrance)
            time.sleep(0.5)  # until ristsender knows of us as well
            feeding = command("relay", f"file:{tmp_path}/in.ts", f"udp://127.0.0.1:{entrance}")
            subprocess.run(feeding, capture_output=True, timeout=30, check=True)
            output, errors = receiver.communicate(timeout=20)
    assert receiver.returncode == 0, errors
    final = json_lines(output)[-1]["endpoints"][0]
    assert final["unrecovered"] == 0
    assert digest(tmp_path / "out.ts") == digest(tmp_path / "in.ts")
