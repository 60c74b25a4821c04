"""Receiving the RTP packets of one source: order, losses, jitter, reports.

Over UDP packets that come early wait for the ones before them, for a bounded time and number. In order, which is
nearly always, a packet passes without touching the store.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from terzetto.primitives.estimators import JitterEstimator
from terzetto.primitives.time import Micros
from terzetto.rtp.ntp import delay_units, middle_32
from terzetto.rtp.sender_report import ReportBlock, SenderReport

__all__ = ["Arrival", "SourceReceiver"]

# A jump of more than this is a source that started afresh rather than a loss (RFC 3550, A.1: MAX_DROPOUT).
_MAX_DROPOUT: Final = 3000
# Late packets in a row that mean the same, going backwards.
_LATE_MEANS_RESTART: Final = 64


class Arrival(NamedTuple):
    """A packet in its place: extended sequence, timestamp, second header byte, and the packet."""

    sequence: int
    timestamp: int
    second: int
    data: bytes
    lost_before: int


class SourceReceiver:
    """One SSRC of one format.

    *window* packets at most wait, each for *patience*; 0 takes packets as they come, as one does over TCP.
    """

    def __init__(self, ssrc: int, clock_rate: int, *, window: int, patience: Micros) -> None:
        self.ssrc: Final = ssrc
        self._window = window
        self._patience = patience
        self._jitter = JitterEstimator(clock_rate) if clock_rate > 0 else None
        self._last: int | None = None
        self._base = 0
        self._stored: dict[int, tuple[int, int, bytes]] = {}
        self._oldest: Micros = 0
        self._late_in_a_row = 0
        self._received_at_report = 0
        self._expected_at_report = 0
        self._sr_middle = 0
        self._sr_arrived: Micros = 0
        self.sender_report: SenderReport | None = None
        self.received = 0
        self.lost = 0
        """Packets given up on."""
        self.late_or_duplicate = 0
        self.last_timestamp: int | None = None

    @property
    def jitter(self) -> int:
        """Interarrival jitter, in ticks."""
        return self._jitter.ticks if self._jitter is not None else 0

    @property
    def highest_sequence(self) -> int:
        """The highest extended sequence number delivered."""
        return self._last or 0

    def next_timeout(self) -> Micros | None:
        """When waiting for what is missing ends."""
        return self._oldest + self._patience if self._stored else None

    def handle(
        self, sequence: int, timestamp: int, second: int, data: bytes, *, now: Micros, counts_for_jitter: bool
    ) -> list[Arrival]:
        """Take in a packet; those that are in their place now, in order."""
        self.received += 1
        self.last_timestamp = timestamp
        if counts_for_jitter and self._jitter is not None:
            self._jitter.add(timestamp, now)
        last = self._last
        if last is None:
            self._last = self._base = sequence
            return [Arrival(sequence, timestamp, second, data, 0)]
        extended = last + 1 + ((sequence - last - 1 + 0x8000) & 0xFFFF) - 0x8000
        ahead = extended - last - 1
        if ahead == 0 and not self._stored:
            self._last = extended
            self._late_in_a_row = 0
            return [Arrival(extended, timestamp, second, data, 0)]
        if ahead < 0:
            return self._handle_late(sequence, timestamp, second, data, ahead)
        self._late_in_a_row = 0
        if ahead > _MAX_DROPOUT:
            return self._restart(sequence, timestamp, second, data)
        if not self._window:
            return [self._deliver(extended, timestamp, second, data)]
        return self._store(extended, timestamp, second, data, ahead, now)

    def handle_timeout(self, *, now: Micros) -> list[Arrival]:
        """Release what has waited long enough."""
        if not self._stored or now < self._oldest + self._patience:
            return []
        released = self._release_to_gap(min(self._stored))
        self._oldest = now
        return released

    def flush(self) -> list[Arrival]:
        """Release everything that waits: nothing more comes from this source."""
        return self._release_all()

    def handle_sender_report(self, report: SenderReport, *, now: Micros) -> None:
        """Remember the source's own clock."""
        self.sender_report = report
        self._sr_middle = middle_32(report.ntp)
        self._sr_arrived = now

    def report_block(self, *, now: Micros) -> ReportBlock:
        """How this source is received, for a receiver report; starts the next interval."""
        expected = 0 if self._last is None else self._last - self._base + 1
        interval_expected = expected - self._expected_at_report
        interval_lost = interval_expected - (self.received - self._received_at_report)
        self._expected_at_report = expected
        self._received_at_report = self.received
        fraction = 0
        if interval_expected > 0 and interval_lost > 0:
            fraction = min(255, interval_lost * 256 // interval_expected)
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            cumulative_lost=expected - self.received,
            extended_highest_sequence=(self._last or 0) & 0xFFFF_FFFF,
            jitter=self.jitter & 0xFFFF_FFFF,
            last_sr=self._sr_middle,
            delay_since_last_sr=delay_units(now - self._sr_arrived) if self.sender_report else 0,
        )

    def _handle_late(
        self, sequence: int, timestamp: int, second: int, data: bytes, ahead: int
    ) -> list[Arrival]:
        self._late_in_a_row += 1
        is_restart = self._late_in_a_row > _LATE_MEANS_RESTART or (
            not self._window and ahead < -_LATE_MEANS_RESTART
        )
        if is_restart or -ahead > _MAX_DROPOUT:
            # Over TCP nothing can be late, so numbers that go back have begun anew.
            return self._restart(sequence, timestamp, second, data)
        self.late_or_duplicate += 1
        return []

    def _restart(self, sequence: int, timestamp: int, second: int, data: bytes) -> list[Arrival]:
        """The source counts anew: deliver what waits, then this, and count nothing as lost."""
        released = self._release_all()
        last = self._last or 0
        # The extended number goes on upwards, so that it stays an order.
        extended = ((last >> 16) + 1 << 16) + sequence
        self._base += extended - last - 1
        self._last = extended
        self._late_in_a_row = 0
        released.append(Arrival(extended, timestamp, second, data, 0))
        return released

    def _store(
        self, extended: int, timestamp: int, second: int, data: bytes, ahead: int, now: Micros
    ) -> list[Arrival]:
        if extended in self._stored:
            self.late_or_duplicate += 1
            return []
        if ahead == 0:
            arrivals = [self._deliver(extended, timestamp, second, data)]
            self._take_contiguous(arrivals)
            if self._stored:
                self._oldest = now
            return arrivals
        if not self._stored:
            self._oldest = now
        self._stored[extended] = (timestamp, second, data)
        if ahead >= self._window:
            return self._release_all()
        return []

    def _deliver(self, extended: int, timestamp: int, second: int, data: bytes) -> Arrival:
        last = self._last if self._last is not None else extended - 1
        missing = extended - last - 1
        self.lost += missing
        self._last = extended
        return Arrival(extended, timestamp, second, data, missing)

    def _take_contiguous(self, arrivals: list[Arrival]) -> None:
        stored = self._stored
        while stored and self._last is not None and (found := stored.pop(self._last + 1, None)) is not None:
            arrivals.append(self._deliver(self._last + 1, *found))

    def _release_to_gap(self, extended: int) -> list[Arrival]:
        arrivals = [self._deliver(extended, *self._stored.pop(extended))]
        self._take_contiguous(arrivals)
        return arrivals

    def _release_all(self) -> list[Arrival]:
        arrivals = [self._deliver(extended, *self._stored[extended]) for extended in sorted(self._stored)]
        self._stored.clear()
        return arrivals
