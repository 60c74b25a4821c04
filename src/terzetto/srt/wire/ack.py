"""The acknowledgement: what arrived, how far away the peer is, how much room and bandwidth there is.

Three sizes travel. *Light* (one word) frees the sender's buffer; *small* (four) adds round-trip time and
room; *full* (seven) adds rates. A word that did not travel is None, never zero.

::

    +-+-------------------------------------------------------------+
    |0|      first sequence number not yet received (31 bits)       |  light ends here
    +-+-------------------------------------------------------------+
    |                 round-trip time (microseconds)                |
    +---------------------------------------------------------------+
    |            round-trip time variance (microseconds)            |
    +---------------------------------------------------------------+
    |              available receive buffer (packets)               |  small ends here
    +---------------------------------------------------------------+
    |                receiving rate (packets per second)            |
    +---------------------------------------------------------------+
    |            estimated link capacity (packets per second)       |
    +---------------------------------------------------------------+
    |                 receiving rate (bytes per second)             |  full ends here
    +---------------------------------------------------------------+
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.wire.numbers import SEQUENCE_MASK

__all__ = ["LARGEST_ROUND_TRIP", "Acknowledgement"]

# Beyond thirty seconds nobody watches; a figure outside is an attack on our timers or a broken clock.
LARGEST_ROUND_TRIP: Final = 30_000_000

# Peers of version 1.0.2 append one more word; it is not for us.
_MOST_WORDS: Final = 8


class Acknowledgement(NamedTuple):
    """One ACK's control information."""

    sequence: int
    round_trip: int | None = None
    round_trip_variance: int | None = None
    available_buffer: int | None = None
    receive_packet_rate: int | None = None
    link_capacity: int | None = None
    receive_byte_rate: int | None = None

    @classmethod
    def decode(cls, body: Buffer) -> Acknowledgement:
        """Parse a CIF; `MalformedPacket` is the only way to fail."""
        size = len(body)
        if size < 4 or size % 4 or size > 4 * _MOST_WORDS:
            raise MalformedPacket("acknowledgement has an odd size")
        words = struct.unpack_from(f"!{min(size // 4, 7)}I", body)
        if words[0] > SEQUENCE_MASK:
            raise MalformedPacket("acknowledgement of no sequence number")
        if len(words) < 4:
            return cls(words[0])
        if not 0 < words[1] < LARGEST_ROUND_TRIP or words[2] >= LARGEST_ROUND_TRIP:
            return cls(words[0], None, None, *words[3:])
        return cls(*words)

    def encode(self) -> bytes:
        """The CIF, as long as the fields that are set."""
        words = [self.sequence]
        for word in self[1:]:
            if word is None:
                break
            words.append(word)
        return struct.pack(f"!{len(words)}I", *words)
