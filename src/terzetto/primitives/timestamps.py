"""RTP timestamps, which count the ticks of a media clock in 32 bits and start again every few hours, as time.

At 90 kHz they wrap every 13 hours 15 minutes, at RIST Advanced's 1 MHz every 71 minutes.
"""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["TimestampClock", "micros_from_ticks", "ticks_from_micros"]

_HALF: Final = 1 << 31
_MASK: Final = 0xFFFF_FFFF


def micros_from_ticks(ticks: int, clock_rate: int) -> Micros:
    """Microseconds in *ticks* of a clock of *clock_rate* hertz, rounded down."""
    return ticks * MICROS_PER_SECOND // clock_rate


def ticks_from_micros(duration: Micros, clock_rate: int) -> int:
    """Ticks of a clock of *clock_rate* hertz in *duration*, rounded down, not yet cut to 32 bits."""
    return duration * clock_rate // MICROS_PER_SECOND


class TimestampClock:
    """Turns the timestamps of one source into microseconds that do not wrap.

    Each timestamp is taken as the nearest to the one before it, so timestamps may come late or in any order,
    as long as no two in a row lie half the range apart. The first stands for its own value.
    """

    __slots__ = ("_extended", "clock_rate")

    def __init__(self, clock_rate: int) -> None:
        if clock_rate <= 0:
            raise ValueError(f"a clock rate is positive, not {clock_rate}")
        self.clock_rate: Final = clock_rate
        self._extended: int | None = None

    def ticks(self, timestamp: int) -> int:
        """*timestamp* as a number of ticks that does not wrap; remembered as the reference for the next."""
        reference = timestamp if self._extended is None else self._extended
        extended = reference + ((timestamp - reference + _HALF) & _MASK) - _HALF
        self._extended = extended
        return extended

    def micros(self, timestamp: int) -> Micros:
        """The media time of *timestamp* in microseconds; remembered as the reference for the next."""
        return self.ticks(timestamp) * MICROS_PER_SECOND // self.clock_rate

    def reset(self) -> None:
        """Forget the reference, because the source has started afresh."""
        self._extended = None
