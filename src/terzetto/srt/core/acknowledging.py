"""When a receiver acknowledges, and what it remembers in order to measure the round trip."""

from __future__ import annotations

from enum import Enum
from typing import Final

from terzetto.primitives.time import Micros

__all__ = ["ACK_PERIOD", "LIGHT_ACK_PACKETS", "AckKind", "AckSchedule"]

ACK_PERIOD: Final = 10_000
LIGHT_ACK_PACKETS: Final = 64

# As many as libsrt keeps: ten seconds of acknowledgements without one answer.
_MOST_RECORDS: Final = 1024


class AckKind(Enum):
    """How much an acknowledgement says."""

    NONE = 0
    LIGHT = 1
    SMALL = 2
    FULL = 3


class AckSchedule:
    """Decides on acknowledgements, numbers them, and matches their answers."""

    __slots__ = (
        "_confirmed",
        "_last_full_at",
        "_last_position",
        "_last_sent_at",
        "_number",
        "_packets",
        "_records",
        "_was_full",
        "due_at",
    )

    def __init__(self, *, first: int) -> None:
        self._number = 0
        self._last_position = first
        self._confirmed = first
        self._last_sent_at: Micros = 0
        self._last_full_at: Micros = 0
        self._packets = 0
        self._was_full = False
        self._records: dict[int, tuple[int, Micros]] = {}
        self.due_at: Micros | None = None
        """When to ask `decide` next; None while there is nothing to say."""

    def arrived(self, count: int, *, now: Micros) -> bool:
        """Data came; whether a light acknowledgement is due."""
        if self.due_at is None:
            self.due_at = now + ACK_PERIOD
        before = self._packets // LIGHT_ACK_PACKETS
        self._packets += count
        return self._packets // LIGHT_ACK_PACKETS > before

    def reopened(self, *, now: Micros) -> None:
        """The reader made room; the sender hears of it at once if it believes that there is none."""
        if self._was_full:
            self.due_at = now

    def light(self, position: int) -> bool:
        """Whether a light acknowledgement of *position* tells anything new."""
        return position > self._last_position

    def decide(
        self, position: int, room: int, *, patience: Micros, is_measured: bool, now: Micros
    ) -> AckKind:
        """The timer fired: what to send for *position*, with *room* packets of buffer left.

        Until the round trip is measured every chance to measure is taken, whether there is news or not: under
        heavy loss all other timers wait three times too long before they know it.
        """
        self._packets = 0
        self.due_at = None
        is_reopening = (self._was_full and room > 0) or not is_measured
        if position == self._confirmed and not is_reopening:
            return AckKind.NONE
        # Unconfirmed, or the answer was lost: look again even if no data comes.
        self.due_at = now + ACK_PERIOD
        if position <= self._last_position and not is_reopening and now - self._last_sent_at < patience:
            return AckKind.NONE
        self._last_position = max(self._last_position, position)
        kind = AckKind.FULL if now - self._last_full_at >= ACK_PERIOD else AckKind.SMALL
        self._was_full = room == 0
        return kind

    def sent(self, kind: AckKind, position: int, *, now: Micros) -> int:
        """Number an acknowledgement that leaves now."""
        self._number = (self._number + 1) & 0x7FFF_FFFF
        self._last_sent_at = now
        if kind is AckKind.FULL:
            self._last_full_at = now
        records = self._records
        if len(records) >= _MOST_RECORDS:
            del records[next(iter(records))]
        records[self._number] = (position, now)
        return self._number

    def confirmed(self, number: int, *, now: Micros) -> Micros | None:
        """The peer answered acknowledgement *number*: the round trip, or None when we know nothing of it."""
        record = self._records.pop(number, None)
        if record is None:
            return None
        position, sent_at = record
        self._confirmed = max(self._confirmed, position)
        for older in list(self._records):
            if self._records[older][1] > sent_at:
                break
            del self._records[older]
        return now - sent_at
