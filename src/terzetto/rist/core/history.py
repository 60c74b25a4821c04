"""What a sender remembers so that it can repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros

__all__ = ["History", "Sent"]

# More packets than a 16-bit sequence can name cannot be asked for; with 32 bits memory sets the limit.
_CAPACITY: Final = {16: 65_535, 32: 524_288}


Sent: TypeAlias = tuple[Micros, int, Buffer]
"""An original packet: when it was sent, its timestamp, its payload (a plain tuple: one for every packet)."""


class History:
    """The originals of the last *window*, by their endless sequence."""

    def __init__(self, *, window: Micros, sequence_bits: int, widest: int = _CAPACITY[32]) -> None:
        self._window = window
        self._mask = (1 << sequence_bits) - 1
        self._capacity = widest if sequence_bits == 32 else _CAPACITY[sequence_bits]
        self._packets: dict[int, Sent] = {}
        self._oldest = 0
        self.next_sequence = 0

    def __len__(self) -> int:
        return len(self._packets)

    def append(self, payloads: Sequence[Buffer], *, timestamp: int, now: Micros) -> int:
        """Remember *payloads* as sent now; returns the sequence of the first."""
        first = sequence = self.next_sequence
        packets = self._packets
        for payload in payloads:
            packets[sequence] = (now, timestamp, payload)
            sequence += 1
        self.next_sequence = sequence
        self._expire(now)
        return first

    def find(self, circular: int, *, sequence_bits: int = 32) -> tuple[int, Sent] | None:
        """The packet that a receiver means by a sequence number off the wire, which says so many bits of it."""
        newest = self.next_sequence - 1
        sequence = newest - ((newest - circular) & self._mask & ((1 << sequence_bits) - 1))
        packet = self._packets.get(sequence)
        return None if packet is None else (sequence, packet)

    def newest(self) -> tuple[int, Sent] | None:
        """The packet sent last."""
        packet = self._packets.get(self.next_sequence - 1)
        return None if packet is None else (self.next_sequence - 1, packet)

    def _expire(self, now: Micros) -> None:
        packets = self._packets
        horizon = now - self._window
        oldest = self._oldest
        while packets:
            packet = packets.get(oldest)
            if packet is not None:
                if packet[0] >= horizon and len(packets) <= self._capacity:
                    break
                del packets[oldest]
            oldest += 1
        self._oldest = oldest
