"""The parts of a stream that the members of a balancing group brought, put in order again.

On each member sequence numbers run without a break, so each finds and repairs its own losses. The place of a
packet in the stream is in its message number, which counts over all members. What a member did not deliver comes
again on another one with the same number, and the second copy is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.srt.core.receiver import Receiver
from terzetto.srt.wire.data import MESSAGE_NUMBER_MASK

__all__ = ["BalancedReception", "message_number"]

# Places are numbered modulo a power of two, as sequence numbers are, so that a member's first sequence number
# tells where the stream stands; and from 1, since 0 is no message number.
_PLACES: Final = 1 << 25

# No more wait for their time, or for one before them, than two members' receive buffers take by default.
_MOST_WAITING: Final = 16384


def message_number(position: int) -> int:
    """What a packet of the stream carries as its message number."""
    return position % _PLACES + 1


class BalancedReception:
    """Merges the parts; ``next`` is the position that nobody has been given yet."""

    def __init__(self, first: int) -> None:
        self.next = first
        self.delivered = 0
        self.skipped = 0
        """Packets that came on no member in time."""
        self.surplus = 0
        """Packets that came twice, or when their time was over, or from nowhere near."""
        self._waiting: dict[int, tuple[Micros, Buffer]] = {}

    def restart(self, first: int) -> None:
        """The peer begins anew, at *first*."""
        self.next = first
        self._waiting.clear()

    def next_due(self) -> Micros | None:
        """When the next packet that is here is due."""
        waiting = self._waiting
        if not waiting:
            return None
        return waiting[self.next if self.next in waiting else min(waiting)][0]

    def take(
        self, receivers: Sequence[Receiver], *, now: Micros, limit: int
    ) -> list[tuple[Micros, int, int, Buffer]]:
        """Up to *limit* packets that are due."""
        for receiver in receivers:
            self._gather(receiver)
        waiting = self._waiting
        taken: list[tuple[Micros, int, int, Buffer]] = []
        while waiting and len(taken) < limit:
            position = self.next if self.next in waiting else min(waiting)
            play_at, payload = waiting[position]
            if play_at > now:
                break
            # What has not come when its successor is due is too late on every member.
            self.skipped += position - self.next
            del waiting[position]
            taken.append((play_at, position, 0, payload))
            self.next = position + 1
        self.delivered += len(taken)
        return taken

    def _gather(self, receiver: Receiver) -> None:
        waiting = self._waiting
        line = receiver.buffer.line
        while line and len(waiting) < _MOST_WAITING:
            play_at, _, flags, payload = line.popleft()
            ahead = ((flags & MESSAGE_NUMBER_MASK) - 1 - self.next) % _PLACES
            position = self.next + ahead
            if ahead >= _PLACES // 2 or position in waiting:
                self.surplus += 1
            else:
                waiting[position] = (play_at, payload)
        if not line:
            receiver.soonest = None
