"""The drop request: "do not wait for these packets, they will never come".

::

    +-+-------------------------------------------------------------+
    |0|                 first sequence number                       |
    +-+-------------------------------------------------------------+
    |0|            last sequence number, included                   |
    +-+-------------------------------------------------------------+
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.wire.numbers import SEQUENCE_MASK, sequence_distance

__all__ = ["DropRequest"]

_BODY: Final = struct.Struct("!II")


class DropRequest(NamedTuple):
    """A range of sequence numbers that the sender has given up; the message number travels in the header."""

    first: int
    last: int

    @classmethod
    def decode(cls, body: Buffer) -> DropRequest:
        """Parse a CIF; `MalformedPacket` is the only way to fail."""
        if len(body) < _BODY.size:
            raise MalformedPacket("drop request is truncated")
        first, last = _BODY.unpack_from(body)
        if first > SEQUENCE_MASK or last > SEQUENCE_MASK or sequence_distance(first, last) < 0:
            raise MalformedPacket("drop request runs backwards")
        return cls(first, last)

    def encode(self) -> bytes:
        """The CIF."""
        return _BODY.pack(self.first, self.last)
