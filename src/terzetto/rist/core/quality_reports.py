"""Link quality messages at a receiver: what happened since the last one (TR-06-4 part 1, section 5)."""

from __future__ import annotations

from typing import Final, NamedTuple

from terzetto.primitives.time import MICROS_PER_MILLI, Micros, micros
from terzetto.rist.adaptation import RistAdaptation
from terzetto.rist.core.counters import FlowCounters
from terzetto.rist.wire.link_quality import LinkQuality
from terzetto.rtp.header import FIXED_HEADER_SIZE

__all__ = ["QualityReports"]

_MASK: Final = 0xFFFF_FFFF


class _Totals(NamedTuple):
    """What has been counted since the flow began."""

    originals: int = 0
    original_bytes: int = 0
    repeats: int = 0
    repeat_bytes: int = 0
    lost: int = 0
    recovered: int = 0
    unrecovered: int = 0
    late: int = 0


class QualityReports:
    """One message at the end of each period, and each period begins where the last one ended.

    What is only late is not lost: gaps count as *lost* once reordering no longer explains them, so a later period
    may have to take back what an earlier one was too quick with.
    """

    def __init__(self, adaptation: RistAdaptation, *, now: Micros) -> None:
        self._period = micros(adaptation.period)
        self._began = now
        self._last = _Totals()
        self._sequence = 0
        self.other_sources = 0
        """Parities and answers to echoes: the message counts them among the packets of the source."""
        self._other_sources_reported = 0

    @property
    def next_report(self) -> Micros:
        """When the period ends."""
        return self._began + self._period

    def report(self, counters: FlowCounters | None, *, buffer: Micros, now: Micros) -> LinkQuality | None:
        """The message for the period that ends now; None before its time, and before the flow began."""
        if now < self.next_report:
            return None
        elapsed = max((now - self._began) // MICROS_PER_MILLI, 1)
        self._began = now
        if counters is None:
            return None
        was, total = self._last, _totals(counters)
        # Gaps that turn out to be reordering are subtracted from what was lost; never below what was reported.
        lost = max(total.lost, was.lost)
        self._last = total._replace(lost=lost)
        others = self.other_sources - self._other_sources_reported
        self._other_sources_reported = self.other_sources
        self._sequence = (self._sequence + 1) & _MASK
        originals, repeats = total.originals - was.originals, total.repeats - was.repeats
        return LinkQuality(
            sequence=self._sequence,
            period_ms=min(elapsed, _MASK),
            nack_window_ms=buffer // MICROS_PER_MILLI,
            source_received=max(originals + others, 0),
            original_lost=lost - was.lost,
            retransmitted_received=max(repeats, 0),
            recovered=max(total.recovered - was.recovered, 0),
            unrecovered=max(total.unrecovered - was.unrecovered, 0),
            late=max(total.late - was.late, 0),
            data_kbps=_kbps(originals, total.original_bytes - was.original_bytes, elapsed),
            retransmission_kbps=_kbps(repeats, total.repeat_bytes - was.repeat_bytes, elapsed),
        )


def _totals(counters: FlowCounters) -> _Totals:
    repeats, repeat_bytes = counters.received_retransmissions, counters.received_retransmitted_bytes
    return _Totals(
        originals=counters.received - repeats,
        original_bytes=counters.received_bytes - repeat_bytes,
        repeats=repeats,
        repeat_bytes=repeat_bytes,
        lost=counters.missing - counters.reordered,
        recovered=counters.recovered,
        unrecovered=counters.unrecovered,
        late=counters.too_late - counters.too_late_repeats,
    )


def _kbps(packets: int, payload: int, milliseconds: int) -> int:
    """Payloads and their RTP headers, rounded to the next 1000 bits a second; bits a millisecond are kbit/s."""
    bits = 8 * max(payload + packets * FIXED_HEADER_SIZE, 0)
    return min((bits + milliseconds // 2) // milliseconds, _MASK)
