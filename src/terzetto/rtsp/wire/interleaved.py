"""RTP and RTCP inside the control connection (RFC 2326, section 10.12).

::

    0        8         16                 32
    | 0x24   | channel | length           |  one RTP or one compound RTCP packet
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from terzetto.primitives.datagrams import Buffer

__all__ = ["FRAME_HEADER", "FRAME_HEADER_SIZE", "MAX_FRAME", "Frame", "encode_frames"]

FRAME_HEADER: Final = Struct("!BBH")
FRAME_HEADER_SIZE: Final = 4
MAX_FRAME: Final = 0xFFFF
DOLLAR: Final = 0x24


class Frame(NamedTuple):
    """One packet and the channel it came by: even is RTP, odd RTCP, by custom."""

    channel: int
    data: bytes


def encode_frames(channel: int, packets: Sequence[Buffer]) -> bytes:
    """Several packets of one channel as one piece of the stream, made once for however many readers."""
    pack = FRAME_HEADER.pack
    parts: list[Buffer] = []
    for packet in packets:
        parts.append(pack(DOLLAR, channel, len(packet)))
        parts.append(packet)
    return b"".join(parts)
