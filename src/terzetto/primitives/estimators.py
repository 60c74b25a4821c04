"""Running estimates from noisy samples: round-trip time, rate, and interarrival jitter."""

from __future__ import annotations

from math import exp
from typing import Final

from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros

__all__ = [
    "FAST_TIME_CONSTANT",
    "SLOW_TIME_CONSTANT",
    "JitterEstimator",
    "RateMeter",
    "RoundTripEstimator",
]

SLOW_TIME_CONSTANT: Final = MICROS_PER_SECOND
"""For people and statistics: steady enough to read."""

FAST_TIME_CONSTANT: Final = 100 * MICROS_PER_MILLI
"""For decisions that must see a burst while it lasts."""


class RoundTripEstimator:
    """Smooths round-trip times with a gain of one eighth, as TCP does and RIST's tools do.

    Limits belong to whoever uses the estimate, not to the samples, so that a tight limit does not distort it.
    """

    __slots__ = ("_eight", "last")

    def __init__(self) -> None:
        self._eight = 0
        self.last: Micros | None = None
        """The newest sample as it came."""

    def add(self, sample: Micros) -> None:
        """Take in a sample; negative ones come from forged or stale reports and are ignored."""
        if sample < 0:
            return
        if self.last is None:
            self._eight = 8 * sample
        else:
            self._eight += sample - self._eight // 8
        self.last = sample

    @property
    def smoothed(self) -> Micros | None:
        """The estimate, None before the first sample."""
        return None if self.last is None else self._eight // 8

    def clamped(self, lowest: Micros, highest: Micros) -> Micros:
        """The estimate within limits; before the first sample the upper limit, which asks for patience."""
        smoothed = highest if self.last is None else self._eight // 8
        return max(lowest, min(highest, smoothed))


class RateMeter:
    """How much passes per second, averaged with exponentially fading weight.

    Right from the first moment: the average is taken over the time that was observed, not over a window that
    began empty, so a steady stream shows its rate at once instead of creeping up to it.
    """

    __slots__ = ("_last", "_started", "_time_constant", "_weighted", "total")

    def __init__(self, time_constant: Micros = SLOW_TIME_CONSTANT) -> None:
        self._time_constant: Final = time_constant
        self._weighted = 0.0
        self._started: Micros | None = None
        self._last: Micros = 0
        self.total = 0
        """All that ever passed."""

    def add(self, amount: int, now: Micros) -> None:
        """*amount* passed at *now*; a whole batch may be added at once."""
        self.total += amount
        if self._started is None:
            # What arrives at the very start belongs to time that nobody watched.
            self._started = self._last = now
            return
        if now > self._last:
            self._fade(now)
        self._weighted += amount

    def per_second(self, now: Micros) -> float:
        """The rate at *now*, falling while nothing passes; 0 before two moments have been seen."""
        if self._started is None or now <= self._started:
            return 0.0
        if now > self._last:
            self._fade(now)
        observed = 1.0 - exp((self._started - now) / self._time_constant)
        return self._weighted * MICROS_PER_SECOND / (self._time_constant * observed)

    def _fade(self, now: Micros) -> None:
        self._weighted *= exp((self._last - now) / self._time_constant)
        self._last = now


class JitterEstimator:
    """Interarrival jitter as RFC 3550 defines it (appendix A.8), in ticks of the media clock."""

    __slots__ = ("_scaled", "_transit", "clock_rate")

    def __init__(self, clock_rate: int) -> None:
        if clock_rate <= 0:
            raise ValueError(f"a clock rate is positive, not {clock_rate}")
        self.clock_rate: Final = clock_rate
        self._scaled = 0
        self._transit: int | None = None

    def add(self, timestamp: int, now: Micros) -> None:
        """A packet with this RTP timestamp arrived."""
        transit = now * self.clock_rate // MICROS_PER_SECOND - timestamp
        if self._transit is not None:
            # Modulo the 32 bits of the timestamp, so that its wrap is no jump.
            change = abs(((transit - self._transit + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000)
            # Sixteen times the jitter, with the rounding of the appendix: J += (|D| - J) / 16.
            self._scaled += change - ((self._scaled + 8) >> 4)
        self._transit = transit

    @property
    def ticks(self) -> int:
        """The jitter, as a report block carries it."""
        return self._scaled >> 4

    @property
    def micros(self) -> Micros:
        """The jitter as a duration."""
        return self._scaled * MICROS_PER_SECOND // (16 * self.clock_rate)
