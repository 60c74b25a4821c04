"""Bits of a parameter set, one field after the other."""

from __future__ import annotations

from typing import Final

from terzetto.errors import MalformedPacket

__all__ = ["BitReader", "without_emulation"]

# An Exp-Golomb code with more leading zeros stands for no number that any parameter set has.
_LONGEST_PREFIX: Final = 31


def without_emulation(unit: bytes) -> bytes:
    """A NAL unit without the bytes that keep start codes from appearing by chance."""
    return unit.replace(b"\0\0\3", b"\0\0")


class BitReader:
    """Reads *data* from its first bit; MalformedPacket at its end."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next *count* bits as a number."""
        self._left -= count
        if self._left < 0:
            raise MalformedPacket("parameter set is truncated")
        return self._bits >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        """The next bit."""
        return self.take(1) == 1

    def unsigned(self) -> int:
        """The next Exp-Golomb code, ``ue(v)``."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > _LONGEST_PREFIX:
                raise MalformedPacket("parameter set makes no sense")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """The next signed Exp-Golomb code, ``se(v)``."""
        code = self.unsigned()
        return (code + 1) // 2 if code & 1 else -(code // 2)
