"""When a packet is due: timestamps of the sender turned into moments of ours.

A packet plays at ``base + timestamp + delay + drift``. The base is set by the handshake; drift is what the
two clocks have moved apart since. Timestamps wrap every 71 minutes; they are unwrapped against the moment a
packet arrives, which is never half an hour from the moment it was sent, so even a long silence loses no wrap.
"""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import Micros
from terzetto.srt.wire.numbers import unwrap_timestamp

__all__ = ["DRIFT_LIMIT", "DRIFT_SAMPLES", "PlayoutClock"]

# libsrt's figures. A thousand samples are ten seconds of acknowledgements, enough to average jitter away;
# beyond five milliseconds the base itself moves, so that drift stays a small correction.
DRIFT_SAMPLES: Final = 1000
DRIFT_LIMIT: Final = 5000


class PlayoutClock:
    """The receiver's idea of the sender's clock."""

    __slots__ = ("_count", "_first_round_trip", "_sum", "base", "delay", "drift", "is_tracing")

    def __init__(self, *, base: Micros, delay: Micros, is_tracing: bool = True) -> None:
        self.base = base
        """Our moment at which the sender's clock stood at zero, as the handshake's travel makes it seem."""
        self.delay = delay
        self.drift: Micros = 0
        self.is_tracing = is_tracing
        self._sum = 0
        self._count = 0
        self._first_round_trip: Micros | None = None

    def play_at(self, timestamp: int, *, now: Micros) -> Micros:
        """When a packet stamped *timestamp*, arriving *now*, is due."""
        return self.sent_at(timestamp, now=now) + self.delay + self.drift

    def sent_at(self, timestamp: int, *, now: Micros) -> Micros:
        """The moment a stamp means, on our clock and without drift."""
        return self.base + unwrap_timestamp(timestamp, now - self.base)

    def trace(self, timestamp: int, *, now: Micros, round_trip: Micros | None) -> None:
        """Compare clocks on a control packet, with the round trip that it closed if it did."""
        if not self.is_tracing:
            return
        sample = now - self.sent_at(timestamp, now=now)
        if round_trip is not None:
            if self._first_round_trip is None:
                self._first_round_trip = round_trip
            sample -= (round_trip - self._first_round_trip) // 2
        self._sum += sample
        self._count += 1
        if self._count < DRIFT_SAMPLES:
            return
        self.drift = self._sum // self._count
        self._sum = self._count = 0
        if abs(self.drift) > DRIFT_LIMIT:
            step = DRIFT_LIMIT if self.drift > 0 else -DRIFT_LIMIT
            self.base += step
            self.drift -= step
