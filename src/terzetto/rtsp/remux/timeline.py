"""A transport stream's clock, 33 bits of 90 kHz, as one that neither wraps nor jumps.

It wraps every 26 hours, and begins anew when an encoder does; players who receive RTP want it to go on.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Timeline"]

_WRAP: Final = 1 << 33
_HALF: Final = 1 << 32
# Streams of one programme lie at most a second or two apart; what is further away is another time.
_JUMP: Final = 10 * 90_000
_STEP: Final = 3600


class Timeline:
    """One for all streams of a programme, so that they stay together."""

    def __init__(self) -> None:
        self.jumps = 0
        """How often the clock began anew."""
        self._last_raw: int | None = None
        self._last = 0
        self._latest = 0

    def place(self, raw: int) -> int:
        """Where a time stamp of the stream lies, in ticks since the first one; may be a little before it."""
        if self._last_raw is None:
            self._last_raw = raw
            return 0
        ahead = (raw - self._last_raw + _HALF) % _WRAP - _HALF
        if abs(ahead) > _JUMP:
            self.jumps += 1
            ahead = self._latest + _STEP - self._last
        self._last_raw = raw
        self._last += ahead
        self._latest = max(self._latest, self._last)
        return self._last
