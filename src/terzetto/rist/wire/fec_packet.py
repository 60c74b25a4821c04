"""What an FEC packet says, whichever of the two headers it has."""

from __future__ import annotations

from typing import Final, NamedTuple

from terzetto.primitives.datagrams import Buffer

__all__ = ["PARITY_TYPE", "FecPacket"]

PARITY_TYPE: Final = 96
"""The RTP payload type that everybody gives to FEC packets."""


class FecPacket(NamedTuple):
    """The XOR of ``number`` media packets, the first of them ``base``, each ``offset`` after the one before.

    Sums of header fields are XORs as well.
    """

    base: int
    """The lowest bits of the first sequence number: 24 in ST 2022-1, 16 in ST 2022-5."""
    offset: int
    number: int
    timestamp: int
    length: int
    """Of everything behind the twelve bytes of the RTP header."""
    body: Buffer
    """Of the same, as long as the longest."""
    is_row: bool
    header: int = 0
    """Of the first sixteen bits of the RTP headers; which of them count differs between the two."""
