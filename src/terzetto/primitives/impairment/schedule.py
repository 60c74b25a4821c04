"""Conditions that change with time, without anybody having to be awake at the moment they do."""

from __future__ import annotations

from bisect import insort

import attrs

from terzetto.primitives.impairment.conditions import LinkConditions
from terzetto.primitives.time import Micros

__all__ = ["Schedule"]


class Schedule:
    """What a link does when: a base, changes of it, and partitions that overlay whatever is in force."""

    __slots__ = ("_base", "_changes", "_partitions")

    def __init__(self, base: LinkConditions) -> None:
        self._base = base
        self._changes: list[tuple[Micros, int, LinkConditions]] = []
        self._partitions: list[tuple[Micros, Micros]] = []

    def change(self, at: Micros, conditions: LinkConditions) -> None:
        """From *at* on, until the next change, *conditions* hold."""
        # The counter keeps the order of two changes at one moment, and conditions from being compared.
        insort(self._changes, (at, len(self._changes), conditions))

    def partition(self, start: Micros, end: Micros) -> None:
        """Nothing passes from *start* until *end*."""
        if end <= start:
            raise ValueError(f"a partition from {start} to {end} us has no length")
        insort(self._partitions, (start, end))

    def at(self, now: Micros) -> LinkConditions:
        """The conditions at *now*."""
        conditions = self._base
        for moment, _order, changed in self._changes:
            if moment > now:
                break
            conditions = changed
        if any(start <= now < end for start, end in self._partitions):
            conditions = attrs.evolve(conditions, up=False)
        return conditions

    def next_change(self, now: Micros) -> Micros | None:
        """The first moment after *now* at which the conditions may differ, or None."""
        moments = [moment for moment, _order, _conditions in self._changes if moment > now]
        moments += [edge for partition in self._partitions for edge in partition if edge > now]
        return min(moments, default=None)
