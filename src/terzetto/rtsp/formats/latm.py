"""AAC as MP4A-LATM (RFC 6416): audio multiplex elements, cut plainly.

With ``cpresent=0`` an element is a length in bytes of 255 and a rest, and so much data, several times over.
"""

from __future__ import annotations

from typing import ClassVar, Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import PAYLOAD_SIZE, AccessUnit, Assembler, Packetizer, Payload, cut

__all__ = ["LatmAssembler", "LatmPacketizer"]

_FULL: Final = 0xFF


class LatmPacketizer(Packetizer):
    """One element of all frames of a unit."""

    def __init__(self, payload_size: int = PAYLOAD_SIZE, *, has_config: bool = False) -> None:
        super().__init__(payload_size)
        self._has_config = has_config

    def pack(self, unit: AccessUnit) -> list[Payload]:
        if not unit.data:
            raise ValueError("a unit is empty")
        element = unit.data
        if not self._has_config:
            element = b"".join(
                bytes((_FULL,)) * (len(part) // _FULL) + bytes((len(part) % _FULL,)) + part
                for part in unit.parts
            )
        pieces = cut(element, self._size)
        last = len(pieces) - 1
        return [Payload(piece, unit.timestamp, index == last) for index, piece in enumerate(pieces)]


class LatmAssembler(Assembler):
    """Frames; with *has_config* the elements as they are, since their layout stands inside them."""

    limit: ClassVar[int] = 1 << 20
    part_limit: ClassVar[int] = 4096

    def __init__(self, *, has_config: bool = False) -> None:
        super().__init__()
        self._has_config = has_config
        # A piece does not show whether it is the first; behind a marker the next one is.
        self._is_aligned = True

    def push(self, payload: Payload) -> list[AccessUnit]:
        if payload.lost_before:
            self._is_aligned = False
        done = super().push(payload)
        if payload.marker:
            self._is_aligned = True
        return done

    def take(self, payload: Payload) -> None:
        # Where lengths stand in it, an element in one piece shows whether it is whole.
        is_obscure = self._has_config or not payload.marker
        if not self.is_under_way and not self._is_aligned and is_obscure:
            raise MalformedPacket("LATM element without a beginning")
        self.add(payload.data)
        if payload.marker:
            self.end_without_marker()

    def end_without_marker(self) -> None:
        element = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._has_config:
            self._parts.append(element)
        else:
            try:
                self._parts += _frames(element)
            except MalformedPacket as exc:
                self._give_up(exc.reason)
                return
        self.finish()


def _frames(element: bytes) -> list[bytes]:
    frames: list[bytes] = []
    at = 0
    while at < len(element):
        size = 0
        while at < len(element) and element[at] == _FULL:
            size, at = size + _FULL, at + 1
        if at >= len(element):
            raise MalformedPacket("LATM length is truncated")
        size, at = size + element[at], at + 1
        if at + size > len(element):
            raise MalformedPacket("LATM frame is truncated")
        frames.append(element[at : at + size])
        at += size
    return frames
