"""``terzetto impair``: what it prints, how it ends, and what it makes of its options."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from terzetto.cli.app import run
from terzetto.cli.impair import describe, parse_host_port
from terzetto.errors import InvalidOption
from terzetto.primitives.impairment.parse import parse_conditions

pytestmark = pytest.mark.slow


def udp(family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    sock.settimeout(5)
    return sock


@contextmanager
def impair(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command in a process of its own, and what its ready line says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "terzetto", "impair", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, json.loads(line or "{}")
    finally:
        process.kill()
        process.communicate()


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_an_idle_run_prints_where_it_listens_and_a_tally(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--loss", "5%", "--delay", "40ms", "--jitter", "5ms", "--seed", "9", "--duration", "50ms"]
    assert run(["impair", *arguments, "127.0.0.1:0", "127.0.0.1:9"]) == 0
    ready, *tally = capsys.readouterr().out.splitlines()
    assert ready.startswith("ready: 127.0.0.1:")
    assert ready.endswith("-> 127.0.0.1:9, seed 9, each way 5% lost, 40 ±5 ms")
    assert tally[0] == "up:   0 received, 0 passed"
    assert "seed 9" in tally[-1]


def test_each_direction_may_have_conditions_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--loss", "5%", "--loss-up", "20%", "--delay-down", "10ms", "--rate-up", "1Mbit"]
    assert run(["impair", *arguments, "--json", "--duration", "10ms", ":0", "127.0.0.1:9"]) == 0
    ready, final = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ready["up"] == "20% lost, 1 Mbit/s with a queue of 25000 bytes"
    assert ready["down"] == "5% lost, 10 ms"
    assert final["final"] is True
    assert final["up"]["received"] == 0


def test_a_seed_is_chosen_and_told_where_none_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = []
    for _ in range(2):
        run(["impair", "--json", "--duration", "5ms", "127.0.0.1:0", "127.0.0.1:9"])
        ready, final = (json.loads(line) for line in capsys.readouterr().out.splitlines())
        assert ready["seed"] == final["seed"]
        seeds.append(ready["seed"])
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_tally_and_status_0(number: signal.Signals) -> None:
    client, target = udp(), udp()
    with client, target, impair("127.0.0.1:0", f"127.0.0.1:{target.getsockname()[1]}") as (process, ready):
        client.sendto(b"hello", ("127.0.0.1", port_of(ready["listen"])))
        data, upstream = target.recvfrom(100)
        assert data == b"hello"
        target.sendto(b"answer", upstream)
        assert client.recvfrom(100)[0] == b"answer"
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 0
        assert err == ""
        final = json.loads(out.splitlines()[-1])
        assert final["final"] is True
        assert (final["up"]["passed"], final["down"]["passed"], final["clients_seen"]) == (1, 1, 1)


def test_statistics_come_regularly_and_count_what_was_lost() -> None:
    client = udp()
    target = udp()
    options = ("--loss", "100%", "--stats", "0.1", "--duration", "30s", "127.0.0.1:0")
    with client, target, impair(*options, f"127.0.0.1:{target.getsockname()[1]}") as (process, ready):
        for _ in range(5):
            client.sendto(b"gone", ("127.0.0.1", port_of(ready["listen"])))
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            assert told["event"] == "statistics"
            if told["up"]["lost"] == 5:
                break


def test_ipv6_and_pairs_pass(capsys: pytest.CaptureFixture[str]) -> None:
    client, target = udp(socket.AF_INET6), udp(socket.AF_INET6)
    with client, target, impair("[::1]:0", f"[::1]:{target.getsockname()[1]}") as (_process, ready):
        assert ready["listen"].startswith("[::1]:")
        client.sendto(b"six", ("::1", port_of(ready["listen"])))
        assert target.recvfrom(100)[0] == b"six"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["127.0.0.1:5000"], "TARGET"),
        (["127.0.0.1", "127.0.0.1:6000"], "LISTEN is '127.0.0.1'"),
        (["::1:5000", "127.0.0.1:6000"], r"brackets: [::1]:5000"),
        ([":5000", ":6000"], "no host"),
        (["--loss", "5", ":0", "127.0.0.1:9"], "'5' is more than everything"),
        (["--jitter", "5ms", ":0", "127.0.0.1:9"], "cannot exceed delay"),
        (["--delay", "40", ":0", "127.0.0.1:9"], "write the unit"),
        (["--queue", "64kB", ":0", "127.0.0.1:9"], "needs a rate"),
        (["--duration", "0", ":0", "127.0.0.1:9"], "--duration"),
        (["--pair", ":0", "127.0.0.1:9"], "is odd"),
        (["--pair", ":5001", "127.0.0.1:6000"], "is odd"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["impair", *arguments]) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err
    assert captured.err.startswith("terzetto: ")
    assert captured.out == ""


def test_an_unknown_host_and_a_taken_port_are_the_worlds_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with udp() as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run(["impair", listen, "127.0.0.1:9"]) == 1
        assert "in use" in capsys.readouterr().err


def test_addresses_are_read_as_people_write_them() -> None:
    assert parse_host_port("192.0.2.7:5000", "X") == ("192.0.2.7", 5000)
    assert parse_host_port("[fe80::1%eth0]:5000", "X") == ("fe80::1%eth0", 5000)
    assert parse_host_port(":5000", "X") == ("", 5000)
    with pytest.raises(InvalidOption, match="write host:port"):
        parse_host_port("host:70000", "X")


def test_conditions_are_described_in_words() -> None:
    assert describe(parse_conditions()) == "untouched"
    assert describe(parse_conditions(burst="5%x8")) == "5% lost in bursts"
    everything = parse_conditions(reorder="1%", duplicate="0.1%", corrupt="2%", mtu="1500")
    assert describe(everything) == "1% held back, 0.1% duplicated, 2% corrupted, MTU 1500"
