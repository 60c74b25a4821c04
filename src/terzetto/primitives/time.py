"""Time inside the cores: integer microseconds, always handed in.

No core asks a clock. ``now`` counts from an arbitrary start that is fixed for the life of a run, so that the
same inputs replay to the same outputs; wall-clock time, where a protocol wants it, is ``now`` plus an offset that
was handed in as well.
"""

from __future__ import annotations

from typing import Final, TypeAlias

__all__ = ["MICROS_PER_MILLI", "MICROS_PER_SECOND", "Micros", "micros", "seconds"]

Micros: TypeAlias = int
"""A moment or a duration in microseconds."""

MICROS_PER_SECOND: Final = 1_000_000
MICROS_PER_MILLI: Final = 1_000


def micros(duration: float) -> Micros:
    """Whole microseconds in *duration* seconds, rounded to the nearest."""
    return round(duration * MICROS_PER_SECOND)


def seconds(duration: Micros) -> float:
    """*duration* microseconds as seconds."""
    return duration / MICROS_PER_SECOND
