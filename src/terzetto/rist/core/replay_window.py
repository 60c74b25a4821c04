"""Which 32-bit sequences have been seen under one key, so that a recorded packet cannot be played again.

The newest sequence and a bit for each of those shortly before it. What is older than the window is refused, since
nobody remembers; the window is wide enough for any reordering that a recovery buffer would forgive.
"""

from __future__ import annotations

from typing import Final

__all__ = ["WINDOW", "ReplayWindow"]

WINDOW: Final = 8192
"""Sequences remembered: 0.3 s of a stream at 300 Mbit/s, a second at 100."""

_MASK: Final = 0xFFFF_FFFF
_HALF: Final = 0x8000_0000
_WINDOW_MASK: Final = (1 << WINDOW) - 1


class ReplayWindow:
    """Sequences are circular: newer is what lies less than half the circle ahead."""

    __slots__ = ("_newest", "_seen")

    def __init__(self) -> None:
        self._newest = -1
        self._seen = 0  # bit n: newest - n was seen

    def leap(self, sequence: int) -> int:
        """How far ahead of the newest *sequence* is; 0 where it is not ahead, or where it is the first."""
        if self._newest < 0:
            return 0
        ahead = (sequence - self._newest) & _MASK
        return ahead if ahead < _HALF else 0

    def take(self, sequence: int) -> bool:
        """Whether *sequence* is new; then it is remembered."""
        if self._newest < 0:
            self._newest, self._seen = sequence, 1
            return True
        ahead = (sequence - self._newest) & _MASK
        if 0 < ahead < _HALF:
            self._newest = sequence
            self._seen = (self._seen << ahead | 1) & _WINDOW_MASK if ahead < WINDOW else 1
            return True
        behind = (self._newest - sequence) & _MASK
        if behind >= WINDOW or self._seen >> behind & 1:
            return False
        self._seen |= 1 << behind
        return True

    def take_consecutive(self, first: int, count: int) -> bool:
        """Remember *count* sequences from *first* on if all are newer than any before; the short way of a run."""
        last = (first + count - 1) & _MASK
        if self._newest < 0:
            self._newest, self._seen = last, (1 << count) - 1 & _WINDOW_MASK
            return True
        ahead = (first - self._newest) & _MASK
        if not 0 < ahead < _HALF:
            return False
        self._newest = last
        shift = ahead + count - 1
        older = self._seen << shift if shift < WINDOW else 0
        self._seen = (older | (1 << count) - 1) & _WINDOW_MASK
        return True
