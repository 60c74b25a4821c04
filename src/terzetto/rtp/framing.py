"""The four bytes every RTCP packet begins with, and the class every RTCP packet of ours is.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|  count  |  packet type  | length in 32-bit words, less 1|
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

``count`` is whatever the packet type makes of it: report blocks, chunks, a subtype, a feedback format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import Struct
from typing import ClassVar, Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = ["HEADER_SIZE", "MAX_COUNT", "Frame", "RtcpPacket", "pack_frame", "unpack_frame"]

HEADER_SIZE: Final = 4
MAX_COUNT: Final = 31

_HEADER: Final = Struct("!BBH")


class Frame(NamedTuple):
    """One RTCP packet with its header read and its padding taken off."""

    count_field: int
    packet_type: int
    body: memoryview
    size: int
    """Bytes from the first of this packet to the first of the next."""


def pack_frame(count: int, packet_type: int, body: bytes) -> bytes:
    """*body*, which must be whole 32-bit words, behind its header."""
    if len(body) % 4:
        raise ValueError("the body of an RTCP packet is made of whole 32-bit words")
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"an RTCP packet counts up to {MAX_COUNT}, not {count}")
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def unpack_frame(data: Buffer, start: int = 0) -> Frame:
    """Read the packet that begins at *start*; MalformedPacket when its length does not fit the data."""
    if len(data) - start < HEADER_SIZE:
        raise MalformedPacket("RTCP header is truncated")
    first, packet_type, words = _HEADER.unpack_from(data, start)
    if first & 0xC0 != 0x80:
        raise MalformedPacket("RTCP version is not 2")
    size = HEADER_SIZE + 4 * words
    if start + size > len(data):
        raise MalformedPacket("RTCP packet is truncated")
    padding = 0
    if first & 0x20:
        padding = data[start + size - 1] if words else 0
        if not 0 < padding <= 4 * words:
            raise MalformedPacket("RTCP padding is longer than the packet")
    body = memoryview(data)[start + HEADER_SIZE : start + size - padding]
    return Frame(first & MAX_COUNT, packet_type, body, size)


class RtcpPacket(ABC):
    """One packet of a compound."""

    __slots__ = ()

    packet_types: ClassVar[tuple[int, ...]]
    """The type we write, then those that mean the same when read."""

    @classmethod
    @abstractmethod
    def from_body(cls, count: int, body: memoryview) -> Self:
        """Parse what follows the four bytes of the header; MalformedPacket is the only way to fail."""

    @abstractmethod
    def encode(self) -> bytes:
        """The packet, header included, as it goes on the wire."""

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Parse exactly one packet; MalformedPacket is the only way to fail."""
        frame = unpack_frame(data)
        if frame.packet_type not in cls.packet_types:
            raise MalformedPacket("RTCP packet is of another type")
        if frame.size != len(data):
            raise MalformedPacket("RTCP packet is followed by other bytes")
        return cls.from_body(frame.count_field, frame.body)
