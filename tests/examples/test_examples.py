"""Every program in ``examples`` does what it says."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import trio

import terzetto as tz
from terzetto.testing import use_network
from tests.docs.world import World

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

# Media that tells apart what was swapped, lost or repeated.
MEDIA = b"".join(number.to_bytes(4, "big") * 329 for number in range(1500))


def load(name: str) -> ModuleType:
    """Import an example, which is a program and in no package."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_even_port() -> int:
    """An even port whose neighbour is free too, a moment ago."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1] & ~1
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media,
            socket.socket(type=socket.SOCK_DGRAM) as report,
        ):
            try:
                media.bind(("127.0.0.1", port))
                report.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
        return port


def start(example: str, *arguments: str) -> subprocess.Popen[str]:
    """Run an example as a reader does."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(EXAMPLES / example), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_file_is_sent_and_received_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "source.ts", tmp_path / "target.ts"
    source.write_bytes(MEDIA)
    port = free_even_port()
    receiver = start("receive_file.py", f"rist://@127.0.0.1:{port}?buffer=200", str(target))
    sender = start("send_file.py", str(source), f"rist://127.0.0.1:{port}?buffer=200", "--megabits", "40")
    try:
        said, heard = sender.communicate(timeout=30)[0], receiver.communicate(timeout=30)[0]
    finally:
        sender.kill()
        receiver.kill()
    assert target.read_bytes() == MEDIA
    assert re.match(r"sent 1500 packets, \d+ of them again", said)
    assert heard == "received 1500 packets: 0 were lost on the way, 0 recovered, 0 not\n"


def test_the_relay_feeds_every_destination_and_minds_no_dead_one() -> None:
    relay = load("relay")
    world = World("sender")

    async def main() -> list[int]:
        sequences: list[int] = []
        async with trio.open_nursery() as nursery:
            with use_network(world.studio):
                receiver = await tz.connect_rist_receiver(nursery, "rist://@:6000")
            destinations = ["rist://192.0.2.7:6000", "rist://192.0.2.8:7000"]
            nursery.start_soon(relay.relay, "rist://@:5000", destinations)
            with trio.fail_after(30):
                while len(sequences) < 500:
                    packet = await receiver.receive_packet()
                    sequences.append(packet.sequence)
                    assert packet.payload == bytes(range(47)) * 28
            nursery.cancel_scope.cancel()
        return sequences

    assert world.run(main) == list(range(500))


def test_the_monitor_prints_events_and_statistics(capsys: pytest.CaptureFixture[str]) -> None:
    World("sender", seconds=10).run(load("monitor").monitor, "rist://@:5000")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    events = [line["event"] for line in lines if "event" in line]
    statistics = [line for line in lines if "lost" in line]
    assert events[:2] == ["PeerConnected", "FlowStarted"]
    assert len(statistics) == 9
    last = statistics[-1]
    assert last["lost"] == last["recovered"] + last["unrecovered"] > 0
    # The network takes 40 ms; answers to our echoes wait for the receiver's next tick as all else does.
    assert 40.0 <= last["round_trip_ms"] <= 56.0
    assert 1.9 < last["megabits"] < 2.1


def test_a_longer_buffer_saves_what_a_shorter_one_cannot() -> None:
    try_buffer = load("which_buffer").try_buffer
    missing = [try_buffer(buffer, loss=0.05, delay=0.02, seconds=4.0) for buffer in (0.03, 0.6)]
    assert missing[0] > 50
    assert missing[1] == 0
    # The same seed is the same run.
    assert try_buffer(0.03, loss=0.05, delay=0.02, seconds=4.0) == missing[0]


def test_the_tests_of_the_example_product_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-o", "trio_mode=true", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(EXAMPLES / "test_recorder.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_every_example_is_tested_here() -> None:
    known = {"send_file", "receive_file", "relay", "monitor", "which_buffer", "test_recorder"}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == known
