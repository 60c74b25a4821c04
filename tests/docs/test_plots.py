"""The drawings in the documentation show what the code of today does."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "docs" / "_plots" / "source_adaptation.py"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("source-adaptation")]


@cache
def adaptation() -> tuple[dict[str, Any], list[Any]]:
    script = runpy.run_path(str(SCRIPT))
    return script, script["run"]()


def test_the_drawing_of_source_adaptation_is_current() -> None:
    script, samples = adaptation()
    assert script["DRAWING"].read_text(encoding="utf-8") == script["draw"](samples), (
        f"draw it anew: python {SCRIPT.relative_to(SCRIPT.parent.parent.parent)}"
    )


def test_the_advice_finds_the_link_s_rate_falls_with_it_and_returns() -> None:
    script, samples = adaptation()
    (_, full), (falls, half), (rises, _) = script["CAPACITY"]

    def advised(start: float, end: float) -> list[int]:
        return [sample.advised for sample in samples if start <= sample.at < end]

    assert 0.9 * full < max(advised(0, falls)) < 1.1 * full
    assert min(advised(20, falls)) > 0.7 * full
    assert max(advised(falls + 3, rises)) < 1.2 * half
    assert max(advised(rises, script["END"])) > 0.9 * full
    # It is a live stream: what does not fit is lost on the way, but nearly all of it is repaired.
    assert samples[-1].lost > 0
    assert samples[-1].unrecovered < 30
