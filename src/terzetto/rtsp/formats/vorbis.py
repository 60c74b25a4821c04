"""Vorbis (RFC 5215).

::

    ident:24 | F:2 VDT:2 count:4 | length:16, data | ...      F 0 whole packets, 1 first, 2 middle, 3 last fragment
"""

from __future__ import annotations

from typing import ClassVar, Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import PAYLOAD_SIZE, AccessUnit, Assembler, Packetizer, Payload, cut

__all__ = ["VorbisAssembler", "VorbisPacketizer"]

_WHOLE, _FIRST, _MIDDLE, _LAST = 0, 1, 2, 3
_RAW: Final = 0
_HEAD: Final = 6
_MOST: Final = 15


class VorbisPacketizer(Packetizer):
    """Packets together, as many as fit; a packet that does not is cut. *ident* names the configuration."""

    def __init__(self, ident: int, payload_size: int = PAYLOAD_SIZE) -> None:
        super().__init__(payload_size)
        self._ident = ident.to_bytes(3, "big")

    def pack(self, unit: AccessUnit) -> list[Payload]:
        payloads: list[bytes] = []
        gathered: list[bytes] = []
        for packet in unit.parts:
            size = 4 + sum(len(each) + 2 for each in gathered) + len(packet) + 2
            if gathered and (size > self._size or len(gathered) == _MOST):
                payloads.append(self._gathered(gathered))
                gathered = []
            if len(packet) + _HEAD > self._size:
                payloads += self._fragments(packet)
            else:
                gathered.append(packet)
        if gathered:
            payloads.append(self._gathered(gathered))
        return [Payload(data, unit.timestamp) for data in payloads]

    def _gathered(self, packets: list[bytes]) -> bytes:
        body = b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)
        return self._ident + bytes((_WHOLE << 6 | _RAW << 4 | len(packets),)) + body

    def _fragments(self, packet: bytes) -> list[bytes]:
        pieces = cut(packet, self._size - _HEAD)
        kinds = [_FIRST, *[_MIDDLE] * (len(pieces) - 2), _LAST]
        return [
            self._ident + bytes((kind << 6 | _RAW << 4,)) + len(piece).to_bytes(2, "big") + piece
            for kind, piece in zip(kinds, pieces, strict=True)
        ]


class VorbisAssembler(Assembler):
    """The packets of each payload as one unit; how long each sounds only a decoder knows."""

    limit: ClassVar[int] = 1 << 20
    part_limit: ClassVar[int] = 4096

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    @property
    def is_under_way(self) -> bool:
        return super().is_under_way or bool(self._pieces)

    def forget(self) -> None:
        self._pieces.clear()

    def end_without_marker(self) -> None:
        self._give_up("Vorbis packet was not finished")

    def take(self, payload: Payload) -> None:
        data = payload.data
        if len(data) < _HEAD:
            raise MalformedPacket("Vorbis payload is truncated")
        kind, content, count = data[3] >> 6, data[3] >> 4 & 3, data[3] & 0x0F
        if content != _RAW:
            return  # configuration and comments, which the description has as well
        if kind == _WHOLE:
            if self._pieces:
                raise MalformedPacket("Vorbis packet was not finished")
            self._take_whole(data, count)
            return
        size = int.from_bytes(data[4:6], "big")
        if len(data) < _HEAD + size:
            raise MalformedPacket("Vorbis payload is truncated")
        if (kind == _FIRST) is bool(self._pieces):
            raise MalformedPacket("Vorbis packet without a beginning, or without an end")
        if sum(map(len, self._pieces)) + size > self.limit:
            raise MalformedPacket("unit is larger than its format allows")
        self._pieces.append(data[_HEAD : _HEAD + size])
        if kind == _LAST:
            packet = b"".join(self._pieces)
            self._pieces.clear()
            self.add(packet)
            self.finish()

    def _take_whole(self, data: bytes, count: int) -> None:
        at = 4
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2], "big")
            if at + 2 + size > len(data):
                raise MalformedPacket("Vorbis payload is truncated")
            self.add(data[at + 2 : at + 2 + size])
            at += 2 + size
        self.finish()
