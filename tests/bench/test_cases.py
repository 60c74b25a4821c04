"""Peers are rows of a file, and every pair that shares a mode is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.cases import OUR_PEERS, Case, cases, load_ends
from bench.machine import BenchError

TOKENS = {
    "host": "127.0.0.1",
    "in_port": "1",
    "rx_port": "2",
    "dst_port": "2",
    "out_port": "3",
    "latency": "9",
}


def chosen(**filters: list[str]) -> list[Case]:
    return cases(load_ends([OUR_PEERS]), **filters)


def test_peers_are_measured_alone_and_crossed_and_floors_only_alone() -> None:
    names = [case.name for case in chosen(modes=["rist-simple", "floor"])]
    assert names == [
        "terzetto",
        "librist",
        "floor-single",
        "floor-gso",
        "terzetto → librist",
        "librist → terzetto",
    ]


def test_command_lines_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERZETTO", raising=False)
    (case,) = chosen(peers=["terzetto"], modes=["rist-simple"])
    command = case.sender_command({**TOKENS, "bandwidth": "1000"})
    assert command[:5] == [sys.executable, "-m", "terzetto", "relay", "udp://@127.0.0.1:1"]
    assert command[5] == "rist://127.0.0.1:2?profile=simple&buffer=9&bandwidth=1000"
    assert not [part for part in command if "{" in part]


def test_the_environment_names_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERZETTO", "/opt/terzetto")
    (case,) = chosen(peers=["terzetto"], modes=["rist-simple"])
    assert case.receiver_command(TOKENS)[:2] == ["/opt/terzetto", "relay"]


def test_a_file_of_ones_own_adds_peers_and_replaces_them(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[librist]\nsender = "a"\nreceiver = "b"\n[librist.modes.rist-simple]\n')
    (case,) = cases(load_ends([OUR_PEERS, own]), peers=["librist"])
    assert case.sender_command(TOKENS) == ["a"]


def test_a_peer_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(BenchError, match=r"no such peer or mode; there are .*terzetto/rist-simple"):
        chosen(peers=["nobody"])
