"""The bench measures what it says, on this machine, with the real tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import main
from bench.result import read_results


@pytest.mark.interop
def test_one_short_run_gives_figures_for_every_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.jsonl"
    arguments = [
        "--mode",
        "rist-simple,floor",
        "--rate",
        "5",
        "--seconds",
        "1",
        "--repeat",
        "1",
        "--nice",
        "0",
    ]
    status = main([*arguments, "--out", str(out), "--logs", str(tmp_path / "logs")])
    results = {result.pair: result for result in read_results(out)}
    assert status == 0, [result.error for result in results.values()]
    assert set(results) == {
        "terzetto",
        "librist",
        "terzetto → librist",
        "librist → terzetto",
        "floor-single",
        "floor-gso",
    }
    for result in results.values():
        assert result.sent > 400
        assert result.delivered == result.sent
        assert result.corrupt == result.duplicates == result.out_of_order == 0
        assert not result.died
        assert result.sender_cpu_per_gb > 0
        assert result.receiver_cpu_per_gb > 0
        assert result.sender_memory > 0.5
    assert "| terzetto → librist |" in capsys.readouterr().out
