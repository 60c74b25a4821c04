"""How reception goes, in the words of a report block (RFC 3550, section 6.4.1)."""

from __future__ import annotations

from typing import Final

from terzetto.primitives.estimators import JitterEstimator
from terzetto.rist.core.counters import FlowCounters
from terzetto.rist.core.vocabulary import ReceptionReport

__all__ = ["Reception"]

_MOST_LOST: Final = 0x7F_FFFF


class Reception:
    """Watches one flow for its reports."""

    def __init__(self, flow_id: int, *, clock_rate: int) -> None:
        self._flow_id = flow_id
        self._jitter = JitterEstimator(clock_rate)
        self.sample = self._jitter.add
        """An original arrived in order, with this timestamp, now; one of each batch is enough."""
        self._highest = 0
        self._gaps = 0

    def report(self, counters: FlowCounters, highest: int) -> ReceptionReport:
        """The block for a report that leaves now; its fraction is what was lost since the last one."""
        gaps = max(counters.missing - counters.reordered, 0)
        expected, lost = highest - self._highest, max(gaps - self._gaps, 0)
        self._highest, self._gaps = highest, gaps
        return ReceptionReport(
            0,
            self._flow_id,
            fraction_lost=min(lost * 256 // expected, 0xFF) if expected > 0 else 0,
            cumulative_lost=min(counters.unrecovered, _MOST_LOST),
            highest_sequence=highest & 0xFFFF_FFFF,
            jitter=self._jitter.ticks & 0xFFFF_FFFF,
        )
