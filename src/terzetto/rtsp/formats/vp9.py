"""VP9 (RFC 9628).

::

    I P L F B E V Z | picture id, 7 or 15 bits | layers | references | scalability structure
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import PAYLOAD_SIZE, AccessUnit, Assembler, Packetizer, Payload, cut

__all__ = ["Vp9Assembler", "Vp9Packetizer"]

_ID, _PREDICTED, _LAYERS, _FLEXIBLE, _BEGIN, _END, _STRUCTURE = 0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02
_ID_MASK = 0x7FFF


class Vp9Packetizer(Packetizer):
    """Flexible mode with a picture id of fifteen bits."""

    def __init__(self, payload_size: int = PAYLOAD_SIZE, *, first_id: int = 0) -> None:
        super().__init__(payload_size)
        self._id = first_id

    def pack(self, unit: AccessUnit) -> list[Payload]:
        identifier = (0x8000 | self._id).to_bytes(2, "big")
        self._id = self._id + 1 & _ID_MASK
        pieces = cut(unit.data, self._size - 3)
        last = len(pieces) - 1
        payloads = []
        for index, piece in enumerate(pieces):
            flags = _ID | _FLEXIBLE | (0 if index else _BEGIN) | (_END if index == last else 0)
            payloads.append(Payload(bytes((flags,)) + identifier + piece, unit.timestamp, index == last))
        return payloads


class Vp9Assembler(Assembler):
    """Pictures of one or several layers, from the first beginning to the marker."""

    limit: ClassVar[int] = 2 << 20
    part_limit: ClassVar[int] = 4096
    joins: ClassVar[bool] = True

    def take(self, payload: Payload) -> None:
        data = payload.data
        if not data:
            raise MalformedPacket("VP9 payload is empty")
        start = _descriptor_size(data)
        if start >= len(data):
            raise MalformedPacket("VP9 descriptor is truncated")
        if not self.is_under_way and not data[0] & _BEGIN:
            raise MalformedPacket("VP9 frame without a beginning")
        self.add(data[start:])
        if payload.marker:
            self.finish()

    def end_without_marker(self) -> None:
        self._give_up("VP9 frame was not finished")

    def is_key(self, parts: Sequence[bytes]) -> bool:
        # The uncompressed header: frame marker:2, profile:2 (and a bit for profile 3), show existing, frame type.
        first = parts[0][0]
        shift = 1 if first & 0x30 == 0x30 else 0
        shows_existing, is_inter = first >> (3 - shift) & 1, first >> (2 - shift) & 1
        return not shows_existing and not is_inter


def _descriptor_size(data: bytes) -> int:
    flags, at = data[0], 1

    def byte() -> int:
        nonlocal at
        if at >= len(data):
            raise MalformedPacket("VP9 descriptor is truncated")
        at += 1
        return data[at - 1]

    if flags & _ID and byte() & 0x80:
        byte()
    if flags & _LAYERS:
        byte()
        if not flags & _FLEXIBLE:
            byte()
    if flags & _FLEXIBLE and flags & _PREDICTED:
        for _ in range(3):
            if not byte() & 0x01:
                break
    if flags & _STRUCTURE:
        structure = byte()
        if structure & 0x10:
            at += 4 * ((structure >> 5) + 1)
        if structure & 0x08:
            for _ in range(byte()):
                references = byte() >> 2 & 0x03
                at += references
    return at
