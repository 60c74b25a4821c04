"""The XOR of several packets.

A payload counts as one large integer, its first byte the lowest: shorter payloads are then padded with zeros for
nothing, and a packet costs one conversion and one XOR of machine words instead of a loop over bytes. What else must
be recovered (timestamps, types) is up to the protocol and travels as one integer, ``fields``; the payload's length
is always recovered.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.fec.layout import Line

__all__ = ["Parity", "Sum"]

_LENGTH_BITS: Final = 16
_LENGTH_MASK: Final = (1 << _LENGTH_BITS) - 1

_from_bytes: Final = int.from_bytes


class Parity(NamedTuple):
    """The sum of all packets of a line."""

    line: Line
    fields: int
    length: int
    """The XOR of the payloads' lengths."""
    body: Buffer
    """The XOR of the payloads, as long as the longest."""


class Sum:
    """A sum in the making."""

    __slots__ = ("body", "count", "fields", "longest")

    def __init__(self) -> None:
        self.fields = 0
        self.body = 0
        self.longest = 0
        self.count = 0

    def add(self, payload: Buffer, fields: int) -> None:
        """Add one packet."""
        self.add_number(_from_bytes(payload, "little"), len(payload), fields)

    def add_number(self, number: int, length: int, fields: int) -> None:
        """Add one packet whose payload was made a number already, as a packet of two lines is."""
        self.body ^= number
        self.fields ^= fields << _LENGTH_BITS | length
        if length > self.longest:
            self.longest = length
        self.count += 1

    def add_parity(self, parity: Parity) -> None:
        """Add a whole line; adding its members but one as well leaves that one."""
        self.body ^= _from_bytes(parity.body, "little")
        self.fields ^= parity.fields << _LENGTH_BITS | parity.length

    def parity(self, line: Line) -> Parity:
        """The finished sum."""
        return Parity(
            line,
            self.fields >> _LENGTH_BITS,
            self.fields & _LENGTH_MASK,
            self.body.to_bytes(self.longest, "little"),
        )

    def remainder(self, most: int) -> tuple[bytes, int] | None:
        """The one packet that is left, payload and fields; None when it cannot be one.

        It cannot when it is longer than *most* bytes, or when something stands behind its end, where every packet
        was padded with zeros.
        """
        length = self.fields & _LENGTH_MASK
        if length > most or self.body.bit_length() > 8 * length:
            return None
        return self.body.to_bytes(length, "little"), self.fields >> _LENGTH_BITS
