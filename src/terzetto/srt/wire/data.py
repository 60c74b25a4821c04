"""The header of a data packet.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-------------------------------------------------------------+
    |0|                    packet sequence number                   |
    +---+-+---+-+---------------------------------------------------+
    |PP |O|KK |R|                 message number                    |
    +---+-+---+-+---------------------------------------------------+
    |                    timestamp (microseconds)                   |
    +---------------------------------------------------------------+
    |                     destination socket id                     |
    +---------------------------------------------------------------+
    |                            payload ...                        |
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = [
    "BOUNDARY_FIRST",
    "BOUNDARY_LAST",
    "BOUNDARY_SOLO",
    "DATA_HEADER",
    "HEADER_SIZE",
    "IN_ORDER_FLAG",
    "KEY_MASK",
    "KEY_SHIFT",
    "MESSAGE_NUMBER_MASK",
    "RETRANSMITTED_FLAG",
    "SOLO_FLAGS",
    "DataHeader",
]

DATA_HEADER: Final = struct.Struct("!IIII")
"""Sequence number, flags with message number, timestamp, destination."""

HEADER_SIZE: Final = 16
CONTROL_BIT: Final = 0x8000_0000

BOUNDARY_FIRST: Final = 0b10
BOUNDARY_LAST: Final = 0b01
BOUNDARY_SOLO: Final = 0b11
SOLO_FLAGS: Final = BOUNDARY_SOLO << 30
"""The flag bits of a message that is one packet, as every live message is."""
IN_ORDER_FLAG: Final = 1 << 29
KEY_SHIFT: Final = 27
KEY_MASK: Final = 0b11 << KEY_SHIFT
RETRANSMITTED_FLAG: Final = 1 << 26
MESSAGE_NUMBER_MASK: Final = RETRANSMITTED_FLAG - 1


class DataHeader(NamedTuple):
    """What a data packet says about itself; hot paths work on the four words, this is for everyone else."""

    sequence: int
    message_number: int
    timestamp: int
    destination: int
    boundary: int = BOUNDARY_SOLO
    in_order: bool = False
    key: int = 0
    """0 clear, 1 the even key, 2 the odd one."""
    is_retransmission: bool = False

    @classmethod
    def decode(cls, data: Buffer) -> DataHeader:
        """Parse bytes from the network; `MalformedPacket` is the only way to fail."""
        if len(data) < HEADER_SIZE:
            raise MalformedPacket("data packet is truncated")
        sequence, flags, timestamp, destination = DATA_HEADER.unpack_from(data)
        if sequence & CONTROL_BIT:
            raise MalformedPacket("not a data packet")
        return cls(
            sequence=sequence,
            message_number=flags & MESSAGE_NUMBER_MASK,
            timestamp=timestamp,
            destination=destination,
            boundary=flags >> 30,
            in_order=bool(flags & IN_ORDER_FLAG),
            key=(flags & KEY_MASK) >> KEY_SHIFT,
            is_retransmission=bool(flags & RETRANSMITTED_FLAG),
        )

    def encode(self) -> bytes:
        """The sixteen bytes of the header."""
        flags = (
            self.boundary << 30
            | (IN_ORDER_FLAG if self.in_order else 0)
            | self.key << KEY_SHIFT
            | (RETRANSMITTED_FLAG if self.is_retransmission else 0)
            | self.message_number
        )
        return DATA_HEADER.pack(self.sequence, flags, self.timestamp, self.destination)
