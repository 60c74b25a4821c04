"""A run can be looked at with Wireshark."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from terzetto.net.endpoint import Address, Run
from terzetto.net.simulated import LinkConditions, ScriptedLoss, SimulatedNetwork
from tests.net.simulated.worlds import bind
from tests.primitives.test_pcapng import read_blocks, read_options


async def eventful_run(network: SimulatedNetwork) -> None:
    alice, bob = network.add_host("alice"), network.add_host("bob")
    rough = LinkConditions(delay=0.040, loss=ScriptedLoss(2), duplicate=1.0)
    network.link(alice, bob, rough)
    bind(bob, 5000, family=0)
    tx, tx6 = bind(alice), bind(alice, family=6)
    await tx.send([Run(Address("10.0.0.2", 5000), [b"one", b"two", b"three"])])
    await trio.sleep(1)
    await tx6.send([Run(Address("fd00::2", 5000), [b"four"])])
    await tx.send([Run(Address("10.0.0.2", 9), [b"five"])])
    await trio.sleep(1)


def comments(path: Path) -> list[tuple[int, str]]:
    blocks = [block for block in read_blocks(path.read_bytes()) if block.kind == 6]
    found = []
    for block in blocks:
        length = int.from_bytes(block.body[12:16], "little")
        options = read_options(block.body[20 + length + -length % 4 :])
        found.append((int.from_bytes(block.body[:4], "little"), options.get(1, "")))
    return found


async def test_what_did_not_simply_arrive_says_so(autojump_clock: MockClock, tmp_path: Path) -> None:
    network = SimulatedNetwork(1)
    await eventful_run(network)
    network.write_capture(tmp_path / "run.pcapng")
    twice = "duplicated; arrives after 40.000 ms, 40.000 ms"
    assert comments(tmp_path / "run.pcapng") == [
        (0, twice),
        (0, "lost"),
        (0, twice),
        (0, twice),
        (0, twice),
        (1, "refused"),
        (1, "refused"),
    ]
    names = [
        read_options(block.body[8:])[2]
        for block in read_blocks((tmp_path / "run.pcapng").read_bytes())
        if block.kind == 1
    ]
    assert names == ["alice -> bob", "bob:9"]


async def test_a_streaming_capture_is_not_bounded_by_memory(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    network = SimulatedNetwork(1, keep=1)
    with network.capture(tmp_path / "run.pcapng"):
        await eventful_run(network)
    assert len(comments(tmp_path / "run.pcapng")) == 7
    assert network.trace.packets == []
    assert network.trace.forgotten == 7


async def test_the_hash_knows_what_memory_forgot(autojump_clock: MockClock) -> None:
    forgetful, mindful = SimulatedNetwork(1, keep=1), SimulatedNetwork(1)
    await eventful_run(forgetful)
    await eventful_run(mindful)
    # The clock has moved on between the two, network time begins anew.
    assert forgetful.trace_hash() == mindful.trace_hash()
    assert forgetful.trace_hash() != SimulatedNetwork(1).trace_hash()


@pytest.mark.interop
async def test_tshark_reads_it_and_finds_every_checksum_right(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    network = SimulatedNetwork(1)
    await eventful_run(network)
    network.write_capture(tmp_path / "run.pcapng")
    fields = ("ip.src", "ipv6.dst", "udp.dstport", "udp.payload", "frame.comment", "frame.interface_name")
    done = await trio.run_process(
        [
            *("tshark", "-r", str(tmp_path / "run.pcapng"), "-T", "json"),
            *("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"),
            *(
                part
                for field in (*fields, "ip.checksum.status", "udp.checksum.status")
                for part in ("-e", field)
            ),
        ],
        capture_stdout=True,
        stderr=subprocess.DEVNULL,
    )
    layers = [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
    assert len(layers) == 7
    assert [bytes.fromhex(layer["udp.payload"][0]) for layer in layers[:5]] == [
        b"one",
        b"two",
        b"three",
        b"four",
        b"five",
    ]
    assert [layer["frame.comment"][0] for layer in layers][1] == "lost"
    assert layers[3]["ipv6.dst"] == ["fd00::2"]
    assert layers[0]["frame.interface_name"] == ["alice -> bob"]
    for layer in layers:
        assert layer["udp.checksum.status"] == ["1"]
        assert layer.get("ip.checksum.status", ["1"]) == ["1"]
