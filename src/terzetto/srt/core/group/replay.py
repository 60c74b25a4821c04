"""What no member has acknowledged yet, kept for the member that takes over."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros

__all__ = ["Replay"]

# As many as a member's own send buffer takes by default.
_MOST_PACKETS: Final = 8192


class Replay:
    """Batches of payloads in order, each with the moment that it belongs to."""

    def __init__(self, first: int) -> None:
        self._batches: deque[tuple[int, Micros, Sequence[Buffer]]] = deque()
        self._end = first

    @property
    def start(self) -> int:
        """The first position that is kept."""
        return self._batches[0][0] if self._batches else self._end

    def add(self, position: int, payloads: Sequence[Buffer], *, origin: Micros) -> None:
        """Keep a batch that begins at *position*."""
        self._batches.append((position, origin, payloads))
        self._end = position + len(payloads)
        while self._end - self.start > _MOST_PACKETS and len(self._batches) > 1:
            self._batches.popleft()

    def forget(self, position: int, *, before: Micros) -> None:
        """Batches that lie wholly below *position*, or belong to a moment *before*, are of no use any more."""
        batches = self._batches
        while batches and (batches[0][0] + len(batches[0][2]) <= position or batches[0][1] < before):
            batches.popleft()

    def since(self, position: int) -> Iterator[tuple[Micros, Sequence[Buffer]]]:
        """What there is from *position* on."""
        for first, origin, payloads in self._batches:
            if first + len(payloads) > position:
                yield origin, payloads[max(0, position - first) :]
