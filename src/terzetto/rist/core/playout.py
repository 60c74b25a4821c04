"""The recovery buffer: packets wait for their deadline, holes wait for repeats, and time never waits.

Packets are keyed by their endless sequence number, so nothing here wraps. The head is released when its deadline
has come; a hole at the head is given up when the next packet that did arrive becomes due, because from then on
waiting would only make more packets late.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, TypeAlias

from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist.events import RistPacket

__all__ = ["Inserted", "Playout", "Slot"]

# 16-bit sequences name at most this many packets at a time without ambiguity; with 32 bits memory sets the limit.
_CAPACITY: Final = {16: 65_535, 32: 524_288}

# By this many packets the first to arrive may have overtaken those before it.
_OVERTAKEN_AT_FIRST: Final = 128

# How many given-up sequences are remembered, only to tell a late packet from a duplicate in the statistics.
_REMEMBERED_HOLES: Final = 4096


Slot: TypeAlias = tuple[Micros, Micros, bytes, int]
"""A packet that waits: deadline, source time, payload, path (a plain tuple: one for every packet)."""


class Inserted(Enum):
    """What became of a packet that was offered."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    TOO_LATE = "too late"
    FULL = "full"


# What ``RistPacket(...)`` does, without its detour through Python.
_new_packet: Final = tuple.__new__


class Playout:
    """Holds packets of one flow until they are due and gives them out in order, each once."""

    def __init__(self, *, widest: int = _CAPACITY[32]) -> None:
        self._widest = widest
        self._capacity = _CAPACITY[16]
        self._slots: dict[int, Slot] = {}
        self._cursor: int | None = None
        self._released_any = False
        # The lowest buffered sequence when the head is a hole, found once a hole; None when not looked for.
        self._next_present: int | None = None
        self.last_deadline: Micros = 0
        """The deadline of the packet that left last."""
        self._holes: deque[int] = deque()
        self._hole_set: set[int] = set()

    @property
    def cursor(self) -> int | None:
        """The sequence that leaves next, None before the first packet."""
        return self._cursor

    @property
    def has_released(self) -> bool:
        """Whether anything has left, so that the beginning is settled."""
        return self._released_any

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._slots

    def widen(self, sequence_bits: int) -> None:
        """Hold as many packets as sequences of so many bits allow; with 32 as many as we were told to."""
        self._capacity = self._widest if sequence_bits == 32 else _CAPACITY[sequence_bits]

    def has_seen(self, sequence: int) -> bool:
        """Whether that packet waits, or its place in the order has gone by."""
        return sequence in self._slots or (self._cursor is not None and sequence < self._cursor)

    def waiting(self, sequence: int) -> Slot | None:
        """The packet of that sequence, where it waits."""
        return self._slots.get(sequence)

    def begin(self, sequence: int) -> None:
        """The flow's first packet is *sequence*."""
        self._cursor = sequence

    def insert(self, sequence: int, slot: Slot) -> Inserted:
        """Store a packet, unless it is there already or its place in the order has gone by."""
        cursor = self._cursor
        assert cursor is not None, "begin() comes first"
        slots = self._slots
        if sequence < cursor:
            if self._released_any or cursor - sequence > _OVERTAKEN_AT_FIRST:
                return Inserted.TOO_LATE if self._was_given_up(sequence) else Inserted.DUPLICATE
            self._cursor = sequence  # nothing has left yet: the beginning may still move back
        elif sequence in slots:
            return Inserted.DUPLICATE
        elif sequence - cursor > self._capacity:
            return Inserted.FULL
        slots[sequence] = slot
        if self._next_present is not None and sequence < self._next_present:
            self._next_present = sequence
        return Inserted.STORED

    def has_room(self, sequence: int) -> bool:
        """Whether *sequence* is not too far ahead of what leaves next."""
        return self._cursor is not None and sequence - self._cursor <= self._capacity

    def extend(self, sequence: int, slots: list[Slot]) -> None:
        """Store packets that advance the flow, consecutive from *sequence* on: the short way in for most."""
        self._slots.update(zip(range(sequence, sequence + len(slots)), slots, strict=True))

    def release(self, now: Micros, flow_id: int) -> list[RistPacket]:
        """Everything that is due, in order, each knowing how many before it are given up."""
        released: list[RistPacket] = []
        cursor = self._cursor
        if cursor is None:
            return released
        slots = self._slots
        lost = 0
        deadline = now
        while slots:
            slot = slots.get(cursor)
            if slot is None:
                present = self._first_present(cursor)
                if slots[present][0] > now:
                    break
                lost = present - cursor
                self._give_up(cursor, present)
                cursor = present
                continue
            deadline, source_time, payload, path = slot
            if deadline > now:
                break
            del slots[cursor]
            released.append(
                _new_packet(
                    RistPacket,
                    (payload, cursor, source_time / MICROS_PER_SECOND, flow_id, path, lost, 0, False),
                )
            )
            lost = 0
            cursor += 1
        if released:
            self._released_any = True
            self._next_present = None
            self.last_deadline = deadline
        self._cursor = cursor
        return released

    def next_deadline(self) -> Micros | None:
        """When `release` will have something to give."""
        if not self._slots or self._cursor is None:
            return None
        slot = self._slots.get(self._cursor)
        if slot is None:
            slot = self._slots[self._first_present(self._cursor)]
        return slot[0]

    def _first_present(self, cursor: int) -> int:
        if self._next_present is None or self._next_present < cursor:
            # Holes are short as a rule: step over one, and search all only where it is long.
            for sequence in range(cursor, cursor + 64):
                if sequence in self._slots:
                    self._next_present = sequence
                    return sequence
            self._next_present = min(self._slots)
        return self._next_present

    def _give_up(self, first: int, end: int) -> None:
        for sequence in range(max(first, end - _REMEMBERED_HOLES), end):
            self._holes.append(sequence)
            self._hole_set.add(sequence)
        while len(self._holes) > _REMEMBERED_HOLES:
            self._hole_set.discard(self._holes.popleft())

    def _was_given_up(self, sequence: int) -> bool:
        if sequence in self._hole_set:
            self._hole_set.discard(sequence)  # a second copy of it is a duplicate
            return True
        return False
