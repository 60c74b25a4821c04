"""Units cut plainly, the marker on the last piece: MPEG-4 video (RFC 6416) and KLV metadata (RFC 6597)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Assembler, Packetizer, Payload, cut

__all__ = ["ChoppedPacketizer", "KlvAssembler", "Mpeg4VideoAssembler"]

_VOP: Final = b"\0\0\1\xb6"
_KLV_LABEL: Final = b"\x06\x0e\x2b\x34"


class ChoppedPacketizer(Packetizer):
    """Pieces, and the marker."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        data = unit.data
        if not data:
            raise ValueError("a unit is empty")
        pieces = cut(data, self._size)
        last = len(pieces) - 1
        return [Payload(piece, unit.timestamp, index == last) for index, piece in enumerate(pieces)]


class _ChoppedAssembler(Assembler):
    """Pieces until the marker."""

    limit: ClassVar[int] = 1 << 20
    part_limit: ClassVar[int] = 4096
    joins: ClassVar[bool] = True

    def take(self, payload: Payload) -> None:
        if not payload.data:
            raise MalformedPacket("payload is empty")
        if not self.is_under_way and not self.begins(payload.data):
            raise MalformedPacket("unit without a beginning")
        self.add(payload.data)
        if payload.marker:
            self.finish()

    @abstractmethod
    def begins(self, data: bytes) -> bool:
        """Whether a unit may begin so."""


class Mpeg4VideoAssembler(_ChoppedAssembler):
    """Pictures, with their configuration where it is repeated."""

    def begins(self, data: bytes) -> bool:
        return data.startswith(b"\0\0\1")

    def is_key(self, parts: Sequence[bytes]) -> bool:
        at = parts[0].find(_VOP)
        return 0 <= at < len(parts[0]) - 4 and parts[0][at + 4] >> 6 == 0


class KlvAssembler(_ChoppedAssembler):
    """Units of metadata; whole by their marker, or by their own length where the marker was lost."""

    def begins(self, data: bytes) -> bool:
        return data.startswith(_KLV_LABEL[: len(data)])

    def end_without_marker(self) -> None:
        if _klv_is_whole(b"".join(self._parts)):
            self.finish()
        else:
            self._give_up("KLV unit was not finished")


def _klv_is_whole(data: bytes) -> bool:
    """Whether *data* is one or several whole items: label, BER length, value."""
    at = 0
    while at < len(data):
        if len(data) < at + 17:
            return False
        size, at = data[at + 16], at + 17
        if size & 0x80:
            width = size & 0x7F
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        at += size
    return at == len(data)
