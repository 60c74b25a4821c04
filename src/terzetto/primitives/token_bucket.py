"""A token bucket: lets so much pass per second on average, and a burst of so much at once."""

from __future__ import annotations

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["TokenBucket"]


class TokenBucket:
    """Counts in integers, millionths of a token, so that no fraction is ever lost and replays agree.

    It starts full. A rate of 0 never refills: after the burst nothing passes.
    """

    __slots__ = ("_burst", "_last", "_level", "_rate")

    def __init__(self, rate_per_second: int, burst: int, *, now: Micros) -> None:
        if rate_per_second < 0 or burst <= 0:
            raise ValueError("a token bucket has a rate of at least 0 and a burst of at least 1")
        self._rate = rate_per_second
        self._burst = burst * MICROS_PER_SECOND
        self._level = self._burst
        self._last = now

    def available(self, now: Micros) -> int:
        """Whole tokens there at *now*."""
        self._refill(now)
        return max(0, self._level // MICROS_PER_SECOND)

    def take(self, amount: int, now: Micros) -> bool:
        """Take *amount* tokens if all of them are there, else none."""
        self._refill(now)
        wanted = amount * MICROS_PER_SECOND
        if wanted > self._level:
            return False
        self._level -= wanted
        return True

    def spend(self, amount: int, now: Micros) -> None:
        """Take *amount* tokens even where that leaves a debt, for what must pass and be paid for later."""
        self._refill(now)
        self._level -= amount * MICROS_PER_SECOND

    def when(self, amount: int, now: Micros) -> Micros | None:
        """The moment from which `take` of *amount* succeeds if nothing is taken before; None for never."""
        self._refill(now)
        wanted = amount * MICROS_PER_SECOND
        if wanted <= self._level:
            return now
        if not self._rate or wanted > self._burst:
            return None
        return now + -(-(wanted - self._level) // self._rate)

    def set_rate(self, rate_per_second: int, now: Micros) -> None:
        """Change the rate from *now* on."""
        self._refill(now)
        self._rate = rate_per_second

    def _refill(self, now: Micros) -> None:
        if now > self._last:
            self._level = min(self._burst, self._level + (now - self._last) * self._rate)
            self._last = now
