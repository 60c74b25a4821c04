"""Sending the RTP packets of one media: one SSRC, counted, with sender reports.

Packets pass as they are. Only where their SSRC is not the media's, because an upstream source changed, is it
written anew, so that receivers see one source all the while.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rtp.header import FIXED_HEADER, FIXED_HEADER_SIZE
from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtp.sdes import SourceDescription
from terzetto.rtp.sender_report import ReportBlock, SenderReport
from terzetto.rtsp.core.format_count import FormatCount, count_formats
from terzetto.rtsp.core.random_access import starts_clock_test
from terzetto.rtsp.wire.description import Media

__all__ = ["REPORT_INTERVAL", "MediaSender"]

REPORT_INTERVAL: Final = 10 * MICROS_PER_SECOND


class MediaSender:
    """The sending side of one media."""

    def __init__(
        self, media: Media, *, wall_clock_offset: Micros, cname: str = "terzetto", ssrc: int | None = None
    ) -> None:
        self.payload_types: Final = tuple(each.payload_type for each in media.formats)
        self._clocks = {each.payload_type: each.clock_rate for each in media.formats}
        self._tests = {each.payload_type: starts_clock_test(each.codec) for each in media.formats}
        self._offset = wall_clock_offset
        self._cname = cname
        self._anchor: tuple[int, Micros, int] | None = None
        self._anchored_at: Micros = 0
        self._report_due: Micros | None = None
        self.ssrc: int | None = ssrc
        """Ours; if not given, that of the first packet."""
        self.packets = 0
        self.octets = 0
        self.bytes_sent = 0
        self.reports = 0
        self.last_sequence: int | None = None
        self.last_timestamp: int | None = None
        self.last_ntp: Micros | None = None
        """The sender's wall clock at the newest packet that a clock can start from."""
        self.by_format: Final = count_formats((each.payload_type, each.clock_rate) for each in media.formats)
        self.reported_lost = 0
        self.last_block: ReportBlock | None = None
        self.reporter: int | None = None
        """Who reported last."""

    def accept(
        self, packets: Sequence[Buffer], *, now: Micros, ntp: Micros | None = None
    ) -> Sequence[Buffer]:
        """Check and count *packets* of a media; what to send. *ntp* is the sender's wall clock for the last one.

        MalformedPacket when one is no RTP at all.
        """
        unpack = FIXED_HEADER.unpack_from
        ssrc = self.ssrc
        foreign = False
        octets = 0
        second = sequence = timestamp = found = 0
        for packet in packets:
            if len(packet) < FIXED_HEADER_SIZE:
                raise MalformedPacket("RTP header is truncated")
            first, second, sequence, timestamp, found = unpack(packet)
            if first & 0xC0 != 0x80:
                raise MalformedPacket("RTP version is not 2")
            if found != ssrc:
                if ssrc is None:
                    self.ssrc = ssrc = found
                else:
                    foreign = True
            octets += len(packet) - FIXED_HEADER_SIZE
        if not packets:
            return packets
        self.packets += len(packets)
        self.octets += octets
        self.bytes_sent += octets + FIXED_HEADER_SIZE * len(packets)
        self.last_sequence = sequence
        self.last_timestamp = timestamp
        payload_type = second & 0x7F
        test = self._tests.get(payload_type)
        clock_rate = self._clocks.get(payload_type, 0)
        if clock_rate and (test is None or self._anchor is None or test(memoryview(packets[-1])[12:])):
            self.last_ntp = now + self._offset if ntp is None else ntp
            self._anchor = (timestamp, self.last_ntp, clock_rate)
            self._anchored_at = now
            if self._report_due is None:
                # The first report goes out at once: receivers cannot align medias before it.
                self._report_due = now
        if self.by_format is not None:
            self._count_formats(self.by_format, packets)
            if payload_type in self.by_format:
                self.by_format[payload_type].last_ntp = now + self._offset if ntp is None else ntp
        return [self._with_own_ssrc(packet) for packet in packets] if foreign else packets

    def next_timeout(self) -> Micros | None:
        """When a report is due."""
        return self._report_due

    def report(self, *, now: Micros, force: bool = False) -> bytes | None:
        """The sender report, when it is due."""
        anchor, ssrc = self._anchor, self.ssrc
        if (
            anchor is None
            or ssrc is None
            or self._report_due is None
            or (now < self._report_due and not force)
        ):
            return None
        if not force:
            self._report_due = now + REPORT_INTERVAL
        timestamp, moment, clock_rate = anchor
        elapsed = now - self._anchored_at
        self.reports += 1
        report = SenderReport(
            ssrc=ssrc,
            ntp=ntp_from_unix(moment + elapsed),
            rtp_timestamp=timestamp + elapsed * clock_rate // MICROS_PER_SECOND & 0xFFFF_FFFF,
            packet_count=self.packets,
            octet_count=self.octets,
        )
        return report.encode() + SourceDescription.of(ssrc, self._cname).encode()

    def timestamp_at(self, now: Micros) -> int | None:
        """What the media clock shows, a little in the past, for RTP-Info: no packet to come is before it."""
        if self._anchor is None:
            return None
        timestamp, _, clock_rate = self._anchor
        elapsed = now - self._anchored_at
        return timestamp + elapsed * clock_rate // MICROS_PER_SECOND - clock_rate // 10 & 0xFFFF_FFFF

    def hear_report(self, block: ReportBlock, reporter: int) -> bool:
        """A receiver reported, on us perhaps; whether it did."""
        if block.ssrc != self.ssrc:
            return False
        self.last_block = block
        self.reported_lost = block.cumulative_lost
        self.reporter = reporter
        return True

    @staticmethod
    def _count_formats(counts: dict[int, FormatCount], packets: Sequence[Buffer]) -> None:
        for packet in packets:
            _, second, sequence, timestamp, _ = FIXED_HEADER.unpack_from(packet)
            count = counts.get(second & 0x7F)
            if count is not None:
                count.add(sequence, timestamp)

    def _with_own_ssrc(self, packet: Buffer) -> bytes:
        first, second, sequence, timestamp, _ = FIXED_HEADER.unpack_from(packet)
        return FIXED_HEADER.pack(first, second, sequence, timestamp, self.ssrc) + bytes(
            packet[FIXED_HEADER_SIZE:]
        )
