"""One media being received: the sources that send it, each with an order, losses, clock and reports of its own.

A media is mostly one source (SSRC), whatever the number of its formats. Some servers, gortsplib's among them, give each
format a source of its own, with sequence numbers and timestamps that have nothing to do with each other. So each format
is held by one source, and a source may hold several; there are never more sources than formats.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import field, frozen

from terzetto.primitives.datagrams import Address, Buffer
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.rtp.sender_report import SenderReport
from terzetto.rtsp.core.format_count import count_formats
from terzetto.rtsp.core.media_keys import MediaKeys
from terzetto.rtsp.core.media_time import SessionTime, TrackTime
from terzetto.rtsp.core.packet_receiver import SourceReceiver
from terzetto.rtsp.core.random_access import Test, starts_clock_test
from terzetto.rtsp.events import PtsQuality
from terzetto.rtsp.wire.description import Media

__all__ = ["ReceptionSettings", "Source", "Track", "TrackSetup"]

# A receiver report has room for no more blocks.
_MAX_SOURCES: Final = 31
_NO_STAMP: Final = (-1, None, PtsQuality.NONE, None)


@frozen(kw_only=True)
class ReceptionSettings:
    """What reception needs to know; durations in microseconds."""

    reorder_window: int = 256
    """Packets that may wait for one that is missing."""
    reorder_patience: Micros = 100 * MICROS_PER_MILLI
    """How long they wait."""
    report_interval: Micros = 5 * MICROS_PER_SECOND
    punch_interval: Micros = 20 * MICROS_PER_SECOND
    """NAT forgets a silent mapping after half a minute."""
    cname: str = "terzetto"


@frozen(kw_only=True)
class TrackSetup:
    """One media that was set up."""

    index: int
    """Of the media in the description."""
    media: Media
    host: str = ""
    """Where its packets come from; empty is anywhere (interleaved, say)."""
    rtp_port: int | None = None
    """None: any port of the host, the first to send being the one."""
    rtcp_port: int | None = None
    channels: tuple[int, int] | None = None
    group: Address | None = None
    """A multicast group's RTCP address, to which reports go."""
    punches: bool = True
    """Whether to open firewalls towards the peer's ports."""
    keys: MediaKeys | None = field(default=None, eq=False)
    """What opens its packets and seals ours, where it is SRTP."""
    ssrc: int | None = None
    """What our packets of it are called, where the peer was told; else as the first of them says."""


class Source(SourceReceiver):
    """One SSRC of a media, with its clock."""

    def __init__(self, ssrc: int, clock_rate: int, time: TrackTime, *, window: int, patience: Micros) -> None:
        super().__init__(ssrc, clock_rate, window=window, patience=patience)
        self.clock_rate: Final = clock_rate
        self.time: Final = time
        self.stamp: tuple[int, Micros | None, PtsQuality, Micros | None] = _NO_STAMP
        """The timestamp of the last packet, and the times that go with it."""
        self._received_at_bye = -1

    @property
    def has_left(self) -> bool:
        """Whether it said goodbye, and has kept to it."""
        return self._received_at_bye == self.received

    def leave(self) -> None:
        """It said goodbye."""
        self._received_at_bye = self.received

    def hear(self, report: SenderReport, *, now: Micros) -> None:
        """It reported."""
        self.handle_sender_report(report, now=now)
        self.time.handle_sender_report(report)
        self.stamp = _NO_STAMP


