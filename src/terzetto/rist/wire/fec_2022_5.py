"""The FEC header of SMPTE ST 2022-5, for the large matrices of high bit rates, behind an RTP header of its own.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-------+-+-------------+-------------------------------+
    |E|R|P|X|  CC   |M| PT recovery |            SN base            |
    +-+-+-+-+-------+-+-------------+-------------------------------+
    |                         TS recovery                           |
    +-------------------------------+-------------------------------+
    |        length recovery        |           reserved            |
    +-------------------+-----------+-------------------+-----------+
    |      offset       | reserved  |        NA         | reserved  |
    +-------------------+-----------+-------------------+-----------+
    |                           payload XOR ...                     |

Nothing says whether this is a row or a column except the port it came by; a row is what has an offset of one.
"""

from __future__ import annotations

import struct
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.fec import LIMITS
from terzetto.rist.wire.fec_packet import FecPacket

__all__ = ["BASE_BITS", "PROTECTED_HEADER", "decode_fec", "encode_fec"]

BASE_BITS: Final = 16

PROTECTED_HEADER: Final = 0x3FFF
"""Those of an RTP header's first sixteen bits that are summed up: all but the version."""

_HEADER: Final = struct.Struct("!HHIHxxHH")
_COUNT_SHIFT: Final = 6
_LIMITS: Final = LIMITS["2022-5"]


def encode_fec(packet: FecPacket) -> bytes:
    """Header and body, without the RTP header."""
    return (
        _HEADER.pack(
            packet.header & PROTECTED_HEADER,
            packet.base & 0xFFFF,
            packet.timestamp,
            packet.length,
            packet.offset << _COUNT_SHIFT,
            packet.number << _COUNT_SHIFT,
        )
        + packet.body
    )


def decode_fec(data: Buffer) -> FecPacket:
    """Parse what stands behind the RTP header; `MalformedPacket` is the only way to fail."""
    try:
        header, base, timestamp, length, offset, number = _HEADER.unpack_from(data)
    except struct.error:
        raise MalformedPacket("FEC header is truncated") from None
    offset >>= _COUNT_SHIFT
    number >>= _COUNT_SHIFT
    # A column of a matrix that is one packet wide looks like a row, and is treated alike.
    is_row = offset == 1
    if is_row:
        if not _LIMITS.allow_row(number):
            raise MalformedPacket("FEC row is not one of ST 2022-5")
    elif not _LIMITS.allow_column(offset, number):
        raise MalformedPacket("FEC column is not one of ST 2022-5")
    return FecPacket(
        base=base,
        offset=offset,
        number=number,
        timestamp=timestamp,
        length=length,
        body=data[_HEADER.size :],
        is_row=is_row,
        header=header & PROTECTED_HEADER,
    )
