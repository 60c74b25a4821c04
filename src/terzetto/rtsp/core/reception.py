"""Receiving the medias of one session: a datagram core, which takes interleaved frames as well.

Each media that was set up is a *track* with two paths, ``2n`` for RTP and ``2n + 1`` for RTCP, or two channels. What
comes from elsewhere than agreed is dropped and counted. Over UDP receiver reports go back, and holes in firewalls are
kept open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros
from terzetto.rtp.bye import Bye
from terzetto.rtp.header import FIXED_HEADER, FIXED_HEADER_SIZE, PLAIN_FIRST_BYTE, RtpPacket
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.rtcp import decode_compound
from terzetto.rtp.sdes import SourceDescription
from terzetto.rtp.sender_report import SenderReport
from terzetto.rtsp.core.media_time import SessionTime
from terzetto.rtsp.core.packet_receiver import Arrival
from terzetto.rtsp.core.track import ReceptionSettings, Source, Track, TrackSetup
from terzetto.rtsp.events import (
    PacketsLost,
    PacketsNotUnderstood,
    PtsQuality,
    RtspPacket,
    SourceChanged,
    SourceLeft,
)
from terzetto.rtsp.wire.interleaved import Frame

__all__ = ["PacketsArrived", "Reception", "ReceptionEvent"]

# RFC 2326 says nothing about firewalls; these are what ffmpeg sends, and what everybody ignores.
_RTP_PUNCH: Final = bytes.fromhex("800000000000000000000000")
_RTCP_PUNCH: Final = bytes.fromhex("80c9000100000000")


@frozen
class PacketsArrived:
    """Packets in order, media by media."""

    packets: list[RtspPacket]


ReceptionEvent: TypeAlias = PacketsArrived | PacketsLost | PacketsNotUnderstood | SourceChanged | SourceLeft


class Reception:
    """The medias of one session; see the module."""

    def __init__(
        self, setups: Sequence[TrackSetup], settings: ReceptionSettings, *, ssrc: int, now: Micros
    ) -> None:
        self._settings = settings
        self.ssrc: Final = ssrc
        """What our reports are called."""
        time = SessionTime()
        self.tracks: Final = [Track(setup, time, settings) for setup in setups]
        self._by_channel: Final = {
            channel: (track, is_rtcp)
            for track in self.tracks
            if track.setup.channels is not None
            for channel, is_rtcp in zip(track.setup.channels, (False, True), strict=True)
        }
        self._is_udp = any(track.setup.channels is None for track in self.tracks)
        self._report_due = now + settings.report_interval if self._is_udp else None
        self._punch_due: Micros | None = now if self._is_udp and any(s.punches for s in setups) else None
        self._transmits: list[Run] = []
        self._packets: list[RtspPacket] = []
        self._events: list[ReceptionEvent] = []
        self.last_heard: Micros = now
        """When a packet of any media last came."""
        self.has_heard = False
        self.foreign = 0
        """Datagrams from addresses, and frames on channels, that were not agreed."""
        self.bytes_received = 0

    # -- input ---------------------------------------------------------------------------------------------------

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Take in RTP and RTCP, each by its path."""
        for run in runs:
            slot, is_rtcp = divmod(run.path, 2)
            track = self.tracks[slot]
            if not self._is_from(track, run.peer, bool(is_rtcp)):
                self.foreign += len(run.datagrams)
                continue
            datagrams = run.datagrams
            keys = track.setup.keys
            if keys is not None:
                datagrams = keys.open(datagrams, is_rtcp=bool(is_rtcp))
                if not datagrams:
                    continue  # a forger's packets are no sign of life
            self._hear(now)
            if is_rtcp:
                for datagram in datagrams:
                    self._handle_rtcp(track, datagram, now)
            else:
                for datagram in datagrams:
                    self._handle_rtp(track, datagram, now)

    def handle_frames(self, frames: Sequence[Frame], *, now: Micros) -> None:
        """Take in interleaved packets."""
        lookup = self._by_channel.get
        self._hear(now)
        for channel, data in frames:
            found = lookup(channel)
            if found is None:
                self.foreign += 1
                continue
            if not data:
                continue
            track, is_rtcp = found
            keys = track.setup.keys
            for packet in (data,) if keys is None else keys.open((data,), is_rtcp=is_rtcp):
                if is_rtcp:
                    self._handle_rtcp(track, packet, now)
                else:
                    self._handle_rtp(track, packet, now)

    def handle_timeout(self, *, now: Micros) -> None:
        """Release what waited long enough; report; keep holes open."""
        for track in self.tracks:
            for source in track.sources.values():
                self._deliver(track, source, source.handle_timeout(now=now), now)
        if self._report_due is not None and self._report_due <= now:
            self._report_due = now + self._settings.report_interval
            self._send_reports(now)
        if self._punch_due is not None and self._punch_due <= now:
            self._punch_due = now + self._settings.punch_interval
            self._punch()

    def push(self, run: Run) -> None:
        """Send something along, by one of our paths."""
        self._transmits.append(run)

    def begin_again(self) -> None:
        """What comes next is another part of the presentation: its times start over."""
        time = SessionTime()
        for track in self.tracks:
            track.begin_again(time)

    # -- output --------------------------------------------------------------------------------------------------

    def poll_transmits(self) -> list[Run]:
        """Reports and hole punches."""
        transmits, self._transmits = self._transmits, []
        return transmits

    def poll_events(self) -> list[ReceptionEvent]:
        """Packets, and what happened around them."""
        if self._packets:
            packets, self._packets = self._packets, []
            self._events.append(PacketsArrived(packets))
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> Micros | None:
        """When something is due."""
        due = [
            moment
            for track in self.tracks
            for source in track.sources.values()
            if (moment := source.next_timeout()) is not None
        ]
        due += [moment for moment in (self._report_due, self._punch_due) if moment is not None]
        return min(due, default=None)

    # -- inside --------------------------------------------------------------------------------------------------

    def _hear(self, now: Micros) -> None:
        self.last_heard = now
        self.has_heard = True

    def _is_from(self, track: Track, peer: Address, is_rtcp: bool) -> bool:
        setup = track.setup
        if setup.host and peer.host != setup.host:
            return False
        if setup.group is not None:
            return True
        port = track.rtcp_port if is_rtcp else track.rtp_port
        if port is None:
            # Any port, but only one: the first that sends.
            if is_rtcp:
                track.rtcp_port = peer.port
            else:
                track.rtp_port = peer.port
            return True
        return peer.port == port

    def _handle_rtp(self, track: Track, data: Buffer, now: Micros) -> None:
        size = len(data)
        track.bytes_received += size
        if size < FIXED_HEADER_SIZE:
            self._fault(track, "RTP header is truncated")
            return
        first, second, sequence, timestamp, ssrc = FIXED_HEADER.unpack_from(data)
        if first & 0xC0 != 0x80 or 192 <= second <= 223:
            self._fault(track, "not RTP")
            return
        if size == FIXED_HEADER_SIZE and not ssrc:
            return  # somebody opens a firewall
        known = track.formats.get(second & 0x7F)
        if known is None:
            if track.formats:
                self._fault(track, "unknown payload type")
                return
            known = (0, None)
        clock_rate, test = known
        source = track.source
        if source is None or source.ssrc != ssrc:
            source = self._find_source(track, ssrc, second & 0x7F, clock_rate, data, now)
            if source is None:
                return
        track.packets_received += 1
        counts = test is None or test(memoryview(data)[FIXED_HEADER_SIZE:])
        if track.by_format is not None:
            count = track.by_format[second & 0x7F]
            if count.ssrc != ssrc:
                self._take_format(track, second & 0x7F, source, now)
            if counts and count.jitter is not None:
                count.jitter.add(timestamp, now)
        arrivals = source.handle(sequence, timestamp, second, bytes(data), now=now, counts_for_jitter=counts)
        if arrivals:
            self._deliver(track, source, arrivals, now)

    def _fault(self, track: Track, reason: str) -> None:
        """Count what was not understood, and tell of it ever more rarely: a flood of it is one fault."""
        count = track.faults[reason] = track.faults[reason] + 1
        if count & (count - 1) == 0:
            self._events.append(PacketsNotUnderstood(track.index, reason, count))

    def _find_source(
        self, track: Track, ssrc: int, payload_type: int, clock_rate: int, data: Buffer, now: Micros
    ) -> Source | None:
        """The source of a packet, which is not the last packet's; None where it is not believed (yet)."""
        source = track.sources.get(ssrc)
        if source is not None:
            track.source = source
            return source
        predecessor = track.holder(payload_type)
        if predecessor is None and len(track.sources) >= track.limit:
            self._fault(track, "too many sources")
            return None
        if track.sources and not track.confirms(ssrc, payload_type, data):
            return None
        if predecessor is not None:
            self._deliver(track, predecessor, predecessor.flush(), now)
            self._events.append(SourceChanged(track.index, ssrc))
        source = track.meet(ssrc, payload_type, clock_rate, predecessor, now)
        held = track.take_held(payload_type)
        if held:
            track.bytes_received -= len(held)  # which were counted when it came
            self._handle_rtp(track, held, now)
        return source

    def _take_format(self, track: Track, payload_type: int, source: Source, now: Micros) -> None:
        """A source sends a format which another sent until now, or nobody."""
        predecessor = track.holder(payload_type)
        if predecessor is not None and not track.confirms(source.ssrc, payload_type, b""):
            return
        track.take_held(payload_type)
        if predecessor is not None:
            self._deliver(track, predecessor, predecessor.flush(), now)
            self._events.append(SourceChanged(track.index, source.ssrc))
        track.hand_over(payload_type, predecessor, source)

    def _deliver(self, track: Track, source: Source, arrivals: list[Arrival], now: Micros) -> None:
        for sequence, timestamp, second, data, lost in arrivals:
            start, end = FIXED_HEADER_SIZE, None
            if data[0] != PLAIN_FIRST_BYTE:
                try:
                    packet = RtpPacket.decode(data)
                except MalformedPacket as exc:
                    self._fault(track, exc.reason)
                    continue
                end = len(data) - packet.padding
                start = end - len(packet.payload)
            if lost:
                track.lost += lost
                self._events.append(PacketsLost(track.index, lost))
            if timestamp != source.stamp[0] or source.stamp[1] is None:
                self._stamp(track, source, timestamp, second & 0x7F, data, start, now)
            _, pts, quality, ntp = source.stamp
            if track.by_format is not None:
                count = track.by_format[second & 0x7F]
                count.add(sequence, timestamp)
                count.lost += lost
                count.last_ntp = ntp
            self._packets.append(
                RtspPacket(
                    track.index,
                    second & 0x7F,
                    sequence,
                    timestamp,
                    second > 0x7F,
                    source.ssrc,
                    data,
                    start,
                    end,
                    lost,
                    pts,
                    quality,
                    ntp,
                )
            )

    def _stamp(
        self,
        track: Track,
        source: Source,
        timestamp: int,
        payload_type: int,
        data: bytes,
        start: int,
        now: Micros,
    ) -> None:
        """The times of all packets of one picture, worked out once."""
        time = source.time
        test = track.formats.get(payload_type, (0, None))[1]
        starts = test is None or test(memoryview(data)[start:])
        pts = time.advance(timestamp, now=now, starts_clock=starts)
        ntp = time.ntp() if pts is not None else None
        source.stamp = (timestamp, pts, time.quality if pts is not None else PtsQuality.NONE, ntp)

    def _handle_rtcp(self, track: Track, data: Buffer, now: Micros) -> None:
        track.bytes_received += len(data)
        track.rtcp_received += 1
        compound = decode_compound(data)
        if compound.fault is not None:
            track.rtcp_faults[compound.fault] += 1
        for packet in compound.packets:
            if isinstance(packet, SenderReport):
                track.hear_sender(packet, now)
            elif isinstance(packet, Bye):
                self._handle_bye(track, packet)

    def _handle_bye(self, track: Track, bye: Bye) -> None:
        for ssrc in bye.ssrcs:
            source = track.sources.get(ssrc)
            if source is not None and not source.has_left:
                source.leave()
                self._events.append(SourceLeft(track.index, bye.reason, ssrc))

    def _send_reports(self, now: Micros) -> None:
        for slot, track in enumerate(self.tracks):
            target = self._report_target(track)
            if target is None:
                continue
            blocks = tuple(
                source.report_block(now=now) for source in track.sources.values() if not source.has_left
            )
            report = ReceiverReport(self.ssrc, blocks).encode()
            names = SourceDescription.of(self.ssrc, self._settings.cname).encode()
            compounds: Sequence[Buffer] = (report + names,)
            if track.setup.keys is not None:
                compounds = track.setup.keys.seal(compounds, is_rtcp=True)
            if compounds:
                track.rtcp_sent += 1
                self._transmits.append(Run(target, compounds, 2 * slot + 1))

    def _report_target(self, track: Track) -> Address | None:
        setup = track.setup
        if setup.channels is not None:
            return None
        if setup.group is not None:
            return setup.group
        if not setup.host or not track.rtcp_port:
            return None
        return Address(setup.host, track.rtcp_port)

    def _punch(self) -> None:
        for slot, track in enumerate(self.tracks):
            setup = track.setup
            if setup.channels is not None or setup.group is not None or not setup.host or not setup.punches:
                continue
            if track.rtp_port:
                self._transmits.append(Run(Address(setup.host, track.rtp_port), (_RTP_PUNCH,), 2 * slot))
            if track.rtcp_port:
                punch: Sequence[Buffer] = (_RTCP_PUNCH,)
                if setup.keys is not None:
                    # A strict server complains about reports that it cannot open, or of a source it was not told.
                    punch = setup.keys.seal((ReceiverReport(self.ssrc, ()).encode(),), is_rtcp=True)
                self._transmits.append(Run(Address(setup.host, track.rtcp_port), punch, 2 * slot + 1))
