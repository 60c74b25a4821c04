"""How well a way answers requests, so that the next one goes where an answer is most likely, soonest.

A request counts once an answer could have been here. What is known fades, so that a way that was bad gets another
chance.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros

__all__ = ["AnswerRate"]

_FADING: Final[Micros] = MICROS_PER_SECOND
_SLACK: Final[Micros] = 20 * MICROS_PER_MILLI

# Nothing is known for certain: the worst way still gets an answer out of so many.
_WORST: Final = 20


class AnswerRate:
    """The share of what was asked for that came."""

    def __init__(self) -> None:
        self._open: deque[tuple[Micros, int]] = deque()
        self._asked = 0.0
        self._answered = 0.0
        self._faded_at: Micros = 0

    def asked(self, packets: int, *, round_trip: Micros, now: Micros) -> None:
        """So many packets were asked for."""
        self._open.append((now + 2 * round_trip + _SLACK, packets))

    def answered(self, packets: int) -> None:
        """So many repeats came."""
        self._answered += packets

    def share(self, now: Micros) -> float:
        """The share, from 1/20 to 1; near 1 as long as little is known."""
        due = self._open
        while due and due[0][0] <= now:
            self._asked += due.popleft()[1]
        elapsed = now - self._faded_at
        if elapsed > 0:
            self._faded_at = now
            kept = max(0.0, 1 - elapsed / _FADING)
            self._asked *= kept
            self._answered *= kept
        return min(1.0, max(1 / _WORST, (self._answered + 1) / (self._asked + 1)))
