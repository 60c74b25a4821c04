"""The round-trip time and its variance, smoothed as libsrt smooths them."""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import Micros

__all__ = ["INITIAL_ROUND_TRIP", "INITIAL_VARIANCE", "RoundTrip"]

INITIAL_ROUND_TRIP: Final = 100_000
INITIAL_VARIANCE: Final = 50_000


class RoundTrip:
    """One estimator for both roles: a receiver measures, a sender is told and may measure as well."""

    __slots__ = ("is_measured", "is_own", "smoothed", "variance")

    def __init__(self) -> None:
        self.smoothed: Micros = INITIAL_ROUND_TRIP
        self.variance: Micros = INITIAL_VARIANCE
        self.is_measured = False
        """Whether the figures are more than a first guess."""
        self.is_own = False
        """Whether we measured ourselves, which only who receives data can."""

    @property
    def patience(self) -> Micros:
        """How long an answer may take before it counts as late."""
        return self.smoothed + 4 * self.variance

    def measure(self, sample: Micros) -> None:
        """Take in a sample of our own: the time between an ACK and its ACKACK."""
        sample = max(1, sample)
        if self.is_own:
            self._filter(sample, abs(sample - self.smoothed))
        else:
            self.smoothed = sample
            self.variance = sample // 2
            self.is_own = self.is_measured = True

    def adopt(self, round_trip: Micros, variance: Micros) -> None:
        """Take in what the peer says in an ACK."""
        if (round_trip, variance) == (INITIAL_ROUND_TRIP, INITIAL_VARIANCE):
            return  # the peer has not measured yet, it only repeats the first guess
        if self.is_own:
            self._filter(round_trip, abs(round_trip - self.smoothed))
        else:
            self.smoothed = round_trip
            self.variance = variance
            self.is_measured = True

    def _filter(self, sample: Micros, deviation: Micros) -> None:
        self.variance = (3 * self.variance + deviation) // 4
        self.smoothed = (7 * self.smoothed + sample) // 8
