"""How fast packets come, for the figures that acknowledgements carry back."""

from __future__ import annotations

from collections import deque
from typing import Final

from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["LinkCapacity", "ReceiveRate"]

_WINDOW: Final = MICROS_PER_SECOND // 4
_FIRST_CAPACITY: Final = 1000
_PROBE_SAMPLES: Final = 16


class ReceiveRate:
    """Packets and bytes per second over the last quarter of a second.

    libsrt takes the median of the gaps between packets. We read packets in batches, so the gap inside a batch
    means nothing; counting over a window gives the same figure for any steady stream.
    """

    __slots__ = ("_bytes", "_marks", "_packets")

    def __init__(self) -> None:
        self._marks: deque[tuple[Micros, int, int]] = deque()
        self._packets = 0
        self._bytes = 0

    def arrived(self, packets: int, size: int, *, now: Micros) -> None:
        """*packets* came now with *size* bytes, headers included."""
        marks = self._marks
        self._packets += packets
        self._bytes += size
        if marks and now - marks[-1][0] < 5000:
            return  # one mark in five milliseconds is fine enough
        marks.append((now, self._packets, self._bytes))
        while now - marks[0][0] > _WINDOW and len(marks) > 2:
            marks.popleft()

    def per_second(self, *, now: Micros) -> tuple[int, int]:
        """Packets and bytes per second; zero where too little came to tell."""
        marks = self._marks
        while marks and now - marks[0][0] > 2 * _WINDOW:
            marks.popleft()
        if len(marks) < 2:
            return 0, 0
        began, packets, size = marks[0]
        elapsed = max(now - began, 1)
        return (
            -(-(self._packets - packets) * MICROS_PER_SECOND // elapsed),
            -(-(self._bytes - size) * MICROS_PER_SECOND // elapsed),
        )


class LinkCapacity:
    """What the narrowest link between us carries, from pairs of packets that left back to back.

    Every sixteenth packet and its follower are such a pair. Only pairs whose arrivals we could tell apart
    count.
    """

    __slots__ = ("_probe_at", "_probe_position", "_samples", "estimate")

    def __init__(self) -> None:
        self.estimate = _FIRST_CAPACITY
        """Packets per second."""
        self._samples: deque[int] = deque(maxlen=_PROBE_SAMPLES)
        self._probe_position = -1
        self._probe_at: Micros = 0

    def arrived(self, position: int, size: int, largest: int, *, now: Micros) -> None:
        """An original packet at the end of a batch, or at the beginning of one, came now."""
        if position & 15 == 0:
            self._probe_position = position
            self._probe_at = now
        elif position & 15 == 1 and position == self._probe_position + 1 and now > self._probe_at and size:
            self._samples.append((now - self._probe_at) * largest // size)
            self._estimate()

    def _estimate(self) -> None:
        samples = sorted(self._samples)
        median = samples[len(samples) // 2] or 1
        passing = [sample for sample in samples if median / 8 < sample < median * 8]
        total = sum(passing) + median
        self.estimate = -(-MICROS_PER_SECOND * (len(passing) + 1) // total)
