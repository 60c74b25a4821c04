"""From circular RTP timestamps to moments on our own clock.

A packet is due one recovery buffer after its *packet time*: the source's timestamp plus an offset that says how
far the two clocks lie apart. The first packet sets the offset; after every 2048 samples their median replaces it,
which follows the drift of two crystals without following the jitter of the path.
"""

from __future__ import annotations

from statistics import median_low
from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["SourceClock"]

_SAMPLES: Final = 2048
_HALF: Final = 1 << 31
_SPAN: Final = 1 << 32


class SourceClock:
    """Maps one flow's timestamps, of *rate* ticks a second, to our time."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._newest_ticks: int | None = None
        self._offset: Micros = 0
        self._anchored = False
        self._samples: list[Micros] = []
        self._sampled_at: Micros | None = None

    @property
    def is_anchored(self) -> bool:
        """Whether an offset is known, that is, whether a packet has arrived."""
        return self._anchored

    @property
    def offset(self) -> Micros:
        """Our clock minus the source's."""
        return self._offset

    def source_time(self, timestamp: int) -> Micros:
        """The circular *timestamp* on the source's own, endless clock.

        Whichever turn of the circle lies nearest to the newest timestamp seen is meant: wraps need no other care.
        """
        newest = self._newest_ticks
        if newest is None:
            ticks = self._newest_ticks = timestamp
        else:
            ahead = (timestamp - newest) & (_SPAN - 1)
            if ahead < _HALF:
                ticks = newest + ahead
                self._newest_ticks = ticks
            else:
                ticks = newest + ahead - _SPAN
        return ticks * MICROS_PER_SECOND // self._rate

    def packet_time(self, source_time: Micros) -> Micros:
        """When a packet of that source time arrives if its path is as fast as most packets'."""
        return source_time + self._offset

    def anchor(self, source_time: Micros, arrival: Micros) -> None:
        """From here on *source_time* and *arrival* are the same moment."""
        self._offset = arrival - source_time
        self._anchored = True
        self._samples.clear()

    def anchor_to_wall_clock(self, offset: Micros) -> None:
        """The source's reports say how its timestamps map to wall-clock time, and so to ours."""
        self._offset = offset
        self._anchored = True
        self._samples.clear()

    def sample(self, source_time: Micros, arrival: Micros) -> None:
        """Learn from an original packet that arrived in order.

        Of those that arrived together only the last counts, or one backlog would outweigh all that was on time.
        """
        samples = self._samples
        if arrival == self._sampled_at and samples:
            samples[-1] = arrival - source_time
            return
        self._sampled_at = arrival
        samples.append(arrival - source_time)
        if len(samples) >= _SAMPLES:
            self._offset = median_low(samples)
            samples.clear()
