"""MPEG-1 and MPEG-2 audio of any layer (RFC 2250).

::

    zero:16 | offset of this piece in its frame:16 | whole frames, or a piece of one
"""

from __future__ import annotations

from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Depacketizer, Packetizer, Payload, cut

__all__ = ["MpegAudioDepacketizer", "MpegAudioHeader", "MpegAudioPacketizer"]

_BIT_RATES: Final = {
    # version 1, layers 1 to 3; versions 2 and 2.5, layer 1, and layers 2 and 3: kilobits a second
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = (44100, 48000, 32000)
_CLOCK: Final = 90_000
_HEADER_SIZE: Final = 4


class MpegAudioHeader(NamedTuple):
    """What the first four bytes of a frame tell."""

    size: int
    rate: int
    samples: int

    @classmethod
    def parse(cls, data: bytes) -> MpegAudioHeader:
        """Read it; MalformedPacket is the only way to fail."""
        if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
            raise MalformedPacket("MPEG audio frame has no header")
        version, layer = data[1] >> 3 & 3, 4 - (data[1] >> 1 & 3)
        bit_rate, rate, padding = data[2] >> 4, data[2] >> 2 & 3, data[2] >> 1 & 1
        if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
            raise MalformedPacket("MPEG audio header makes no sense")
        is_one = version == 3
        kilobits = _BIT_RATES[is_one, layer if is_one or layer == 1 else 2][bit_rate]
        hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
        if layer == 1:
            return cls((12_000 * kilobits // hertz + padding) * 4, hertz, 384)
        samples = 576 if layer == 3 and not is_one else 1152
        return cls(samples // 8 * 1000 * kilobits // hertz + padding, hertz, samples)


class MpegAudioPacketizer(Packetizer):
    """Whole frames together, as many as fit; a frame that does not is cut."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        payloads: list[Payload] = []
        gathered = b""
        began, clock = unit.timestamp, 0.0
        for frame in unit.parts:
            try:
                header = MpegAudioHeader.parse(frame)
            except MalformedPacket as exc:
                raise ValueError(exc.reason) from None
            now = unit.timestamp + round(clock) & 0xFFFF_FFFF
            if gathered and len(gathered) + len(frame) + _HEADER_SIZE > self._size:
                payloads.append(Payload(bytes(_HEADER_SIZE) + gathered, began))
                gathered = b""
            if len(frame) + _HEADER_SIZE > self._size:
                pieces = cut(frame, self._size - _HEADER_SIZE)
                step = self._size - _HEADER_SIZE
                payloads += [
                    Payload((index * step).to_bytes(_HEADER_SIZE, "big") + piece, now)
                    for index, piece in enumerate(pieces)
                ]
            else:
                began = began if gathered else now
                gathered += frame
            clock += header.samples * _CLOCK / header.rate
        if gathered:
            payloads.append(Payload(bytes(_HEADER_SIZE) + gathered, began))
        return payloads


class MpegAudioDepacketizer(Depacketizer):
    """Frames one by one, each with its own time; the marker means nothing here."""

    def __init__(self) -> None:
        super().__init__()
        self._frame = b""
        self._wanted = 0
        self._timestamp = 0
        self._lost = False

    def push(self, payload: Payload) -> list[AccessUnit]:
        if payload.lost_before:
            if self._frame:
                self._give_up("MPEG audio frame was not finished")
            self._lost = True
        try:
            return self._take(payload)
        except MalformedPacket as exc:
            self._give_up(exc.reason)
            return []

    def _take(self, payload: Payload) -> list[AccessUnit]:
        if len(payload.data) <= _HEADER_SIZE:
            raise MalformedPacket("MPEG audio payload is truncated")
        offset, data = int.from_bytes(payload.data[2:4], "big"), payload.data[4:]
        if offset:
            if len(self._frame) != offset or payload.timestamp != self._timestamp:
                raise MalformedPacket("MPEG audio frame without a beginning")
            self._frame += data
            if len(self._frame) > self._wanted:
                raise MalformedPacket("MPEG audio frame is longer than it says")
            if len(self._frame) < self._wanted:
                return []
            frame, self._frame = self._frame, b""
            return [self._unit(frame, self._timestamp)]
        if self._frame:
            self._give_up("MPEG audio frame was not finished")
        units: list[AccessUnit] = []
        clock = 0.0
        while data:
            header = MpegAudioHeader.parse(data)
            if header.size > len(data):
                if units:
                    raise MalformedPacket("MPEG audio frame is truncated")
                self._frame, self._wanted, self._timestamp = data, header.size, payload.timestamp
                return []
            units.append(self._unit(data[: header.size], payload.timestamp + round(clock) & 0xFFFF_FFFF))
            data = data[header.size :]
            clock += header.samples * _CLOCK / header.rate
        return units

    def _unit(self, frame: bytes, timestamp: int) -> AccessUnit:
        lost, self._lost = self._lost, False
        return AccessUnit((frame,), timestamp, True, lost)

    def _give_up(self, reason: str) -> None:
        self.dropped[reason] += 1
        self._lost = True
        self._frame = b""
