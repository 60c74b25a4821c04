"""``terzetto demo``: exit status, the shape of its output, and the advice it gives."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from terzetto.cli.app import run
from terzetto.cli.demo import verdict
from terzetto.cli.demo_view import DemoView, sparkline
from terzetto.gateway.demonstration import DemoPlan, DemoProgress, DemoResult
from tests.rist.core.login_pair import RECORDS

Lines = list[dict[str, Any]]


def json_lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_demo_succeeds_and_its_last_json_line_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    users = tmp_path / "users"
    users.write_text("".join(f"{each.encode()}\n" for each in RECORDS))
    options = f"secret=hush&aes-type=256&users={users}&username=rist&password=mainprofile"
    status = run(["demo", "--json", "--seconds", "1", "--seed", "11", "--options", options])
    lines = json_lines(capsys)
    assert "mainprofile" not in str(lines)
    final = lines[-1]
    assert status == 0
    assert lines[0]["event"] == "started"
    assert lines[0]["seed"] == 11
    assert {line["event"] for line in lines[1:-1]} == {"progress"}
    assert final["final"] is True
    assert final["identical"] is True
    assert final["unrecovered"] == 0
    assert final["lost"] == final["recovered"] > 0
    assert final["sent"] == DemoPlan(seconds=1).packets
    assert not any("final" in line for line in lines[:-1])


@pytest.mark.slow
def test_a_latency_of_100_ms_loses_packets_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["demo", "--json", "--seconds", "1", "--seed", "12", "--latency", "100ms"])
    final = json_lines(capsys)[-1]
    assert status == 1
    assert final["identical"] is False
    assert final["unrecovered"] > 0
    assert final["lost"] == final["recovered"] + final["unrecovered"]


@pytest.mark.slow
def test_plain_output_ends_with_advice_when_packets_were_lost(capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["demo", "--seconds", "1.2", "--seed", "13", "--latency", "100ms"])
    out = capsys.readouterr().out
    assert status == 1
    assert out.startswith("RIST Main: 8 Mbit/s for 1.2 s, with a latency of 100 ms\n")
    assert "round trip" in out
    assert "did not arrive in time" in out
    assert "Try: raise --latency: terzetto demo --latency" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--protocol", "pigeon"],
        ["--profile", "lowly"],
        ["--loss", "120%"],
        ["--loss", "x"],
        ["--delay", "20"],
        ["--latency", "0ms"],
        ["--bitrate", "100"],
        ["--seconds", "-1"],
        ["--what"],
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("terzetto: ")
    assert captured.err.count("\n") == 1


def result(**changes: Any) -> DemoResult:
    values: dict[str, Any] = {
        "sent": 1000,
        "delivered": 990,
        "lost": 200,
        "recovered": 190,
        "unrecovered": 10,
        "retransmitted": 250,
        "dropped": 300,
        "identical": False,
        "sha256_sent": "a" * 64,
        "sha256_received": "b" * 64,
    }
    return DemoResult(**{**values, **changes})


def test_the_advice_keeps_what_was_typed() -> None:
    text = "\n".join(verdict(DemoPlan(latency=0.05, loss=0.1, delay=0.005, bitrate=2_000_000), result()))
    assert "terzetto demo --loss 10% --delay 5ms --bitrate 2Mbit --latency" in text


def test_a_failure_despite_time_enough_asks_for_a_report_with_the_seed() -> None:
    text = "\n".join(verdict(DemoPlan(latency=5.0, seed=4711), result()))
    assert "raise --latency" not in text
    assert "4711" in text


def progress(**changes: Any) -> DemoProgress:
    values: dict[str, Any] = {
        "phase": "streaming",
        "elapsed": 4.0,
        "sent": 3040,
        "retransmitted": 700,
        "dropped": 900,
        "delivered": 2280,
        "lost": 608,
        "recovered": 600,
        "unrecovered": 8,
        "missing": 3,
        "round_trip": 0.041,
    }
    return DemoProgress(**{**values, **changes})


@pytest.mark.parametrize("width", [40, 80, 110])
def test_the_live_view_shows_every_figure_and_fits_the_terminal(width: int) -> None:
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None
    )
    view = DemoView("title", DemoPlan(), every=0.1, console=console)
    view.start()
    for step in range(1, 9):
        view.update(progress(sent=380 * step, lost=76 * step))
    view.stop()
    view.say(["done well"], good=True)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert ("█" in shown) == (width >= 80)
    if width < 80:
        return
    for expected in (
        "3 040",
        "20.0% of sent",
        "recovered",
        "unrecovered",
        "41 ms",
        "4.0 of 8 s",
        "✔ done well",
    ):
        assert expected in shown


def test_a_sparkline_shows_even_the_smallest_loss() -> None:
    assert sparkline([0, 1, 50, 100], 100) == " ▁▄█"
    assert sparkline([0, 0], 0) == "  "
