"""MPEG-1 and MPEG-2 video (RFC 2250).

::

    zero:5 T:1 temporal reference:10 | AN N S B E picture type:3 | motion vector codes:8

Pictures are cut between slices, where a decoder can begin again; a slice that is too large is cut within.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Assembler, Packetizer, Payload, cut

__all__ = ["MpegVideoAssembler", "MpegVideoPacketizer"]

_HEADER_SIZE: Final = 4
_HAS_EXTENSION: Final = 0x04000000
_SEQUENCE, _BEGINS, _ENDS = 0x2000, 0x1000, 0x0800
_PICTURE: Final = b"\0\0\1\0"
_SEQUENCE_START: Final = b"\0\0\1\xb3"
_SLICE: Final = re.compile(rb"\x00\x00\x01[\x01-\xaf]")


class MpegVideoPacketizer(Packetizer):
    """As many whole slices as fit."""

    def pack(self, unit: AccessUnit) -> list[Payload]:
        data = unit.data
        at = data.find(_PICTURE)
        if at < 0 or len(data) < at + 8:
            raise ValueError("there is no MPEG picture")
        reference = int.from_bytes(data[at + 4 : at + 6], "big") >> 6
        kind = data[at + 5] >> 3 & 0x07
        vectors = self._vectors(data[at + 4 :], kind)
        has_sequence = _SEQUENCE_START in data[:at]
        pieces = self._pieces(data)
        last = len(pieces) - 1
        payloads = []
        for index, (piece, begins, ends) in enumerate(pieces):
            header = reference << 16 | kind << 8 | vectors
            header |= (_SEQUENCE if has_sequence and not index else 0) | begins * _BEGINS | ends * _ENDS
            payloads.append(Payload(header.to_bytes(4, "big") + piece, unit.timestamp, index == last))
        return payloads

    @staticmethod
    def _vectors(header: bytes, kind: int) -> int:
        """The motion vector codes of the picture's header: FBV BFC FFV FFC."""
        bits = int.from_bytes(header[:6].ljust(6, b"\0"), "big")  # reference:10 type:3 delay:16 ...
        forward = bits >> 48 - 29 - 4 & 0x0F if kind in (2, 3) else 0
        backward = bits >> 48 - 29 - 8 & 0x0F if kind == 3 else 0
        return backward << 4 | forward

    def _pieces(self, data: bytes) -> list[tuple[bytes, bool, bool]]:
        """Pieces, and whether each begins and ends with a slice's border."""
        room = self._size - _HEADER_SIZE
        borders = [match.start() for match in _SLICE.finditer(data)]
        # What comes before the first slice goes with it.
        borders = [0, *borders[1:], len(data)]
        pieces: list[tuple[bytes, bool, bool]] = []
        gathered = b""
        for start, end in pairwise(borders):
            part = data[start:end]
            if gathered and len(gathered) + len(part) > room:
                pieces.append((gathered, True, True))
                gathered = b""
            if len(part) > room:
                cuts = cut(part, room)
                last = len(cuts) - 1
                pieces += [(piece, index == 0, index == last) for index, piece in enumerate(cuts)]
            else:
                gathered += part
        if gathered:
            pieces.append((gathered, True, True))
        return pieces


class MpegVideoAssembler(Assembler):
    """Pictures, from their header to the marker."""

    limit: ClassVar[int] = 1 << 20
    part_limit: ClassVar[int] = 4096
    joins: ClassVar[bool] = True

    def take(self, payload: Payload) -> None:
        data = payload.data
        if len(data) <= _HEADER_SIZE:
            raise MalformedPacket("MPEG video payload is truncated")
        start = _HEADER_SIZE
        if int.from_bytes(data[:4], "big") & _HAS_EXTENSION:
            start += 4
        body = data[start:]
        if not self.is_under_way and not body.startswith(b"\0\0\1"):
            raise MalformedPacket("MPEG picture without a beginning")
        self.add(body)
        if payload.marker:
            self.finish()

    def is_key(self, parts: Sequence[bytes]) -> bool:
        at = parts[0].find(_PICTURE)
        return 0 <= at < len(parts[0]) - 5 and parts[0][at + 5] >> 3 & 0x07 == 1
