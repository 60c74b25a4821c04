"""A sorted list of disjoint ranges of positions: the losses of either side.

A burst of a thousand lost packets is one entry, so a hostile report costs no more than an honest one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

__all__ = ["RangeList"]


class RangeList:
    """Positions, kept as ranges with both ends included."""

    __slots__ = ("_firsts", "_lasts", "count")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self.count = 0
        """How many positions there are."""

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(list(zip(self._firsts, self._lasts, strict=True)))

    def __contains__(self, position: int) -> bool:
        index = bisect_right(self._firsts, position) - 1
        return index >= 0 and position <= self._lasts[index]

    @property
    def first(self) -> tuple[int, int]:
        """The lowest range; only where there is one."""
        return self._firsts[0], self._lasts[0]

    def end_at(self, position: int) -> int | None:
        """The last position of the range that holds *position*, or None when none does."""
        index = bisect_right(self._firsts, position) - 1
        if index < 0 or position > self._lasts[index]:
            return None
        return self._lasts[index]

    def clear(self) -> None:
        """Forget everything."""
        self._firsts.clear()
        self._lasts.clear()
        self.count = 0

    def add(self, first: int, last: int) -> int:
        """Add a range, merging what touches; how many positions are new."""
        firsts, lasts = self._firsts, self._lasts
        if not lasts or first > lasts[-1] + 1:
            firsts.append(first)
            lasts.append(last)
            self.count += last - first + 1
            return last - first + 1
        low = bisect_left(lasts, first - 1)
        high = bisect_right(firsts, last + 1)
        covered = sum(lasts[i] - firsts[i] + 1 for i in range(low, high))
        if low < high:
            first = min(first, firsts[low])
            last = max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]
        added = last - first + 1 - covered
        self.count += added
        return added

    def remove(self, position: int) -> bool:
        """Take one position out; whether it was there."""
        firsts, lasts = self._firsts, self._lasts
        index = bisect_right(firsts, position) - 1
        if index < 0 or position > lasts[index]:
            return False
        first, last = firsts[index], lasts[index]
        if first == last:
            del firsts[index], lasts[index]
        elif position == first:
            firsts[index] = first + 1
        elif position == last:
            lasts[index] = last - 1
        else:
            lasts[index] = position - 1
            firsts.insert(index + 1, position + 1)
            lasts.insert(index + 1, last)
        self.count -= 1
        return True

    def remove_range(self, first: int, last: int) -> int:
        """Take a range out; how many positions it held."""
        firsts, lasts = self._firsts, self._lasts
        low = bisect_left(lasts, first)
        high = bisect_right(firsts, last)
        if low >= high:
            return 0
        removed = sum(lasts[i] - firsts[i] + 1 for i in range(low, high))
        kept: list[tuple[int, int]] = []
        if firsts[low] < first:
            kept.append((firsts[low], first - 1))
        if lasts[high - 1] > last:
            kept.append((last + 1, lasts[high - 1]))
        removed -= sum(b - a + 1 for a, b in kept)
        firsts[low:high] = [a for a, _ in kept]
        lasts[low:high] = [b for _, b in kept]
        self.count -= removed
        return removed

    def remove_below(self, position: int) -> int:
        """Take out everything below *position*; how many that were."""
        if not self._firsts or self._firsts[0] >= position:
            return 0
        return self.remove_range(self._firsts[0], position - 1)

    def within(self, first: int, last: int) -> list[tuple[int, int]]:
        """What there is between *first* and *last*, cut to them."""
        firsts, lasts = self._firsts, self._lasts
        low = bisect_left(lasts, first)
        high = bisect_right(firsts, last)
        return [(max(firsts[i], first), min(lasts[i], last)) for i in range(low, high)]
