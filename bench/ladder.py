"""The highest rate that a pair carries without loss."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from bench.cases import Case
from bench.result import Result
from bench.run import Settings, measure

__all__ = ["Ladder", "find_max"]


@attrs.frozen(kw_only=True)
class Ladder:
    """Which rungs to try, and what counts as falling off."""

    start: float = 100.0
    end: float = 4000.0
    step: float = 1.25
    undelivered_percent: float = 0.1


def find_max(case: Case, settings: Settings, ladder: Ladder, report: Callable[[Result], None]) -> float:
    """Climb until a rate fails twice; the last that held, in Mbit/s, or 0.

    A rate that fails gets two more chances: on a shared machine one bad second says nothing.
    """
    held, rate = 0.0, ladder.start
    while rate <= ladder.end:
        failures = 0
        for _ in range(3):
            result = attrs.evolve(measure(case, attrs.evolve(settings, rate=float(round(rate)))), ladder=True)
            report(result)
            failed = bool(result.error) or result.undelivered_percent > ladder.undelivered_percent
            failures += failed
            if failures == 2 or not failures:
                break
        if failures >= 2:
            break
        held = rate
        rate *= ladder.step
    return float(round(held))
