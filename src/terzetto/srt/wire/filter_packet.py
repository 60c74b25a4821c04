"""The packet filter's own packets: data packets whose message number is zero.

::

    +-+-------------------------------------------------------------+
    |0|   sequence number of the last data packet that was sent     |
    +---+-+---+-+---------------------------------------------------+
    |1 1|0|KK |0|                 message number 0                  |
    +---+-+---+-+---------------------------------------------------+
    |                 XOR of the members' timestamps                |
    +---------------------------------------------------------------+
    |                     destination socket id                     |
    +---------------+---------------+-------------------------------+
    |     group     |   XOR of KK   |     XOR of payload lengths    |
    +---------------+---------------+-------------------------------+
    |      XOR of payloads, zeros up to the payload size ...        |

The group is the number of a column, or 255 for a row. KK in the header is the key in force, for nobody in
particular: the body is not encrypted, it is made of payloads that are.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.wire.data import DATA_HEADER, HEADER_SIZE, KEY_MASK, SOLO_FLAGS

__all__ = ["ROW_GROUP", "FilterPacket"]

ROW_GROUP: Final = 0xFF

_PARITY: Final = struct.Struct("!BBH")
_KEY_BITS: Final = 0b11


class FilterPacket(NamedTuple):
    """A parity of the packet filter."""

    sequence: int
    timestamp: int
    destination: int
    group: int
    key: int
    length: int
    body: Buffer
    flags: int = SOLO_FLAGS

    def encode(self, size: int) -> bytes:
        """The whole datagram; the body padded to *size* bytes."""
        return (
            DATA_HEADER.pack(
                self.sequence, SOLO_FLAGS | self.flags & KEY_MASK, self.timestamp, self.destination
            )
            + _PARITY.pack(self.group, self.key, self.length)
            + bytes(self.body).ljust(size, b"\0")
        )

    @classmethod
    def decode(cls, data: Buffer) -> FilterPacket:
        """Parse a datagram that is a data packet with message number zero; else `MalformedPacket`."""
        if len(data) < HEADER_SIZE + _PARITY.size:
            raise MalformedPacket("packet filter's packet is truncated")
        sequence, flags, timestamp, destination = DATA_HEADER.unpack_from(data)
        group, key, length = _PARITY.unpack_from(data, HEADER_SIZE)
        body = data[HEADER_SIZE + _PARITY.size :]
        return cls(sequence, timestamp, destination, group, key & _KEY_BITS, length, body, flags)
