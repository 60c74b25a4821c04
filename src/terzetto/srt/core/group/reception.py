"""The packets of all members, each delivered once, in order, at its time.

Each member repairs its own losses. What one lacks and another has is taken from there, and the first is told not
to ask for it any more. Only what is missing everywhere when its successor is due was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.srt.core.receiver import Receiver

__all__ = ["Reception"]


class Reception:
    """Merges receivers; ``next`` is the position that nobody has been given yet."""

    def __init__(self, first: int) -> None:
        self.next = first
        self.delivered = 0
        self.skipped = 0
        """Packets that came on no member in time."""
        self.surplus = 0
        """Packets that came on one member after another had brought them."""

    def restart(self, first: int) -> None:
        """The peer begins anew, at *first*."""
        self.next = first

    def next_due(self) -> Micros | None:
        """Members tell by themselves when what they hold is due."""
        return None

    def frontier(self, receivers: Sequence[Receiver]) -> int:
        """The position below which nothing is missing any more, as far as these know."""
        return max([self.next, *(receiver.buffer.frontier for receiver in receivers)])

    def take(
        self, receivers: Sequence[Receiver], *, now: Micros, limit: int
    ) -> list[tuple[Micros, int, int, Buffer]]:
        """Up to *limit* packets that are due."""
        taken: list[tuple[Micros, int, int, Buffer]] = []
        while len(taken) < limit:
            self._catch_up(receivers)
            ready = [r for r in receivers if r.buffer.line and r.buffer.line[0][1] == self.next]
            source = max(ready, key=lambda r: r.buffer.frontier, default=None)
            if source is not None:
                fresh = self._take_run(source, now, limit - len(taken))
                if not fresh:
                    break
                taken += fresh
            elif not self._skip(receivers, now):
                break
        self._catch_up(receivers)
        self.delivered += len(taken)
        return taken

    def _take_run(self, source: Receiver, now: Micros, limit: int) -> list[tuple[Micros, int, int, Buffer]]:
        """What stands in line at *source* from the next position on, without a break."""
        line = source.buffer.line
        first = line[0][1]
        last = line[min(len(line), limit) - 1]
        if last[0] > now or last[1] - first != min(len(line), limit) - 1:
            limit = sum(
                1
                for _ in takewhile(
                    lambda pair: pair[1][0] <= now and pair[1][1] == first + pair[0], enumerate(line)
                )
            )
        taken = source.take(now, limit) if limit else []
        if taken:
            self.next = taken[-1][1] + 1
        return taken

    def _catch_up(self, receivers: Sequence[Receiver]) -> None:
        """Drop what has been delivered already."""
        position = self.next
        for receiver in receivers:
            receiver.advance(position)
            line = receiver.buffer.line
            if not line or line[0][1] >= position:
                continue
            if line[-1][1] < position:
                self.surplus += len(line)
                line.clear()
            while line and line[0][1] < position:
                line.popleft()
                self.surplus += 1

    def _skip(self, receivers: Sequence[Receiver], now: Micros) -> bool:
        """Nobody has the next packet: go on behind the gap, if what is there is due."""
        waiting = [first for receiver in receivers if (first := receiver.first_waiting()) is not None]
        due = [position for position, play_at in waiting if play_at <= now]
        if not due:
            return False
        position = min(due)
        self.skipped += position - self.next
        self.next = position
        for receiver in receivers:
            receiver.advance(position)
        return True
