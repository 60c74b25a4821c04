"""What senders and receivers count while they run; ``rist.statistics`` makes frozen snapshots of it."""

from __future__ import annotations

from typing import NamedTuple

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist.quirks import Quirks
from terzetto.rist.wire.advanced_header import PskMode
from terzetto.rist.wire.keepalive import Capability

__all__ = ["AdvancedCounters", "AdvancedState", "FlowCounters", "PeerCounters", "SenderCounters"]


class PeerCounters:
    """What passed between us and one peer."""

    __slots__ = (
        "feedback_received",
        "feedback_sent",
        "media_bytes_received",
        "media_bytes_sent",
        "media_received",
        "media_sent",
        "repeats_received",
        "repeats_sent",
        "requests",
    )

    def __init__(self) -> None:
        self.media_received = 0
        """Media packets, repeats included."""
        self.media_bytes_received = 0
        self.repeats_received = 0
        self.media_sent = 0
        """Originals."""
        self.media_bytes_sent = 0
        self.repeats_sent = 0
        self.requests = 0
        """Sequences that were asked for, by whichever side."""
        self.feedback_received = 0
        self.feedback_sent = 0


class AdvancedCounters:
    """What only the Advanced profile does, over all peers of one path; the words are those of the statistics."""

    __slots__ = (
        "compressed",
        "compression_saved",
        "control_received",
        "control_sent",
        "decompressed",
        "fallbacks",
        "fragmented",
        "fragments_sent",
        "fragments_wasted",
        "units",
    )

    def __init__(self) -> None:
        self.fallbacks = 0
        self.compressed = 0
        self.compression_saved = 0
        self.decompressed = 0
        self.fragmented = 0
        self.fragments_sent = 0
        self.units = 0
        self.fragments_wasted = 0
        self.control_sent = 0
        self.control_received = 0


class AdvancedState(NamedTuple):
    """How the Advanced profile is spoken with a peer, and what was counted."""

    is_active: bool
    mode: PskMode
    capabilities: Capability
    quirks: Quirks
    counters: AdvancedCounters


class FlowCounters:
    """What happened to one flow at its receiver."""

    def __init__(self) -> None:
        self.received = 0
        """Media packets that arrived, repeats and duplicates included."""
        self.received_bytes = 0
        self.received_retransmissions = 0
        self.received_retransmitted_bytes = 0
        self.delivered = 0
        self.missing = 0
        """Gaps that were noticed, some of which only reordering."""
        self.reordered = 0
        self.recovered = 0
        self.fec_recovered = 0
        """Those of them that no repeat was needed for."""
        self.recovered_after: list[int] = [0, 0, 0, 0, 0]
        """Recovered after one, two, three, four, and more requests."""
        self.unrecovered = 0
        self.duplicates = 0
        self.too_late = 0
        self.too_late_repeats = 0
        """Those of them that were repeats."""
        self.dropped_full = 0
        self.requests = 0
        """Sequences asked for, each time counted."""
        self.resets = 0
        self.clock_resyncs = 0
        self.spacing_min: Micros | None = None
        self.spacing: Micros = 0
        self.spacing_max: Micros = 0
        self.buffer_time: Micros = 0
        self._rate_since: Micros | None = None
        self._rate_bytes = 0
        self._bitrate = 0

    @property
    def lost(self) -> int:
        """Packets that the network lost: those recovered and those not."""
        return self.recovered + self.unrecovered

    def note_recovered(self, requests: int) -> None:
        """A missing packet came back after that many requests."""
        self.recovered += 1
        if requests:
            self.recovered_after[min(requests, 5) - 1] += 1

    def note_spacing(self, since_last: Micros, packets: int, now: Micros) -> None:
        """*packets* arrived together, *since_last* after those before; keeps the bit rate too."""
        spacing = since_last // packets if packets else since_last
        self.spacing = spacing
        if self.spacing_min is None or spacing < self.spacing_min:
            self.spacing_min = spacing
        self.spacing_max = max(self.spacing_max, spacing)
        if self._rate_since is None:
            self._rate_since = now
        elif now - self._rate_since >= MICROS_PER_SECOND:
            fresh = self.received_bytes - self._rate_bytes
            self._bitrate = fresh * 8 * MICROS_PER_SECOND // (now - self._rate_since)
            self._rate_since = now
            self._rate_bytes = self.received_bytes

    def bitrate(self, now: Micros) -> int:
        """Bits a second over the last second or so; what came before a silence no longer counts."""
        if self._rate_since is None or now - self._rate_since > 2 * MICROS_PER_SECOND:
            return 0
        return self._bitrate

    def note_buffer_time(self, waited: Micros) -> None:
        """A packet left the buffer after that long (smoothed)."""
        self.buffer_time += (waited - self.buffer_time) // 8 if self.buffer_time else waited


class SenderCounters:
    """What happened at a sender."""

    def __init__(self) -> None:
        self.sent = 0
        """Original media packets."""
        self.sent_bytes = 0
        self.withheld = 0
        """Payloads dropped because no receiver was connected."""
        self.retransmitted = 0
        self.retransmitted_bytes = 0
        self.rescued = 0
        """Packets that a path which fell silent had been given, sent again by others unasked."""
        self.requested = 0
        """Sequences that receivers asked for, each time counted."""
        self.over_the_limit = 0
        """Sequences not looked at, because one request named too many."""
        self.not_found = 0
        self.too_old = 0
        self.exhausted = 0
        self.suppressed = 0
        """Requests not answered because the last repeat may still be on its way."""
        self.bandwidth_skipped = 0
        self.fec_sent = 0
        self.fec_sent_bytes = 0
        self.tail_probes = 0
        """Last packets sent twice into a pause, so that a receiver notices their loss."""