class Track:
    """One media being received."""

    def __init__(self, setup: TrackSetup, time: SessionTime, settings: ReceptionSettings) -> None:
        self.setup: Final = setup
        self.index: Final = setup.index
        self.formats: Final[dict[int, tuple[int, Test | None]]] = {
            each.payload_type: (each.clock_rate, starts_clock_test(each.codec))
            for each in setup.media.formats
        }
        self._session_time = time
        self._settings = settings
        self.is_reliable: Final = setup.channels is not None
        self.by_format: Final = count_formats((each, rate) for each, (rate, _) in self.formats.items())
        """None where one format, and so one source at a time, is all there is."""
        self.limit: Final = min(max(len(self.formats), 1), _MAX_SOURCES)
        """Of sources."""
        self.sources: Final[dict[int, Source]] = {}
        self.source: Source | None = None
        """The source of the last packet."""
        self._candidates: dict[int, tuple[int, Buffer]] = {}
        self._early_reports: dict[int, tuple[SenderReport, Micros]] = {}
        self.rtp_port = setup.rtp_port
        self.rtcp_port = setup.rtcp_port
        self.bytes_received = 0
        self.packets_received = 0
        self.rtcp_received = 0
        self.lost = 0
        self._late_of_former = 0
        self.faults: Counter[str] = Counter()
        self.rtcp_faults: Counter[str] = Counter()
        self.rtcp_sent = 0

    @property
    def errors(self) -> Counter[str]:
        """What was not understood, or not opened, by reason."""
        keys = self.setup.keys
        return self.faults if keys is None else self.faults + keys.dropped

    @property
    def late_or_duplicate(self) -> int:
        """Of all sources there were."""
        return self._late_of_former + sum(source.late_or_duplicate for source in self.sources.values())

    def holder(self, payload_type: int) -> Source | None:
        """The source that sends a format; None where none has yet."""
        if self.by_format is None:
            return self.source
        ssrc = self.by_format[payload_type].ssrc
        return self.sources[ssrc] if ssrc is not None else None

    def confirms(self, ssrc: int, payload_type: int, data: Buffer) -> bool:
        """Whether to believe that this source sends a format: one datagram, which anybody may forge, is not enough.

        The first packet is kept, for `take_held`.
        """
        if self.is_reliable:
            return True
        slot = payload_type if self.by_format is not None else -1
        held = self._candidates.get(slot)
        if held is not None and held[0] == ssrc:
            return True
        self._candidates[slot] = (ssrc, bytes(data))
        return False

    def take_held(self, payload_type: int) -> Buffer | None:
        """The packet that was kept of a source that is believed now."""
        held = self._candidates.pop(payload_type if self.by_format is not None else -1, None)
        return held[1] if held is not None else None

    def meet(
        self, ssrc: int, payload_type: int, clock_rate: int, predecessor: Source | None, now: Micros
    ) -> Source:
        """Begin with a source, which takes the place of *predecessor* where there is one."""
        if predecessor is None:
            time = self._session_time.add_track(clock_rate)
        else:
            self._forget(predecessor)
            time = predecessor.time
            time.source_changed(clock_rate)
        window = 0 if self.is_reliable else self._settings.reorder_window
        source = Source(ssrc, clock_rate, time, window=window, patience=self._settings.reorder_patience)
        self.sources[ssrc] = self.source = source
        if self.by_format is not None:
            self.by_format[payload_type].take_source(ssrc)
        early = self._early_reports.pop(ssrc, None)
        if early is not None:
            source.hear(early[0], now=early[1])
        return source

    def hand_over(self, payload_type: int, predecessor: Source | None, source: Source) -> None:
        """*source*, which we know, sends this format now; whoever did is forgotten where it sends no other."""
        counts = self.by_format or {}
        counts[payload_type].take_source(source.ssrc)
        if predecessor is not None and all(count.ssrc != predecessor.ssrc for count in counts.values()):
            self._forget(predecessor)
            self._session_time.remove_track(predecessor.time)

    def begin_again(self, time: SessionTime) -> None:
        """Forget sources and times."""
        self._session_time = time
        for source in list(self.sources.values()):
            self._forget(source)
        self.source = None
        self._candidates.clear()
        self._early_reports.clear()

    def hear_sender(self, report: SenderReport, now: Micros) -> None:
        """A source reported: one that we know, or one whose packets are yet to come."""
        source = self.sources.get(report.ssrc)
        if source is not None:
            source.hear(report, now=now)
            return
        early = self._early_reports
        early.pop(report.ssrc, None)
        if len(early) >= self.limit:
            del early[next(iter(early))]
        early[report.ssrc] = (report, now)

    def _forget(self, source: Source) -> None:
        del self.sources[source.ssrc]
        self._late_of_former += source.late_or_duplicate
        for count in (self.by_format or {}).values():
            if count.ssrc == source.ssrc:
                count.take_source(None)
