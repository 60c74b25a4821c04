"""What a receiver tells its sender of what is missing: gaps as they open, and all that is left, from time to time."""

from __future__ import annotations

from typing import Final

from terzetto.primitives.time import Micros
from terzetto.srt.core.counters import Counters
from terzetto.srt.core.filter_losses import FilterLosses
from terzetto.srt.core.negotiation import Agreement
from terzetto.srt.core.range_list import RangeList
from terzetto.srt.core.reorder import ReorderTolerance
from terzetto.srt.core.round_trip import RoundTrip
from terzetto.srt.options import PER_PACKET_OVERHEAD
from terzetto.srt.wire.nak import encode_losses

__all__ = ["LossReports"]

_NAK_FLOOR: Final = 20_000

# Packets that one report of all losses may take where everything is to be repaired, however long that takes.
_MOST_REPORTS: Final = 16


class LossReports:
    """Reports from a receiver's *losses*; a packet filter and a tolerance of reordering may ask for patience."""

    def __init__(
        self,
        agreement: Agreement,
        losses: RangeList,
        tolerance: ReorderTolerance,
        counters: Counters,
        round_trip: RoundTrip,
    ) -> None:
        self.has_playout = agreement.has_playout
        self._losses = losses
        self._tolerance = tolerance
        self._round_trip = round_trip
        self._filter: FilterLosses | None = None
        if agreement.packet_filter is not None:
            self._filter = FilterLosses(agreement.packet_filter, counters, first=agreement.first_received)
        self._fresh: list[tuple[int, int]] = []
        self._repeat_at: Micros | None = None
        self._repeats = agreement.options.nak_report
        self._most_words = (agreement.mss - PER_PACKET_OVERHEAD) // 4

    @property
    def due_at(self) -> Micros | None:
        """When to ask for `repeated`."""
        return self._repeat_at if self._losses else None

    def opened(self, first: int, last: int) -> None:
        """A gap has opened."""
        left_to_filter = self._filter
        if left_to_filter is not None:
            left_to_filter.opened(first, last)
            if not left_to_filter.reports_gaps:
                return  # the packet filter has the first chance
        if self._tolerance.tolerance:
            self._tolerance.add(first, last)
        else:
            self._fresh.append((first, last))

    def arrived(self, *, in_order: bool) -> None:
        """A packet came, which may have been the last that a gap was given."""
        if self._tolerance.is_active:
            self._fresh += self._tolerance.arrived(in_order=in_order)

    def screened(self, highest: int) -> None:
        """The packet filter has seen a run that ends at *highest*: what it gave up is to be reported."""
        if self._filter is not None:
            self._fresh += self._filter.to_report(self._losses, highest)

    def forget(self) -> None:
        """Nothing of before is of interest."""
        self._fresh.clear()

    def fresh(self, *, now: Micros) -> bytes | None:
        """What to report at once: the gaps that opened since the last call and are still there."""
        if self._repeats and self._losses and self._repeat_at is None:
            self._repeat_at = now + self._interval()
        if not self._fresh:
            return None
        fresh, self._fresh = self._fresh, []
        still = [piece for first, last in fresh for piece in self._losses.within(first, last)]
        return encode_losses(still, most_words=self._most_words) if still else None

    def repeated(self, highest: int, *, now: Micros) -> list[bytes]:
        """The whole list again, when it is time for that; live media has time for the head of it alone."""
        if not self._repeats:
            return []
        if not self._losses:
            self._repeat_at = None
            return []
        if self._repeat_at is None or now < self._repeat_at:
            return []
        self._repeat_at = now + self._interval()
        if self._filter is not None and not self._filter.reports_gaps:
            given_up = self._filter.to_report_again(self._losses, highest)
            return [encode_losses(given_up, most_words=self._most_words)] if given_up else []
        if self.has_playout:
            return [encode_losses(self._losses, most_words=self._most_words)]
        # A range takes two words at most.
        step = self._most_words // 2
        ranges = list(self._losses)[: step * _MOST_REPORTS]
        return [
            encode_losses(ranges[start : start + step], most_words=self._most_words)
            for start in range(0, len(ranges), step)
        ]

    def _interval(self) -> Micros:
        patience = self._round_trip.patience
        return max(patience // 2 if self.has_playout else patience, _NAK_FLOOR)
