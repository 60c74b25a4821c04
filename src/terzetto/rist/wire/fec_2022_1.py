"""The FEC header of SMPTE ST 2022-1, behind an RTP header of its own.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-------------------------------+-------------------------------+
    |     SN base, lower 16 bits    |        length recovery        |
    +-+-------------+---------------+-------------------------------+
    |E| PT recovery |                   mask, 0                     |
    +-+-------------+-----------------------------------------------+
    |                         TS recovery                           |
    +-+-+-----+-----+---------------+---------------+---------------+
    |N|D|type |index|    offset     |      NA       |  SN base ext  |
    +-+-+-----+-----+---------------+---------------+---------------+
    |                           payload XOR ...                     |

E says that the header is this long (it must be one, is ignored when read, since some senders leave it out), D that
this is a row. Of the RTP header's first sixteen bits only the payload type is protected.
"""

from __future__ import annotations

import struct
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.fec import LIMITS
from terzetto.rist.wire.fec_packet import FecPacket

__all__ = ["BASE_BITS", "PROTECTED_HEADER", "decode_fec", "encode_fec"]

BASE_BITS: Final = 24

PROTECTED_HEADER: Final = 0x007F
"""Those of an RTP header's first sixteen bits that are summed up."""

_HEADER: Final = struct.Struct("!HHIIBBBB")
_EXTENDED: Final = 0x8000_0000
_TYPE_SHIFT: Final = 24
_MASK: Final = 0x00FF_FFFF
_ROW: Final = 0x40
_KIND: Final = 0b0011_1000
_LIMITS: Final = LIMITS["2022-1"]


def encode_fec(packet: FecPacket) -> bytes:
    """Header and body, without the RTP header."""
    return (
        _HEADER.pack(
            packet.base & 0xFFFF,
            packet.length,
            _EXTENDED | (packet.header & PROTECTED_HEADER) << _TYPE_SHIFT,
            packet.timestamp,
            _ROW if packet.is_row else 0,
            packet.offset,
            packet.number,
            packet.base >> 16 & 0xFF,
        )
        + packet.body
    )


def decode_fec(data: Buffer) -> FecPacket:
    """Parse what stands behind the RTP header; `MalformedPacket` is the only way to fail."""
    try:
        low, length, kind, timestamp, flags, offset, number, high = _HEADER.unpack_from(data)
    except struct.error:
        raise MalformedPacket("FEC header is truncated") from None
    if flags & _KIND:
        raise MalformedPacket("FEC is not by XOR")
    if kind & _MASK:
        raise MalformedPacket("FEC names its packets by a mask")
    is_row = bool(flags & _ROW)
    if is_row:
        if offset != 1 or not _LIMITS.allow_row(number):
            raise MalformedPacket("FEC row is not one of ST 2022-1")
    elif not _LIMITS.allow_column(offset, number):
        raise MalformedPacket("FEC column is not one of ST 2022-1")
    return FecPacket(
        base=high << 16 | low,
        offset=offset,
        number=number,
        timestamp=timestamp,
        length=length,
        body=data[_HEADER.size :],
        is_row=is_row,
        header=kind >> _TYPE_SHIFT & PROTECTED_HEADER,
    )
