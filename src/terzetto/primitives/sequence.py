"""Circular numbers: sequence numbers of a fixed width that start again at zero.

Inside, cores count with ordinary integers that never wrap; a number from the wire becomes one as soon as it
arrives, by taking the one nearest to a reference that is already known. Where that happens for every packet,
write it out with constants, as ``reference + ((value - reference + 0x8000) & 0xFFFF) - 0x8000``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SEQUENCE_16", "SEQUENCE_31", "SEQUENCE_32", "Circle"]


class Circle:
    """The numbers of *bits* bits, around which comparison and distance go the short way."""

    __slots__ = ("_half", "bits", "mask", "size")

    def __init__(self, bits: int) -> None:
        if bits < 1:
            raise ValueError(f"a circular number has at least one bit, not {bits}")
        self.bits: Final = bits
        self.size: Final = 1 << bits
        self.mask: Final = self.size - 1
        self._half: Final = self.size >> 1

    def __repr__(self) -> str:
        return f"Circle({self.bits})"

    def distance(self, start: int, end: int) -> int:
        """Steps from *start* to *end* the short way; negative when *end* lies before *start*.

        Two numbers half the circle apart lie before one another.
        """
        return ((end - start + self._half) & self.mask) - self._half

    def is_after(self, one: int, other: int) -> bool:
        """Whether *one* comes after *other*."""
        return 0 < ((one - other) & self.mask) < self._half

    def add(self, number: int, steps: int) -> int:
        """The number *steps* after *number*, or before it."""
        return (number + steps) & self.mask

    def unwrap(self, number: int, reference: int) -> int:
        """The integer nearest to *reference* that is *number* on the wire; near zero it may be negative."""
        return reference + ((number - reference + self._half) & self.mask) - self._half


SEQUENCE_16: Final = Circle(16)
"""RTP, and RIST's Simple and Main profiles."""

SEQUENCE_31: Final = Circle(31)
"""SRT packet sequence numbers."""

SEQUENCE_32: Final = Circle(32)
"""RIST's Advanced profile, and RTP timestamps."""
