"""What a silent path was given goes again by the others, before anybody asks.

Where several paths share the load, each carries packets that no other has. When one falls silent the receiver may
ask for what it swallowed, but not everybody asks by a path that still works: libRIST asks by the nearest one that its
session has not given up, which takes seconds. The sender knows sooner, and knows what it gave to whom.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Final, TypeAlias

from terzetto.primitives.time import MICROS_PER_MILLI, Micros

__all__ = ["Rescue"]

_Piece: TypeAlias = tuple[Micros, int, int]
"""When it was given away, its first sequence, and the one after its last."""

# A receiver's socket has room for a few dozen packets beside the media that goes on; whatever is owed, it should not
# take more than a fraction of the buffer.
_STEP: Final[Micros] = 5 * MICROS_PER_MILLI
_AT_ONCE: Final = 24
_MOST_STEPS: Final = 24


class Rescue:
    """Remembers which path carried what, and deals out what must go again."""

    def __init__(self, *, window: Micros) -> None:
        self._window = window
        self._carried: dict[int, deque[_Piece]] = {}
        self._owed: deque[int] = deque()
        self._at_once = _AT_ONCE
        self._due: Micros | None = None

    def carried(self, leg: int, first: int, end: int, *, now: Micros) -> None:
        """*leg* alone was given the packets from *first* to before *end*."""
        pieces = self._carried.get(leg)
        if pieces is None:
            pieces = self._carried[leg] = deque()
        elif pieces and pieces[0][0] < now - self._window:
            pieces.popleft()
            if pieces and pieces[0][0] < now - self._window:
                pieces.popleft()  # two for one, so that none stay for ever
        pieces.append((now, first, end))

    def carrier_of(self, sequence: int) -> int | None:
        """Which leg alone was given that packet, of late."""
        for leg, pieces in self._carried.items():
            index = bisect_right(pieces, sequence, key=_first) - 1
            if index >= 0 and sequence < pieces[index][2]:
                return leg
        return None

    def leave(self, leg: int) -> None:
        """*leg* says goodbye; what it was given it still carries."""
        self._carried.pop(leg, None)

    def doubt(self, leg: int, *, since: Micros | None, now: Micros) -> None:
        """Nothing tells that what *leg* was given from *since* on has arrived."""
        pieces = self._carried.get(leg)
        if not pieces:
            return
        horizon = now - self._window
        if since is not None and since > horizon:
            horizon = since
        for given_at, first, end in pieces:
            if given_at >= horizon:
                self._owed.extend(range(first, end))
        pieces.clear()
        self._at_once = max(_AT_ONCE, -(-len(self._owed) // _MOST_STEPS))
        if self._owed and self._due is None:
            self._due = now

    def next_timeout(self) -> Micros | None:
        """When to ask what is `due`."""
        return self._due

    def due(self, now: Micros) -> list[int]:
        """The sequences to send again now, the oldest first."""
        if self._due is None or now < self._due:
            return []
        owed = self._owed
        chosen = [owed.popleft() for _ in range(min(self._at_once, len(owed)))]
        self._due = now + _STEP if owed else None
        return chosen


def _first(piece: _Piece) -> int:
    return piece[1]
