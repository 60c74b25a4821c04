"""How much reordering to forgive before a gap counts as a loss.

With a tolerance of *t*, a gap is reported only after *t* further packets have come. The tolerance adapts: a
packet that was merely late and not repeated raises it to the distance it fell behind, packets in order lower
it slowly.
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["ReorderTolerance"]

_EARLY_TO_LOWER: Final = 10
_IN_ORDER_TO_LOWER: Final = 50


class ReorderTolerance:
    """The gaps that are not reported yet, and how long each may wait. *most* 0 forgives nothing."""

    __slots__ = ("_arrivals", "_early", "_fresh", "_in_order", "most", "tolerance")

    def __init__(self, most: int) -> None:
        self.most = most
        self.tolerance = most
        self._fresh: deque[tuple[int, int, int]] = deque()
        self._arrivals = 0
        self._early = 0
        self._in_order = 0

    @property
    def is_active(self) -> bool:
        """Whether anything waits, or would."""
        return self.tolerance > 0 or bool(self._fresh)

    def add(self, first: int, last: int) -> None:
        """A gap opened; it is due after ``tolerance`` further packets."""
        self._fresh.append((self._arrivals + self.tolerance, first, last))

    def arrived(self, count: int = 1, *, in_order: bool = True) -> list[tuple[int, int]]:
        """*count* packets came; the gaps that have waited long enough."""
        self._arrivals += count
        if in_order and self.tolerance:
            self._in_order += count
            if self._in_order >= _IN_ORDER_TO_LOWER:
                self._in_order = 0
                self.tolerance -= 1
        due = []
        while self._fresh and self._fresh[0][0] <= self._arrivals:
            _, first, last = self._fresh.popleft()
            due.append((first, last))
        return due

    def came_late(self, position: int, distance: int) -> None:
        """A packet that was never repeated came *distance* packets after its turn."""
        self._in_order = 0
        if self.most == 0:
            return
        if distance > self.tolerance:
            self.tolerance = min(distance, self.most)
            self._early = 0
        elif self._is_early(position):
            self._early += 1
            if self._early >= _EARLY_TO_LOWER and self.tolerance:
                self._early = 0
                self.tolerance -= 1

    def _is_early(self, position: int) -> bool:
        return any(first <= position <= last and due - self._arrivals > 2 for due, first, last in self._fresh)
