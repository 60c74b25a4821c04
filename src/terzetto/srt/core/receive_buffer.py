"""What has arrived and is not yet read.

Packets in order stand in a line and cost one append; only what arrives beyond a gap is looked up by
position. The *frontier* is the first position that is missing: all before it is in the line, delivered, or
given up.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros

__all__ = ["Entry", "ReceiveBuffer"]

_ACK_RESERVE: Final = 1


class Entry(NamedTuple):
    """A packet that waits; ``payload`` is None where it came and could not be decrypted."""

    play_at: Micros
    position: int
    flags: int
    """The second word of its header, which has its message number."""
    payload: Buffer | None


class ReceiveBuffer:
    """Bounded by *capacity* positions between the first unread packet and the last that fits."""

    __slots__ = ("ahead", "capacity", "frontier", "line", "read_position")

    def __init__(self, *, first: int, capacity: int) -> None:
        self.capacity = capacity
        self.frontier = first
        self.read_position = first
        """The first position not yet handed to the reader."""
        self.line: deque[tuple[Micros, int, int, Buffer]] = deque()
        self.ahead: dict[int, Entry] = {}

    @property
    def limit(self) -> int:
        """The first position that has no room."""
        return self.start + self.capacity

    @property
    def start(self) -> int:
        """Where the room that is taken begins."""
        return min(self.line[0][1], self.frontier) if self.line else self.frontier

    @property
    def room(self) -> int:
        """Packets that still fit, as an acknowledgement reports it."""
        return max(0, self.capacity - (self.frontier - self.start) - _ACK_RESERVE)

    def insert_ahead(self, entry: Entry) -> None:
        """Keep a packet that arrived beyond a gap."""
        self.ahead[entry.position] = entry

    def advance(self, frontier: int) -> None:
        """Move the frontier up to *frontier*, and on over everything that stands ready behind it."""
        ahead = self.ahead
        line = self.line
        while ahead:
            entry = ahead.pop(frontier, None)
            if entry is None:
                break
            if entry.payload is not None:
                line.append((entry.play_at, entry.position, entry.flags, entry.payload))
            frontier += 1
        self.frontier = frontier

    def take(self, now: Micros, limit: int) -> list[tuple[Micros, int, int, Buffer]]:
        """Up to *limit* packets that are due, in order."""
        line = self.line
        if not line or line[0][0] > now:
            return []
        if line[-1][0] <= now and len(line) <= limit:
            taken = list(line)
            line.clear()
        else:
            taken = []
            append = taken.append
            popleft = line.popleft
            while line and line[0][0] <= now and len(taken) < limit:
                append(popleft())
        self.read_position = taken[-1][1] + 1
        return taken

    def next_due(self) -> Micros | None:
        """When the first packet of the line is due."""
        return self.line[0][0] if self.line else None
