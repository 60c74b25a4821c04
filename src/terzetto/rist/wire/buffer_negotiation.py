"""Buffer negotiation of libRIST (from 0.2.8): how long a sender can repeat, how long a receiver waits.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |    sender's longest, ms       |    receiver's present, ms     |
    |    protocol, 0 for all        |    which stream of it ...     |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple, Self

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = ["BufferNegotiation"]

_FIXED: Final = Struct("!HHH")


class BufferNegotiation(NamedTuple):
    """One message; 0 ms says that its author is no sender, or no receiver."""

    sender_max_ms: int = 0
    receiver_current_ms: int = 0
    protocol: int = 0
    """0 for the whole session, else the GRE protocol type of one stream."""
    scope: bytes = b""
    """Which stream: its virtual ports, or its IP and UDP headers."""

    @property
    def refusal(self) -> BufferNegotiation:
        """The answer of who does not negotiate single streams."""
        return self._replace(sender_max_ms=0, receiver_current_ms=0)

    def encode(self) -> bytes:
        """The message as it goes into the tunnel."""
        return _FIXED.pack(self.sender_max_ms, self.receiver_current_ms, self.protocol) + self.scope

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Read a message; MalformedPacket is the only way to fail."""
        if len(data) < _FIXED.size:
            raise MalformedPacket("buffer negotiation is truncated")
        sender_max_ms, receiver_current_ms, protocol = _FIXED.unpack_from(data)
        return cls(sender_max_ms, receiver_current_ms, protocol, bytes(data[_FIXED.size :]))
