"""Which losses are left to the packet filter, and which to repeats."""

from __future__ import annotations

from heapq import heappop, heappush

from terzetto.primitives.fec import Line
from terzetto.srt.core.counters import Counters
from terzetto.srt.core.range_list import RangeList
from terzetto.srt.wire.filter_configuration import FilterArq, FilterSettings

__all__ = ["FilterLosses"]


class FilterLosses:
    """Waits for each lost packet until the last line that could give it back has gone by.

    With ``arq:onreq`` such packets are reported then, and again until they come. libsrt reports each once, and a
    loss report that is lost itself leaves a hole for good.
    """

    def __init__(self, settings: FilterSettings, counters: Counters, *, first: int) -> None:
        self.reports_gaps = settings.arq is FilterArq.ALWAYS
        """Whether a gap is reported as soon as it opens."""
        self._reports_given_up = settings.arq is FilterArq.ONREQ
        self._layout = settings.layout
        self._first = first
        self._counters = counters
        # A line is waited for until so many packets have come behind its end: its parity may be overtaken.
        self._patience = settings.columns // 3 + 1
        self._hopes: list[tuple[int, int]] = []
        self._given_up = RangeList()
        self._highest_at_report = first - 1

    def opened(self, first: int, last: int) -> None:
        """A gap opened."""
        for position in range(first, last + 1):
            heappush(self._hopes, (self._last_chance(position), position))

    def to_report(
        self, losses: RangeList, highest: int, *, everything: bool = False
    ) -> list[tuple[int, int]]:
        """What of *losses* the filter has just given up and repeats should bring, now that *highest* has come."""
        hopes = self._hopes
        if not hopes or (hopes[0][0] > highest and not everything):
            return []
        hopeless = RangeList()
        while hopes and (everything or hopes[0][0] <= highest):
            position = heappop(hopes)[1]
            if position in losses:
                hopeless.add(position, position)
        self._counters.filter_lost += hopeless.count
        if not self._reports_given_up:
            return []
        for first, last in hopeless:
            self._given_up.add(first, last)
        return list(hopeless)

    def to_report_again(self, losses: RangeList, highest: int) -> list[tuple[int, int]]:
        """All that was given up and is still missing, at the time of a repeated report."""
        if highest == self._highest_at_report:
            # The stream pauses: a parity that has not come by now will not come.
            self.to_report(losses, highest, everything=True)
        self._highest_at_report = highest
        still = [piece for first, last in self._given_up for piece in losses.within(first, last)]
        self._given_up.clear()
        for first, last in still:
            self._given_up.add(first, last)
        return still

    def _last_chance(self, position: int) -> int:
        layout = self._layout
        relative = position - self._first
        line: Line | None = None
        if layout.has_columns:
            line = layout.column_of(relative)
        if line is None and layout.has_rows:
            line = layout.row_of(relative)
        if line is None:
            return position  # above the first stairs of columns without rows: nothing protects it
        return self._first + line.last + self._patience
