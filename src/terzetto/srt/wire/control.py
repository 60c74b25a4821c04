"""The header that control packets share, and the packets that consist of nothing else.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-----------------------------+-------------------------------+
    |1|        control type         |            subtype            |
    +-+-----------------------------+-------------------------------+
    |                   type-specific information                   |
    +---------------------------------------------------------------+
    |                    timestamp (microseconds)                   |
    +---------------------------------------------------------------+
    |                     destination socket id                     |
    +---------------------------------------------------------------+
    |               control information field (CIF) ...             |
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.wire.data import HEADER_SIZE

__all__ = ["PADDING", "ControlHeader", "ControlType", "ExtensionSubtype", "encode_control"]

_HEADER: Final = struct.Struct("!HHIII")

PADDING: Final = bytes(4)
"""libsrt sends four zero bytes where a type has no CIF, and so do we: middleboxes have seen nothing else."""


class ControlType(IntEnum):
    """The fifteen bits after the control bit."""

    HANDSHAKE = 0
    KEEPALIVE = 1
    ACK = 2
    NAK = 3
    CONGESTION_WARNING = 4
    SHUTDOWN = 5
    ACKACK = 6
    DROPREQ = 7
    PEERERROR = 8
    EXTENSION = 0x7FFF
    """User-defined; the subtype says what it is."""


class ExtensionSubtype(IntEnum):
    """What a control packet of type `ControlType.EXTENSION` carries."""

    HSREQ = 1
    HSRSP = 2
    KMREQ = 3
    KMRSP = 4


class ControlHeader(NamedTuple):
    """What a control packet says about itself."""

    kind: int
    """A `ControlType`, or a number we do not know."""
    subtype: int
    information: int
    timestamp: int
    destination: int

    @classmethod
    def decode(cls, data: Buffer) -> ControlHeader:
        """Parse bytes from the network; `MalformedPacket` is the only way to fail."""
        if len(data) < HEADER_SIZE:
            raise MalformedPacket("control packet is truncated")
        if len(data) % 4:
            raise MalformedPacket("control packet is not whole words")
        kind, subtype, information, timestamp, destination = _HEADER.unpack_from(data)
        if not kind & 0x8000:
            raise MalformedPacket("not a control packet")
        return cls(kind & 0x7FFF, subtype, information, timestamp, destination)


def encode_control(
    kind: ControlType,
    *,
    timestamp: int,
    destination: int,
    information: int = 0,
    subtype: int = 0,
    body: bytes = PADDING,
) -> bytes:
    """A whole control packet; *timestamp* may be any number of microseconds, its low 32 bits travel."""
    header = _HEADER.pack(0x8000 | kind, subtype, information, timestamp & 0xFFFF_FFFF, destination)
    return header + body
