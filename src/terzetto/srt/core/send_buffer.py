"""What was handed in and is not yet acknowledged, as the very bytes that travel."""

from __future__ import annotations

from collections import deque
from typing import Final

from terzetto.primitives.time import Micros

__all__ = ["SendBuffer"]

_FLAGS_BYTE: Final = 4
_RETRANSMITTED: Final = 0x04


class SendBuffer:
    """A window of positions: ``base`` to ``unsent`` are in flight, ``unsent`` to ``end`` have never left.

    A list, because the middle is looked up for repeats; acknowledgements cut its front a hundred times a
    second, which moves a few thousand pointers at most.
    """

    __slots__ = ("_origins", "base", "capacity", "packets", "unsent")

    def __init__(self, *, first: int, capacity: int) -> None:
        self.packets: list[bytes] = []
        self.base = first
        self.unsent = first
        self.capacity = capacity
        self._origins: deque[tuple[int, Micros]] = deque()

    @property
    def end(self) -> int:
        """The position of the next packet to be handed in."""
        return self.base + len(self.packets)

    @property
    def room(self) -> int:
        """Packets that still fit."""
        return self.capacity - len(self.packets)

    @property
    def in_flight(self) -> int:
        """Packets that left and are not acknowledged."""
        return self.unsent - self.base

    @property
    def oldest(self) -> Micros | None:
        """When the oldest packet was handed in."""
        return self._origins[0][1] if self._origins else None

    @property
    def newest(self) -> Micros | None:
        """When the newest packet was handed in."""
        return self._origins[-1][1] if self._origins else None

    def extend(self, packets: list[bytes], *, origin: Micros) -> None:
        """Append a batch that was handed in at *origin*."""
        self.packets += packets
        self._origins.append((self.end, origin))

    def restart(self, position: int) -> None:
        """Go on elsewhere; only where nothing waits."""
        self.base = self.unsent = position

    def next_originals(self, most: int) -> list[bytes]:
        """Up to *most* packets that have never left; they count as sent from here on."""
        start = self.unsent - self.base
        batch = self.packets[start : start + most]
        self.unsent += len(batch)
        return batch

    def repeat(self, position: int, *, flagged: bool) -> bytes:
        """The packet at *position*, marked as a repeat where the peer knows the mark."""
        index = position - self.base
        packet = self.packets[index]
        if flagged and not packet[_FLAGS_BYTE] & _RETRANSMITTED:
            marked = bytearray(packet)
            marked[_FLAGS_BYTE] |= _RETRANSMITTED
            packet = self.packets[index] = bytes(marked)
        return packet

    def release(self, position: int) -> int:
        """Forget everything below *position*; how many packets that were."""
        count = position - self.base
        del self.packets[:count]
        self.base = position
        self.unsent = max(self.unsent, position)
        origins = self._origins
        while origins and origins[0][0] <= position:
            origins.popleft()
        return count

    def handed_in_before(self, moment: Micros) -> int:
        """The position after the last packet that was handed in before *moment*."""
        position = self.base
        for end, origin in self._origins:
            if origin >= moment:
                break
            position = end
        return position
