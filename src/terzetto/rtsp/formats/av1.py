"""AV1 (the Alliance's RTP specification).

::

    Z Y W:2 N | [size | OBU] ...       Z continues the last packet's, Y goes on in the next, W counts (0: all sized)

OBUs travel without their own size, and come out so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Assembler, Packetizer, Payload

__all__ = ["Av1Assembler", "Av1Packetizer"]

_CONTINUES, _GOES_ON, _NEW_SEQUENCE = 0x80, 0x40, 0x08
_SEQUENCE_HEADER, _DELIMITER, _TILE_LIST, _PADDING = 1, 2, 8, 15
_NOT_SENT: Final = frozenset({_DELIMITER, _TILE_LIST, _PADDING})
_HAS_SIZE: Final = 0x02
_LONGEST_SIZE: Final = 5


def _kind(obu: bytes) -> int:
    return obu[0] >> 3 & 0x0F


def encode_leb128(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_leb128(data: bytes, at: int) -> tuple[int, int]:
    """The number at *at*, and where it ends; MalformedPacket when it does not, or is too large."""
    value = 0
    for index in range(_LONGEST_SIZE):
        if at + index >= len(data):
            break
        value |= (data[at + index] & 0x7F) << 7 * index
        if not data[at + index] & 0x80:
            return value, at + index + 1
    raise MalformedPacket("AV1 size makes no sense")


def without_size(obu: bytes) -> bytes:
    """*obu* as it travels: without a size of its own."""
    if not obu:
        raise ValueError("an OBU is empty")
    if not obu[0] & _HAS_SIZE:
        return obu
    header_size = 2 if obu[0] & 0x04 else 1
    size, start = decode_leb128(obu, header_size)
    return bytes((obu[0] & ~_HAS_SIZE,)) + obu[1:header_size] + obu[start : start + size]


class Av1Packetizer(Packetizer):
    """Every element carries its size, so that any number fits a packet."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        try:
            obus = [without_size(obu) for obu in unit.parts]
        except MalformedPacket as exc:
            raise ValueError(exc.reason) from None
        obus = [obu for obu in obus if _kind(obu) not in _NOT_SENT]
        if not obus:
            raise ValueError("a temporal unit has nothing to send")
        starts = any(_kind(obu) == _SEQUENCE_HEADER for obu in obus)
        payloads: list[bytearray] = [bytearray((_NEW_SEQUENCE if starts else 0,))]
        for obu in obus:
            rest = obu
            while rest:
                current = payloads[-1]
                # A size of two bytes is enough for any payload.
                room = self._size - len(current) - 2
                if room < 1:
                    payloads.append(bytearray((0,)))
                    continue
                piece, rest = rest[:room], rest[room:]
                current += encode_leb128(len(piece)) + piece
                if rest:
                    current[0] |= _GOES_ON
                    payloads.append(bytearray((_CONTINUES,)))
        last = len(payloads) - 1
        return [Payload(bytes(data), unit.timestamp, index == last) for index, data in enumerate(payloads)]


class Av1Assembler(Assembler):
    """Temporal units: the OBUs until the marker, or another time."""

    limit: ClassVar[int] = 3 << 20
    part_limit: ClassVar[int] = 64

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    @property
    def is_under_way(self) -> bool:
        return super().is_under_way or bool(self._pieces)

    def forget(self) -> None:
        self._pieces.clear()

    def end_without_marker(self) -> None:
        if self._pieces:
            self._give_up("OBU was not finished")
        self.finish()

    def take(self, payload: Payload) -> None:
        data = payload.data
        if len(data) < 2:
            raise MalformedPacket("AV1 payload is truncated")
        elements = _elements(data)
        if data[0] & _CONTINUES and not self._pieces:
            raise MalformedPacket("OBU without a beginning")
        if self._pieces and not data[0] & _CONTINUES:
            raise MalformedPacket("OBU was not finished")
        for index, element in enumerate(elements):
            goes_on = index == len(elements) - 1 and data[0] & _GOES_ON
            if sum(map(len, self._pieces)) + self._size + len(element) > self.limit:
                raise MalformedPacket("unit is larger than its format allows")
            self._pieces.append(element)
            if not goes_on:
                obu = b"".join(self._pieces)
                self._pieces.clear()
                if obu:
                    self.add(obu)
        if payload.marker:
            self.end_without_marker()

    def is_key(self, parts: Sequence[bytes]) -> bool:
        return any(_kind(part) == _SEQUENCE_HEADER for part in parts)


def _elements(data: bytes) -> list[bytes]:
    count, at = data[0] >> 4 & 0x03, 1
    elements: list[bytes] = []
    while at < len(data):
        if count and len(elements) == count - 1:
            elements.append(data[at:])
            return elements
        size, at = decode_leb128(data, at)
        if at + size > len(data):
            raise MalformedPacket("AV1 element is truncated")
        elements.append(data[at : at + size])
        at += size
    if count and len(elements) != count:
        raise MalformedPacket("AV1 payload has fewer elements than it says")
    return elements
