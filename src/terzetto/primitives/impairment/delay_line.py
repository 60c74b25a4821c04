"""Datagrams on their way: what a link has taken in and not yet let go, and a tally of their fates."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final

import attrs

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.impairment.conditions import LinkConditions
from terzetto.primitives.impairment.machine import Drop, LinkMachine
from terzetto.primitives.time import Micros

__all__ = ["NO_FATES", "DelayLine", "Fates"]

# Five seconds of 100 Mbit/s. A link without a queue limit would otherwise take all the memory there is.
_CAPACITY: Final = 64 << 20


@attrs.frozen(kw_only=True)
class Fates:
    """What became of the datagrams that entered a link.

    ``received + duplicated`` is ``passed + lost + queue_full + too_big + partitioned + no_room + waiting``.
    """

    received: int = 0
    """Datagrams that entered."""
    passed: int = 0
    """Copies that left at the far end."""
    lost: int = 0
    queue_full: int = 0
    too_big: int = 0
    partitioned: int = 0
    no_room: int = 0
    """Dropped because the simulation itself may not take more memory; no fate of a real link."""
    duplicated: int = 0
    """Second copies that were made."""
    reordered: int = 0
    """Copies that left after one that had entered later; they are among those that passed."""
    corrupted: int = 0
    """Datagrams that had a bit flipped; they travel on."""
    waiting: int = 0
    """Copies that are on their way."""
    bytes_received: int = 0
    bytes_passed: int = 0

    @property
    def dropped(self) -> int:
        """Everything that entered and will not leave."""
        return self.lost + self.queue_full + self.too_big + self.partitioned + self.no_room

    def __add__(self, other: Fates) -> Fates:
        theirs = attrs.asdict(other)
        return Fates(**{name: value + theirs[name] for name, value in attrs.asdict(self).items()})


NO_FATES: Final = Fates()


class DelayLine:
    """One link and what travels on it: runs of datagrams go in, those that are due come out.

    At most *capacity* bytes travel at a time; what does not fit is dropped and counted as ``no_room``.
    """

    __slots__ = (
        "_bytes_passed",
        "_bytes_received",
        "_capacity",
        "_corrupted",
        "_drops",
        "_duplicated",
        "_heap",
        "_highest",
        "_machine",
        "_octets",
        "_passed",
        "_received",
        "_reordered",
        "_unsent",
    )

    def __init__(self, machine: LinkMachine, *, capacity: int = _CAPACITY) -> None:
        self._machine = machine
        self._capacity = capacity
        # A datagram's number breaks ties in favour of the earlier one and tells who was overtaken.
        self._heap: list[tuple[Micros, int, Buffer]] = []
        self._unsent: list[Buffer] = []
        self._octets = 0
        self._highest = 0
        self._received = self._passed = self._bytes_received = self._bytes_passed = 0
        self._duplicated = self._reordered = self._corrupted = 0
        self._drops: dict[Drop | None, int] = {}

    def offer(self, datagrams: Sequence[Buffer], *, now: Micros) -> None:
        """Let *datagrams* enter the link at *now*."""
        offer, heap, number = self._machine.offer, self._heap, self._received
        entered = travelling = 0
        for datagram in datagrams:
            number += 1
            size = len(datagram)
            entered += size
            passage = offer(datagram, now=now)
            if isinstance(passage, Drop):
                self._drops[passage] = self._drops.get(passage, 0) + 1
                continue
            if self._octets + travelling + size * len(passage) > self._capacity:
                self._drops[None] = self._drops.get(None, 0) + 1
                continue
            if len(passage) > 1:
                self._duplicated += len(passage) - 1
            if passage[0].datagram is not datagram:
                self._corrupted += 1
            for arrival in passage:
                travelling += size
                # Nearly always the latest of all, for which a heap has next to nothing to do.
                heappush(heap, (arrival.at, number, arrival.datagram))
        self._received = number
        self._octets += travelling
        self._bytes_received += entered

    def take_due(self, now: Micros) -> list[Buffer]:
        """What arrives at the far end by *now*, in the order of arrival."""
        heap = self._heap
        due, self._unsent = self._unsent, []
        if heap and heap[0][0] <= now:
            highest, octets = self._highest, 0
            taken = len(due)
            while heap and heap[0][0] <= now:
                _at, number, datagram = heappop(heap)
                if number < highest:
                    self._reordered += 1
                else:
                    highest = number
                due.append(datagram)
                octets += len(datagram)
            self._highest = highest
            self._passed += len(due) - taken
            self._octets -= octets
            self._bytes_passed += octets
        return due

    def put_back(self, datagrams: Sequence[Buffer]) -> None:
        """Return the last of what `take_due` gave, which could not be sent yet; it is due at once."""
        self._unsent = [*datagrams, *self._unsent]

    def change(self, conditions: LinkConditions) -> None:
        """Go on under other conditions; what travels arrives as it would have."""
        self._machine.change(conditions)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._heap and not self._unsent

    def next_due(self) -> Micros | None:
        """When to call `take_due` next, or None when nothing is on its way; 0 is at once."""
        if self._unsent:
            return 0
        return self._heap[0][0] if self._heap else None

    def fates(self) -> Fates:
        """The tally so far."""
        drops = self._drops
        unsent = len(self._unsent)
        return Fates(
            received=self._received,
            passed=self._passed - unsent,
            lost=drops.get(Drop.LOST, 0),
            queue_full=drops.get(Drop.QUEUE_FULL, 0),
            too_big=drops.get(Drop.TOO_BIG, 0),
            partitioned=drops.get(Drop.PARTITIONED, 0),
            no_room=drops.get(None, 0),
            duplicated=self._duplicated,
            reordered=self._reordered,
            corrupted=self._corrupted,
            waiting=len(self._heap) + unsent,
            bytes_received=self._bytes_received,
            bytes_passed=self._bytes_passed - sum(map(len, self._unsent)),
        )
