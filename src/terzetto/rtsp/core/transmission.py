"""Sending the medias of one session to one peer, as a publisher does: a datagram core.

Over UDP each media has two paths, ``2n`` for RTP and ``2n + 1`` for RTCP; over TCP what is sent comes out as
interleaved bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros
from terzetto.rtp.framing import unpack_frame
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.rtcp import decode_compound
from terzetto.rtp.sender_report import SenderReport
from terzetto.rtsp.core.media_sender import MediaSender
from terzetto.rtsp.core.track import TrackSetup
from terzetto.rtsp.events import KeyframeWanted
from terzetto.rtsp.wire.interleaved import Frame, encode_frames

__all__ = ["Transmission", "TransmissionEvent", "wants_keyframe"]

TransmissionEvent: TypeAlias = KeyframeWanted

_PSFB = 206
_PLI, _FIR = 1, 4


def wants_keyframe(data: Buffer) -> bool:
    """Whether a compound RTCP packet, already known to be well-formed, asks for a new picture."""
    position = 0
    while position + 4 <= len(data):
        frame = unpack_frame(data, position)
        if frame.packet_type == _PSFB and frame.count_field in (_PLI, _FIR):
            return True
        position += frame.size
    return False


class Transmission:
    """The medias of one publishing session."""

    def __init__(
        self, setups: Sequence[TrackSetup], *, wall_clock_offset: Micros, cname: str, now: Micros
    ) -> None:
        self._setups = {setup.index: (slot, setup) for slot, setup in enumerate(setups)}
        self._slots = list(setups)
        self.senders = {
            setup.index: MediaSender(
                setup.media, wall_clock_offset=wall_clock_offset, cname=cname, ssrc=setup.ssrc
            )
            for setup in setups
        }
        self._runs: list[Run] = []
        self._bytes: list[bytes] = []
        self._events: list[TransmissionEvent] = []
        self.last_heard = now
        self.rtcp_received = 0

    def send(self, media: int, packets: Sequence[Buffer], *, now: Micros, ntp: Micros | None = None) -> None:
        """Send packets of a media; KeyError when it was not set up, MalformedPacket when they are no RTP."""
        slot, setup = self._setups[media]
        sender = self.senders[media]
        packets = sender.accept(packets, now=now, ntp=ntp)
        self._emit(slot, setup, packets, is_rtcp=False)
        self._report(slot, setup, sender, now)

    def send_rtcp(self, media: int, packets: Sequence[Buffer]) -> None:
        """Send RTCP of the application's own."""
        slot, setup = self._setups[media]
        self._emit(slot, setup, packets, is_rtcp=True)

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Hear the peer's reports."""
        for run in runs:
            slot, is_rtcp = divmod(run.path, 2)
            setup = self._slots[slot]
            if setup.host and run.peer.host != setup.host:
                continue
            self.last_heard = now
            if is_rtcp:
                self._hear_reports(setup, run.datagrams)

    def handle_frames(self, frames: Sequence[Frame], *, now: Micros) -> None:
        """Hear the peer's reports, interleaved."""
        for setup in self._slots:
            for channel, data in frames:
                if setup.channels is not None and channel == setup.channels[1]:
                    self.last_heard = now
                    self._hear_reports(setup, (data,))

    def handle_timeout(self, *, now: Micros) -> None:
        """Report."""
        for slot, setup in enumerate(self._slots):
            self._report(slot, setup, self.senders[setup.index], now)

    def poll_transmits(self) -> list[Run]:
        """Datagrams to send."""
        runs, self._runs = self._runs, []
        return runs

    def poll_interleaved(self) -> bytes:
        """Interleaved frames to write."""
        data = b"".join(self._bytes)
        self._bytes.clear()
        return data

    def poll_events(self) -> list[TransmissionEvent]:
        """What the peer asks for."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> Micros | None:
        """When a report is due."""
        due = [moment for sender in self.senders.values() if (moment := sender.next_timeout()) is not None]
        return min(due, default=None)

    def _report(self, slot: int, setup: TrackSetup, sender: MediaSender, now: Micros) -> None:
        report = sender.report(now=now)
        if report is not None:
            self._emit(slot, setup, (report,), is_rtcp=True)

    def _emit(self, slot: int, setup: TrackSetup, packets: Sequence[Buffer], *, is_rtcp: bool) -> None:
        if setup.keys is not None:
            packets = setup.keys.seal(packets, is_rtcp=is_rtcp)
        if not packets:
            return
        if setup.channels is not None:
            self._bytes.append(encode_frames(setup.channels[is_rtcp], packets))
            return
        port = setup.rtcp_port if is_rtcp else setup.rtp_port
        if port:
            self._runs.append(Run(Address(setup.host, port), packets, 2 * slot + is_rtcp))

    def _hear_reports(self, setup: TrackSetup, compounds: Sequence[Buffer]) -> None:
        if setup.keys is not None:
            compounds = setup.keys.open(compounds, is_rtcp=True)
        for compound in compounds:
            self._handle_rtcp(setup.index, compound)

    def _handle_rtcp(self, media: int, data: Buffer) -> None:
        self.rtcp_received += 1
        compound = decode_compound(data)
        for packet in compound.packets:
            if isinstance(packet, (ReceiverReport, SenderReport)):
                for block in packet.blocks:
                    self.senders[media].hear_report(block, packet.ssrc)
        if compound.fault is None and compound.unknown and wants_keyframe(data):
            self._events.append(KeyframeWanted(media))
