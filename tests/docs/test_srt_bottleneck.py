"""The drawing of file transfers over a changing link shows what was measured, and it can be measured again."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "docs" / "_plots" / "srt_bottleneck.py"


@pytest.fixture
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_drawing_is_made_of_the_figures_beside_it(script: dict[str, Any]) -> None:
    measured = json.loads(script["DATA"].read_text(encoding="utf-8"))
    assert list(measured) == list(script["SCENARIOS"])
    assert script["PICTURE"].read_text(encoding="utf-8") == script["draw"](measured)


def test_the_figures_follow_the_link(script: dict[str, Any]) -> None:
    measured = json.loads(script["DATA"].read_text(encoding="utf-8"))
    for name, steps in measured.items():
        began = 0
        for until, rate in script["PLAN"]:
            settled = steps[(began + until) // 2 : until]
            mean = sum(settled) / len(settled)
            # A fifth of everything is lost on the last of them, and a round trip there is long.
            assert (0.5 if "20 %" in name else 0.8) * rate < mean < 1.15 * rate, (name, rate)
            began = until


def test_the_figures_can_be_had_again(script: dict[str, Any]) -> None:
    measured = json.loads(script["DATA"].read_text(encoding="utf-8"))
    name = "no loss, 20 ms"
    assert script["measure"](*script["SCENARIOS"][name], seconds=6) == measured[name][:6], (
        "measure and draw anew: python docs/_plots/srt_bottleneck.py"
    )
