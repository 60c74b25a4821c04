"""Shares that follow how well the paths do: whoever loses more than the best carries less, until it does better.

What tells is how much of its share each path was asked for again. That a path is the one that is asked says nothing:
requests come by another than the one that lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["STEPS", "Judgement", "Reweighting"]

STEPS: Final = 10
"""In so many parts of its weight a path's share is counted."""

_PERIOD: Final[Micros] = MICROS_PER_SECOND

# Fewer packets than this prove nothing.
_LEAST_CARRIED: Final = 20

# What paths differ by without being told apart; and what a path that does as well as the best gains in a second, so
# that twenty seconds bring it all the way back.
_TOLERANCE: Final = 0.02
_GAIN: Final = 0.05

# A path that lost all still carries a tenth of its share, or nobody would learn that it is well again.
_LEAST: Final = 0.1


class Judgement(NamedTuple):
    """What a path may carry from now on."""

    leg: int
    part: float
    """Of its weight, from 0.1 to 1."""
    loss: float
    """Of what it carried of late, how much was asked for."""


class Reweighting:
    """Counts for each path what it carried and what of it was asked for, and judges once a second."""

    def __init__(self) -> None:
        self._carried: dict[int, int] = {}
        self._asked: dict[int, int] = {}
        self._parts: dict[int, float] = {}
        self._due: Micros | None = None

    def carried(self, leg: int, packets: int, *, now: Micros) -> None:
        """*leg* alone was given so many packets."""
        self._carried[leg] = self._carried.get(leg, 0) + packets
        if self._due is None:
            self._due = now + _PERIOD

    def asked(self, leg: int) -> None:
        """One of those was asked for, for the first time."""
        self._asked[leg] = self._asked.get(leg, 0) + 1

    def part(self, leg: int) -> float:
        """What *leg* may carry, of its weight."""
        return self._parts.get(leg, 1.0)

    def judge(self, legs: Iterable[int], now: Micros) -> list[Judgement]:
        """Those of *legs* whose share changes now."""
        if self._due is None or now < self._due:
            return []
        self._due = None
        losses = {
            leg: min(1.0, self._asked.get(leg, 0) / self._carried[leg])
            for leg in legs
            if self._carried.get(leg, 0) >= _LEAST_CARRIED
        }
        if len(losses) < 2:
            return []  # who carries little is judged when it has carried enough
        for leg in losses:
            del self._carried[leg]
            self._asked.pop(leg, None)
        best = min(losses.values())
        changed: list[Judgement] = []
        for leg, loss in losses.items():
            before = self.part(leg)
            worse = loss - best
            part = before + _GAIN if worse <= _TOLERANCE else before * max(0.5, 1 - 2 * worse)
            self._parts[leg] = part = min(1.0, max(_LEAST, part))
            if part != before:
                changed.append(Judgement(leg, part, loss))
        return changed
