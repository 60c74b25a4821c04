"""The bench's tables show medians, ratios and failures."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import attrs
import pytest

from bench.result import Result, read_results, write_result
from bench.rtsp_fanout import FanOut, table
from bench.table import markdown, replace_between


def run(pair: str, cpu: float, **others: object) -> Result:
    plain = Result(
        mode="rist-simple", pair=pair, rate=20.0, latency=200, seconds=8.0, sent=100, delivered=100
    )
    return attrs.evolve(plain, sender_cpu_per_gb=cpu, receiver_cpu_per_gb=2 * cpu, **others)  # type: ignore[arg-type]


def test_medians_stand_beside_their_ratio_to_the_reference() -> None:
    results = [run("terzetto", cpu) for cpu in (10.0, 90.0, 20.0)]
    results += [run("librist", cpu, is_reference=True) for cpu in (40.0, 40.0, 1.0)]
    text = markdown(results)
    assert "**20 Mbit/s**" in text
    assert "| terzetto | 20.0 (0.50) | 40.0 (0.50) | 0 |" in text
    assert "| librist | 40.0 | 80.0 | 0 |" in text


def test_a_pair_that_never_ran_shows_its_error() -> None:
    assert "| terzetto | it fell over |" in markdown([run("terzetto", 0.0, error="it fell over")])


def test_the_ladder_names_the_last_rate_that_held() -> None:
    climbed = [
        run("terzetto", 1.0, ladder=True, rate=rate, undelivered_percent=lost)
        for rate, lost in ((100.0, 0.0), (125.0, 5.0), (125.0, 0.0), (125.0, 0.0), (156.0, 3.0), (156.0, 3.0))
    ]
    assert "| terzetto | 125 |" in markdown(climbed)


def test_results_survive_the_file(tmp_path: Path) -> None:
    out, results = StringIO(), [run("terzetto → librist", 12.3456, died=("sender",)), run("librist", 1.0)]
    for result in results:
        write_result(result, out)
    path = tmp_path / "results.jsonl"
    path.write_text(out.getvalue(), encoding="utf-8")
    assert read_results(path) == results


def test_a_table_is_written_between_its_marks_and_nowhere_else() -> None:
    page = "before\n<!-- a -->\nold\n<!-- b -->\nafter\n"
    assert replace_between(page, "new\n", begin="<!-- a -->", end="<!-- b -->") == (
        "before\n<!-- a -->\n\nnew\n\n<!-- b -->\nafter\n"
    )
    with pytest.raises(ValueError, match="has no '<!-- c -->'"):
        replace_between(page, "new\n", begin="<!-- c -->", end="<!-- b -->")


def test_the_published_table_is_made_of_the_published_figures() -> None:
    root = Path(__file__).resolve().parents[2]
    table = markdown(read_results(root / "bench" / "results" / "rist-simple.jsonl"))
    page = (root / "docs" / "performance.md").read_text(encoding="utf-8")
    assert replace_between(page, table, begin="<!-- bench: begin -->", end="<!-- bench: end -->") == page


def fan_out(server: str, cpu: float, **others: object) -> FanOut:
    plain = FanOut(
        server=server,
        transport="tcp",
        readers=10,
        rate=8.0,
        seconds=10.0,
        cpu=cpu,
        bytes=100_000_000,
        packets=9,
    )
    return attrs.evolve(plain, **others)  # type: ignore[arg-type]


def test_a_fan_out_stands_beside_the_other_server_s() -> None:
    results = [fan_out("terzetto", cpu) for cpu in (0.1, 9.0, 0.2)]
    results += [fan_out("gst", cpu, bytes=50_000_000) for cpu in (0.4, 0.4)]
    results += [fan_out("gst", 1.0, rate=0.0), fan_out("gst", 1.0, error="it fell over")]
    text = table(results)
    assert "| TCP | 10 | 2.0 | 8.0 | 0.25 | 100.0 | 50.0 |" in text
    assert "| gst | 80 | 10.0 |" in text
