"""``terzetto relay`` as a user meets it."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

import pytest

from terzetto.cli.app import run
from terzetto.cli.display import EndpointView, JsonDisplay, LineDisplay, Rates, describe
from terzetto.gateway.route import EndpointReport, Notice

from .helpers import command, json_lines, listening_port, programme, started

pytestmark = pytest.mark.slow


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rsit://10.0.0.1:5000", "-"], "did you mean rist://"),
        (["udp://@:5000", "rist://10.0.0.1:5000?bufer=3"], "did you mean buffer="),
        (["udp://@:5000", "udp://@:5001"], "has to say where to send"),
        (["file:/nonexistent/x.ts", "-"], "there is no file /nonexistent/x.ts"),
        (["udp://@:5000", "-", "--until-idle", "0"], "--until-idle is 0"),
        (["udp://@:5000", "-", "--bitrate", "fast"], "--bitrate: 'fast' is not a rate"),
        (["udp://@:5000", "-", "--nonsense"], "there is no option --nonsense"),
        (["udp://@:5000", "-", "--metrics", "9100"], "write host:port"),
        (["udp://@:5000"], "OUT"),
        (["udp://@:5000", "-", "--duration", "soon"], "duration"),
    ],
)
def test_a_mistake_is_one_readable_line_and_status_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["relay", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("terzetto: ")
    assert words in line


def test_a_mistake_that_shows_on_opening_is_status_2_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["relay", "udp://@127.0.0.1:0", "rist://127.0.0.1:5001?profile=simple"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("terzetto: port 5001 is odd")


def test_what_the_machine_does_not_allow_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["relay", "udp://@192.0.2.123:5000", "udp://127.0.0.1:5000"]) == 1
    assert "192.0.2.123 is not an address of this machine" in capsys.readouterr().err


def test_help_tells_a_stranger_what_an_end_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["relay", "--help"]) == 0
    printed = capsys.readouterr().out
    for words in ("rist://@:PORT listens", "udp://@GROUP:PORT", "--until-idle", "Exit status"):
        assert words in " ".join(printed.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip().count(".") == 2


def test_a_file_goes_through_rist_unharmed(tmp_path: Path) -> None:
    data = programme(tmp_path / "in.ts", seconds=2)
    receiving = ["rist://@127.0.0.1:0?profile=simple&buffer=200", f"file:{tmp_path}/out.ts"]
    serving = ["--metrics", "127.0.0.1:0"]
    with started("relay", *receiving, "--until-idle", "2", "--json", *serving) as receiver:
        assert receiver.stdout is not None
        metrics = json.loads(receiver.stdout.readline())["text"].removeprefix("metrics at ")
        there = f"rist://127.0.0.1:{listening_port(receiver)}?profile=simple&buffer=200"
        with urlopen(metrics, timeout=10) as answer:
            assert b"rist_client_flow_peers" in answer.read()
        sending = [f"file:{tmp_path}/in.ts", there]
        sender = subprocess.run(
            command("relay", *sending, "--json", "--stats", "0.5"),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        output, errors = receiver.communicate(timeout=30)
    assert sender.returncode == 0, sender.stderr
    assert receiver.returncode == 0, errors
    assert digest((tmp_path / "out.ts").read_bytes()) == digest(data)
    assert sender.stderr == errors == ""
    told = json_lines(sender.stdout)
    assert {line["type"] for line in told} == {"event", "stats"}
    assert "peer_connected" in [line.get("event") for line in told]
    assert [line["final"] for line in told if line["type"] == "stats"][-3:] == [False, False, True]
    last = told[-1]
    assert last["final"] is True
    assert [(end["role"], end["bytes"]) for end in last["endpoints"]] == [
        ("input", len(data)),
        ("output", len(data)),
    ]
    last = json_lines(output)[-1]
    assert last["final"] is True
    assert last["reason"] == "nothing has arrived for 2 s"
    assert last["endpoints"][0]["unrecovered"] == 0


def wait_for(path: Path, size: int) -> None:
    until = time.monotonic() + 15
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < until, "nothing was written"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_is_no_failure(number: signal.Signals, tmp_path: Path) -> None:
    data = programme(tmp_path / "in.ts", seconds=30)
    with started("relay", f"file:{tmp_path}/in.ts", f"file:{tmp_path}/out.ts", "--json") as process:
        wait_for(tmp_path / "out.ts", 100_000)
        process.send_signal(number)
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    last = json_lines(output)[-1]
    assert last["reason"] == f"signal {number.name}"
    read, written = (end["bytes"] for end in last["endpoints"])
    # What had been read was written before the end.
    assert read == written == (tmp_path / "out.ts").stat().st_size < len(data)
    assert (tmp_path / "out.ts").read_bytes() == data[:written]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    programme(tmp_path / "in.ts", seconds=30)
    receiving = ["rist://@127.0.0.1:0?profile=simple&buffer=20000", f"file:{tmp_path}/out.ts"]
    with started("relay", *receiving, "--json") as receiver:
        there = f"rist://127.0.0.1:{listening_port(receiver)}?profile=simple&buffer=20000"
        with started("relay", f"file:{tmp_path}/in.ts", there, "--json", "--stats", "0.1") as sender:
            assert sender.stdout is not None
            while not json.loads(sender.stdout.readline()).get("endpoints", [{}])[-1].get("packets"):
                pass
            sender.send_signal(signal.SIGINT)
            time.sleep(0.5)
            assert sender.poll() is None, "it should linger for as long as repeats may be asked for"
            sender.send_signal(signal.SIGINT)
            sender.wait(timeout=10)
    assert sender.returncode == 130


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_standard_output_is_pure_media(tmp_path: Path) -> None:
    data = programme(tmp_path / "in.ts", seconds=1)
    for extra in ([], ["--json", "--stats", "0.2"]):
        done = subprocess.run(
            command("relay", "-", "-", *extra), input=data, capture_output=True, timeout=30, check=False
        )
        assert done.returncode == 0
        assert digest(done.stdout) == digest(data)
        assert done.stderr
        if extra:
            assert json_lines(done.stderr.decode())[-1]["final"] is True


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_reader_that_goes_away_ends_the_relay(tmp_path: Path) -> None:
    programme(tmp_path / "in.ts", seconds=30)
    process = subprocess.Popen(
        command("relay", f"file:{tmp_path}/in.ts", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1000)
    process.stdout.close()
    errors = process.stderr.read().decode()
    assert process.wait(timeout=10) == 1
    process.stderr.close()
    assert "nobody reads it any more" in errors


def test_the_time_may_be_limited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    programme(tmp_path / "in.ts", seconds=30)
    arguments = [f"file:{tmp_path}/in.ts", f"file:{tmp_path}/out.ts", "--duration", "0.5", "--json"]
    assert run(["relay", *arguments]) == 0
    last = json_lines(capsys.readouterr().out)[-1]
    assert last["reason"] == "the time is up"
    assert last["elapsed"] < 5


class TestDisplays:
    REPORT = EndpointReport(
        "rist://h:1",
        "input",
        10,
        1_000_000,
        details={
            "lost": 3,
            "recovered": 2,
            "unrecovered": 1,
            "peer": {"round_trip_measured": True, "round_trip": 0.0205},
        },
    )

    def test_rates_are_those_since_the_last_time_and_at_the_end_of_all(self) -> None:
        rates = Rates()
        assert rates.views(2.0, [self.REPORT])[0].bitrate == 4_000_000
        more = EndpointReport("rist://h:1", "input", 20, 1_250_000)
        assert rates.views(3.0, [more])[0].bitrate == 2_000_000
        assert rates.views(10.0, [more], total=True)[0].bitrate == 1_000_000

    def test_a_line_tells_losses_in_the_three_words(self) -> None:
        text = describe(EndpointView(self.REPORT, 4_000_000))
        assert text == ("4.00 Mbit/s, 10 packets, 3 lost, 2 recovered, 1 unrecovered, round trip 20.5 ms")

    def test_lines_mark_warnings(self) -> None:
        stream = io.StringIO()
        LineDisplay(stream).notice(1.5, Notice("udp://h:1", "output", "failed", "broken", "warning"))
        assert stream.getvalue() == "[    1.500] output udp://h:1: warning: broken\n"

    def test_json_keeps_one_object_to_a_line(self) -> None:
        stream = io.StringIO()
        display = JsonDisplay(stream)
        display.notice(1.5, Notice("udp://h:1", "output", "failed", "two\nlines", "warning"))
        display.finish(2.0, [EndpointView(self.REPORT, 4e6)], "the end")
        event, final = map(json.loads, stream.getvalue().splitlines())
        assert event["text"] == "two\nlines"
        assert final["endpoints"][0]["round_trip"] == 0.0205

    def test_the_table_shows_figures_and_events(self) -> None:
        from rich.console import Console

        from terzetto.cli.relay_table import TableDisplay

        stream = io.StringIO()
        display = TableDisplay(Console(file=stream, force_terminal=True, width=140))
        display.start()
        display.notice(1.0, Notice("rist://h:1", "input", "peer_lost", "gone quiet", "warning"))
        display.finish(2.0, [EndpointView(self.REPORT, 4e6)], "the end")
        display.stop()
        shown = stream.getvalue()
        for words in ("rist://h:1", "4.00", "20.5", "gone quiet", "ended: the end"):
            assert words in shown
