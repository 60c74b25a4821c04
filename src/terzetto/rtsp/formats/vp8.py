"""VP8 (RFC 7741).

::

    X R N S R PID:3 | I L T K | picture id, 7 or 15 bits | level index | T K
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Assembler, Packetizer, Payload, cut

__all__ = ["Vp8Assembler", "Vp8Packetizer"]

_BEGINNING = 0x10


class Vp8Packetizer(Packetizer):
    """The shortest descriptor: where a frame begins."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        pieces = cut(unit.data, self._size - 1)
        last = len(pieces) - 1
        return [
            Payload(bytes((0 if index else _BEGINNING,)) + piece, unit.timestamp, index == last)
            for index, piece in enumerate(pieces)
        ]


class Vp8Assembler(Assembler):
    """Frames from the beginning of their first partition to the marker."""

    limit: ClassVar[int] = 2 << 20
    part_limit: ClassVar[int] = 4096
    joins: ClassVar[bool] = True

    def take(self, payload: Payload) -> None:
        data = payload.data
        if not data:
            raise MalformedPacket("VP8 payload is empty")
        first, start = data[0], 1
        if first & 0x80:
            start = _extended(data)
        if start >= len(data):
            raise MalformedPacket("VP8 descriptor is truncated")
        if first & _BEGINNING and not first & 0x07:
            if self.is_under_way:
                raise MalformedPacket("VP8 frame was not finished")
        elif not self.is_under_way:
            raise MalformedPacket("VP8 frame without a beginning")
        self.add(data[start:])
        if payload.marker:
            self.finish()

    def end_without_marker(self) -> None:
        self._give_up("VP8 frame was not finished")

    def is_key(self, parts: Sequence[bytes]) -> bool:
        return not parts[0][0] & 0x01


def _extended(data: bytes) -> int:
    if len(data) < 2:
        raise MalformedPacket("VP8 descriptor is truncated")
    extension, start = data[1], 2
    if extension & 0x80:
        if start >= len(data):
            raise MalformedPacket("VP8 descriptor is truncated")
        start += 2 if data[start] & 0x80 else 1
    return start + bool(extension & 0x40) + bool(extension & 0x30)
