"""Letting the receiver notice that the end was lost.

A receiver learns of a loss from the packet after it. Before a pause there is none, so the last packet is sent a
few times more, as the original it is: whoever has it drops the copy, whoever lost it sees the gap before it and
asks in time. All copies leave within the first two thirds of the buffer, so that there is time left for asking.
"""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import MICROS_PER_MILLI, Micros

__all__ = ["TailProbe"]

# Longer than a source breathes between two bursts: while media flows, nothing here should wake anybody.
_SHORTEST_PAUSE: Final[Micros] = 20 * MICROS_PER_MILLI
_LONGEST_PAUSE: Final[Micros] = 100 * MICROS_PER_MILLI
_SHORTEST_STEP: Final[Micros] = 10 * MICROS_PER_MILLI
_MOST_PROBES: Final = 8


class TailProbe:
    """Says when to send the last packet again."""

    def __init__(self, *, buffer: Micros) -> None:
        self._buffer = buffer
        self._due: Micros | None = None
        self._sent_at: Micros = 0
        self._probes = 0

    def sent(self, now: Micros) -> None:
        """A new last packet left."""
        self._sent_at = now
        self._probes = 0
        self._due = now + min(max(self._buffer // 4, _SHORTEST_PAUSE), _LONGEST_PAUSE)

    def stop(self) -> None:
        """The receiver has it, or nobody listens."""
        self._due = None

    def next_timeout(self) -> Micros | None:
        """When to ask `is_due`."""
        return self._due

    def is_due(self, now: Micros) -> bool:
        """Whether to send the last packet again now."""
        if self._due is None or now < self._due:
            return False
        self._probes += 1
        following = now + max(self._buffer // 12, _SHORTEST_STEP)
        in_time = following - self._sent_at <= self._buffer * 2 // 3
        self._due = following if in_time and self._probes < _MOST_PROBES else None
        return True
