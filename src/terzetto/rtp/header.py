"""The RTP packet of RFC 3550: a full decoder, a fast encoder, and what a core needs for its short path.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    |                           timestamp                           |
    |                             SSRC                              |
    |                      CSRC (CC of them) ...                    |
    |  X: profile of the extension  |  its length, 32-bit words     |
    |  its data ...                                                 |
    |  payload ...                                                  |
    |  P: padding ...                            number of padding  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Nearly every packet of a live stream has no padding, no CSRC and no extension, so its first byte is
`PLAIN_FIRST_BYTE` and its payload starts at `FIXED_HEADER_SIZE`. A core that moves thousands of packets a
second reads those itself::

    if len(datagram) >= FIXED_HEADER_SIZE:
        first, second, sequence, timestamp, ssrc = FIXED_HEADER.unpack_from(datagram)
        if first == PLAIN_FIRST_BYTE:
            payload_type, marker = second & PAYLOAD_TYPE_MASK, second & MARKER_BIT
            payload = datagram[FIXED_HEADER_SIZE:]

and leaves all others to `RtpPacket.decode`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = [
    "CSRC_COUNT_MASK",
    "EXTENSION_BIT",
    "FIXED_HEADER",
    "FIXED_HEADER_SIZE",
    "MARKER_BIT",
    "PADDING_BIT",
    "PAYLOAD_TYPE_MASK",
    "PLAIN_FIRST_BYTE",
    "VERSION_BITS",
    "VERSION_MASK",
    "HeaderExtension",
    "RtpPacket",
    "looks_like_rtcp",
    "pack_header",
]

FIXED_HEADER: Final = Struct("!BBHII")
"""First byte, second byte, sequence number, timestamp, SSRC."""

FIXED_HEADER_SIZE: Final = 12
PLAIN_FIRST_BYTE: Final = 0x80
"""Version 2, no padding, no extension, no CSRC: the payload follows the fixed header at once."""

VERSION_MASK: Final = 0xC0
VERSION_BITS: Final = 0x80
PADDING_BIT: Final = 0x20
EXTENSION_BIT: Final = 0x10
CSRC_COUNT_MASK: Final = 0x0F
MARKER_BIT: Final = 0x80
PAYLOAD_TYPE_MASK: Final = 0x7F

_EXTENSION_HEADER: Final = Struct("!HH")
_CSRCS: Final = tuple(Struct(f"!{count}I") for count in range(16))

# RFC 5761: an RTP packet with marker and payload type 64-95 cannot be told from RTCP, so nobody uses those.
_RTCP_TYPES: Final = range(192, 224)


class HeaderExtension(NamedTuple):
    """What follows the CSRC list when X is set: whose extension it is, and whole words of data."""

    profile: int
    data: Buffer


class RtpPacket(NamedTuple):
    """An RTP packet, its payload a view of the datagram it came in.

    ``padding`` counts the bytes after the payload, the count itself included; it is no part of ``payload``.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: Buffer
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: HeaderExtension | None = None
    padding: int = 0

    def encode(self) -> bytes:
        """The packet as it goes on the wire."""
        first = VERSION_BITS | len(self.csrcs)
        extension = self.extension
        parts: list[Buffer] = []
        if extension is not None:
            if len(extension.data) % 4:
                raise ValueError("an RTP header extension is made of whole 32-bit words")
            first |= EXTENSION_BIT
            parts += [_EXTENSION_HEADER.pack(extension.profile, len(extension.data) // 4), extension.data]
        parts.append(self.payload)
        if self.padding:
            first |= PADDING_BIT
            parts.append(bytes(self.padding - 1) + bytes((self.padding,)))
        second = self.payload_type | (MARKER_BIT if self.marker else 0)
        fixed = FIXED_HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        return b"".join((fixed, _CSRCS[len(self.csrcs)].pack(*self.csrcs), *parts))

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Parse a datagram; MalformedPacket is the only way to fail."""
        end = len(data)
        if end < FIXED_HEADER_SIZE:
            raise MalformedPacket("RTP header is truncated")
        first, second, sequence, timestamp, ssrc = FIXED_HEADER.unpack_from(data)
        view = memoryview(data)
        marker = second >= MARKER_BIT
        payload_type = second & PAYLOAD_TYPE_MASK
        if first == PLAIN_FIRST_BYTE:
            return cls(payload_type, sequence, timestamp, ssrc, view[FIXED_HEADER_SIZE:], marker)
        if first & VERSION_MASK != VERSION_BITS:
            raise MalformedPacket("RTP version is not 2")
        csrc_count = first & CSRC_COUNT_MASK
        start = FIXED_HEADER_SIZE + 4 * csrc_count
        if start > end:
            raise MalformedPacket("RTP CSRC list is truncated")
        csrcs = _CSRCS[csrc_count].unpack_from(data, FIXED_HEADER_SIZE)
        extension = None
        if first & EXTENSION_BIT:
            extension, start = _decode_extension(view, start)
        padding = 0
        if first & PADDING_BIT:
            # With nothing after the headers the last byte belongs to them and is no padding count.
            padding = data[end - 1] if end > start else 0
            if not 0 < padding <= end - start:
                raise MalformedPacket("RTP padding is longer than the payload")
        payload = view[start : end - padding]
        return cls(payload_type, sequence, timestamp, ssrc, payload, marker, csrcs, extension, padding)


def pack_header(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, *, marker: bool = False
) -> bytes:
    """The twelve bytes of a header without padding, extension or CSRC; all arguments fit their fields."""
    second = payload_type | MARKER_BIT if marker else payload_type
    return FIXED_HEADER.pack(PLAIN_FIRST_BYTE, second, sequence, timestamp, ssrc)


def looks_like_rtcp(data: Buffer) -> bool:
    """Whether this is RTCP rather than RTP, where both share a port (RFC 5761, section 4)."""
    return len(data) > 1 and data[1] in _RTCP_TYPES


def _decode_extension(view: memoryview, start: int) -> tuple[HeaderExtension, int]:
    data_start = start + _EXTENSION_HEADER.size
    if data_start > len(view):
        raise MalformedPacket("RTP header extension is truncated")
    profile, words = _EXTENSION_HEADER.unpack_from(view, start)
    data_end = data_start + 4 * words
    if data_end > len(view):
        raise MalformedPacket("RTP header extension is truncated")
    return HeaderExtension(profile, view[data_start:data_end]), data_end
