"""From the packets of a session to access units with times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from terzetto.errors import MalformedPacket
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rtsp.events import RtspPacket
from terzetto.rtsp.formats.catalogue import make_depacketizer
from terzetto.rtsp.formats.contract import AccessUnit, Depacketizer, Payload
from terzetto.rtsp.wire.description import Description, Format

__all__ = ["MediaUnit", "UnitReader"]


@frozen
class MediaUnit:
    """A picture, or sound, of one media; whole, and with its time."""

    media: int
    """Index of the media in the description."""
    format: Format
    unit: AccessUnit
    pts: Micros | None
    """Presentation time, microseconds since the first packet, comparable across medias."""

    @property
    def data(self) -> bytes:
        """All of it in one piece."""
        return self.unit.data

    @property
    def is_key(self) -> bool:
        """Whether decoding may begin here."""
        return self.unit.is_key


class UnitReader:
    """Puts together what the packets of a description's medias carry.

    Give it every packet as it comes, in order; packets of formats that nobody here knows give units as they are.
    """

    def __init__(self, description: Description) -> None:
        self._medias: Final = description.medias
        self._machines: dict[tuple[int, int], Depacketizer | None] = {}
        self._times: dict[int, tuple[int, Micros]] = {}
        self._lost: Counter[int] = Counter()

    def push(self, packets: Iterable[RtspPacket]) -> list[MediaUnit]:
        """The units that are complete with *packets*."""
        found: list[MediaUnit] = []
        for packet in packets:
            found += self._push(packet)
        return found

    @property
    def dropped(self) -> Counter[str]:
        """What was given up, by reason."""
        total: Counter[str] = Counter()
        for machine in self._machines.values():
            if machine is not None:
                total += machine.dropped
        return total

    def _push(self, packet: RtspPacket) -> list[MediaUnit]:
        media_format = self._medias[packet.media].format_of(packet.payload_type)
        if media_format is None:
            return []
        if packet.pts is not None:
            self._times[packet.media] = (packet.timestamp, packet.pts)
        payload = Payload(packet.payload, packet.timestamp, packet.marker, packet.lost_before)
        machine = self._machine(packet.media, media_format)
        if machine is None:
            units = [AccessUnit((payload.data,), payload.timestamp, True, payload.lost_before > 0)]
        else:
            units = machine.push(payload)
        return [
            MediaUnit(packet.media, media_format, unit, self._pts(packet.media, media_format, unit))
            for unit in units
        ]

    def _machine(self, media: int, media_format: Format) -> Depacketizer | None:
        key = (media, media_format.payload_type)
        if key not in self._machines:
            try:
                self._machines[key] = make_depacketizer(media_format)
            except MalformedPacket:
                self._machines[key] = None  # a description that makes no sense: as if nobody knew the format
        return self._machines[key]

    def _pts(self, media: int, media_format: Format, unit: AccessUnit) -> Micros | None:
        known = self._times.get(media)
        if known is None or not media_format.clock_rate:
            return None
        timestamp, pts = known
        ahead = (unit.timestamp - timestamp + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        return pts + ahead * MICROS_PER_SECOND // media_format.clock_rate
