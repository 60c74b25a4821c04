"""How long the recovery buffer should be: fixed, or following the path.

An adapting buffer aims at a number of round trips, adds something for every loss that the last one failed to
mend, and gives length back slowly. The buffer in force follows its aim in small steps, so that playout speeds
up or slows down imperceptibly instead of jumping.
"""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros

__all__ = ["BufferSizer"]

_REVIEW_INTERVAL: Final[Micros] = 2 * MICROS_PER_SECOND
_STEP_INTERVAL: Final[Micros] = 20 * MICROS_PER_MILLI
_STEPS: Final = 100
_LARGEST_SHRINK: Final[Micros] = 50 * MICROS_PER_MILLI
_DESPERATE_LOSS: Final = 25


class BufferSizer:
    """Keeps the length of one flow's recovery buffer between *shortest* and *longest*."""

    def __init__(
        self,
        shortest: Micros,
        longest: Micros,
        *,
        multiplier: int,
        reorder: Micros,
        now: Micros,
        min_requests: int = 0,
        request_floor: Micros = 0,
    ) -> None:
        self._shortest = shortest
        self._wanted = longest
        self._longest = longest
        self._multiplier = multiplier
        self._reorder = reorder
        self._min_requests = min_requests
        self._request_floor = request_floor
        # Midway is what libRIST starts with: room to learn without paying for the worst case.
        self.current: Micros = (shortest + longest) // 2
        self.target: Micros = self.current
        self._step: Micros = 0
        self._next_review = now + _REVIEW_INTERVAL
        self._next_step = now
        self._lost = 0
        self._hard_recoveries = 0
        self._third_recoveries = 0

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to adapt."""
        return self._shortest == self._longest and self.current == self.target

    def limit(self, longest: Micros) -> None:
        """The sender repeats nothing that is older than *longest*, so waiting longer for it is in vain."""
        self._longest = max(self._shortest, min(self._wanted, longest))
        if self.target > self._longest:
            self.target = self._longest
            self._step = max(1, abs(self.target - self.current) // _STEPS)

    def note_lost(self, count: int) -> None:
        """Packets were given up."""
        self._lost += count

    def note_recovered(self, requests: int) -> None:
        """A packet came back after that many requests."""
        if requests > 3:
            self._hard_recoveries += 1
        elif requests == 3:
            self._third_recoveries += 1

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout`."""
        if self.is_fixed:
            return None
        if self.current != self.target:
            return min(self._next_step, self._next_review)
        return self._next_review

    def handle_timeout(self, *, now: Micros, round_trip: Micros) -> bool:
        """Move, and at times think again; true when there is a new aim."""
        if self.is_fixed:
            return False
        if self.current != self.target and now >= self._next_step:
            self._move(now)
        if now < self._next_review:
            return False
        self._next_review = now + _REVIEW_INTERVAL
        aim = self._aim(round_trip)
        self._lost = self._hard_recoveries = self._third_recoveries = 0
        if aim == self.target:
            return False
        self.target = aim
        self._step = max(1, abs(aim - self.current) // _STEPS)
        self._next_step = now
        return True

    def _aim(self, round_trip: Micros) -> Micros:
        if self._lost > _DESPERATE_LOSS:
            return self._longest
        # The promised requests must fit, and they keep a distance that a short round trip would not.
        requests = self._min_requests * max(round_trip, self._request_floor)
        desired = max(round_trip * self._multiplier, requests) + self._reorder
        percent = 5 * self._lost + 2 * self._hard_recoveries + self._third_recoveries
        desired += desired * percent // 100
        if desired < self.target:
            desired = max(desired, self.target - _LARGEST_SHRINK)
        return min(max(desired, self._shortest), self._longest)

    def _move(self, now: Micros) -> None:
        distance = self.target - self.current
        step = min(abs(distance), self._step)
        self.current += step if distance > 0 else -step
        self._next_step = now + _STEP_INTERVAL
