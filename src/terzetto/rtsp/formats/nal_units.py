"""What H.264 and H.265 share: units cut and gathered in the same way, with headers of other lengths.

::

    alone         the unit as it is
    aggregated    header, then size:16 and unit, for each
    fragmented    header, S E type, a piece of the unit without its own header
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit, Assembler, Packetizer, Payload, cut

__all__ = ["NalAssembler", "NalPacketizer", "split_annex_b"]

_START: Final = 0x80
_END: Final = 0x40


class NalPacketizer(Packetizer):
    """Small units share a payload, large ones are cut."""

    header_size: ClassVar[int]

    def pack(self, unit: AccessUnit) -> list[Payload]:
        payloads: list[bytes] = []
        small: list[bytes] = []
        room = self._size - self.header_size
        for part in unit.parts:
            if len(part) <= self.header_size:
                raise ValueError("a NAL unit is empty")
            if small and sum(map(len, small)) + 2 * len(small) + 2 + len(part) > room:
                payloads += self._gathered(small)
                small = []
            if len(part) > self._size:
                payloads += self._gathered(small)
                small = []
                payloads += self._fragments(part)
            else:
                small.append(part)
        payloads += self._gathered(small)
        last = len(payloads) - 1
        return [Payload(data, unit.timestamp, index == last) for index, data in enumerate(payloads)]

    def _gathered(self, parts: list[bytes]) -> list[bytes]:
        if len(parts) < 2:
            return parts
        body = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
        return [self.aggregation_header(parts) + body]

    def _fragments(self, part: bytes) -> Iterator[bytes]:
        header, kind = self.fragment_header(part)
        pieces = cut(part[self.header_size :], self._size - self.header_size - 1)
        for index, piece in enumerate(pieces):
            flags = (_START if index == 0 else 0) | (_END if index == len(pieces) - 1 else 0)
            yield header + bytes((flags | kind,)) + piece

    @abstractmethod
    def aggregation_header(self, parts: Sequence[bytes]) -> bytes:
        """What a payload of several units begins with."""

    @abstractmethod
    def fragment_header(self, part: bytes) -> tuple[bytes, int]:
        """What a payload with a piece of *part* begins with, and the type that its second header names."""


class NalAssembler(Assembler):
    """Gathers the units of a picture until the marker or another time."""

    header_size: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._pieces_size = 0

    @property
    def is_under_way(self) -> bool:
        return super().is_under_way or bool(self._pieces)

    def forget(self) -> None:
        self._pieces.clear()
        self._pieces_size = 0

    def end_without_marker(self) -> None:
        if self._pieces:
            self.dropped["unit was not finished"] += 1
            self.forget()
        self.finish()

    def finish_at(self, marker: bool) -> None:
        """The end of a payload; with a *marker*, of the picture."""
        if marker:
            self.end_without_marker()

    def add_unit(self, unit: bytes) -> None:
        """A whole unit, or several between start codes, as some cameras send."""
        if len(unit) < self.header_size:
            raise MalformedPacket("NAL unit is truncated")
        for part in split_annex_b(unit):
            if len(part) >= self.header_size:
                self.add(part)

    def add_aggregated(self, data: bytes, skip: int = 0) -> None:
        """Sizes and units; *skip* bytes stand before each size."""
        position = 0
        while position + skip + 2 <= len(data):
            position += skip
            size = int.from_bytes(data[position : position + 2], "big")
            if not size:
                return  # padding
            position += 2
            if position + size > len(data):
                raise MalformedPacket("aggregated NAL unit is truncated")
            self.add_unit(data[position : position + size])
            position += size

    def add_fragment(self, flags: int, header: bytes, piece: bytes) -> None:
        """A piece of a unit; *header* is that of the unit, as the fragment lets it be rebuilt."""
        if flags & _START:
            if self._pieces:
                self.dropped["unit was not finished"] += 1
            self._pieces = [header]
            self._pieces_size = len(header)
        elif not self._pieces:
            # We came in the middle: nothing to complain about, but nothing of use either.
            raise MalformedPacket("fragment without a beginning")
        self._pieces.append(piece)
        self._pieces_size += len(piece)
        if self._pieces_size > self.limit:
            raise MalformedPacket("unit is larger than its format allows")
        if flags & _END:
            unit = b"".join(self._pieces)
            self.forget()
            self.add_unit(unit)


def split_annex_b(data: bytes) -> list[bytes]:
    """The units between start codes; *data* itself where there are none."""
    if b"\0\0\1" not in data:
        return [data]
    # Zeros before a start code belong to nobody.
    return [part for part in (each.rstrip(b"\0") for each in data.split(b"\0\0\1")) if part]
