"""The state of one link: a datagram goes in, arrivals or a named drop come out."""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, TypeAlias

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.impairment.conditions import LinkConditions
from terzetto.primitives.impairment.loss import Judge, RandomSource
from terzetto.primitives.time import MICROS_PER_SECOND, Micros, micros

__all__ = ["IPV4_HEADERS", "IPV6_HEADERS", "Arrival", "Drop", "LinkMachine", "Passage"]

IPV4_HEADERS: Final = 28
"""Bytes of IPv4 and UDP headers that a datagram also takes on the wire."""

IPV6_HEADERS: Final = 48
"""Bytes of IPv6 and UDP headers that a datagram also takes on the wire."""


class Drop(enum.Enum):
    """Why a datagram did not pass a link."""

    LOST = "lost"
    QUEUE_FULL = "queue full"
    TOO_BIG = "too big"
    PARTITIONED = "partitioned"


class Arrival(NamedTuple):
    """One copy of a datagram at the far end."""

    at: Micros
    datagram: Buffer


Passage: TypeAlias = list[Arrival] | Drop


class LinkMachine:
    """One direction of one path under *conditions*, drawing its luck from *source*.

    *headers* is what each datagram takes beside its own bytes, for the rate and the MTU.
    """

    __slots__ = (
        "_busy_until",
        "_conditions",
        "_corrupt",
        "_delay",
        "_duplicate",
        "_headers",
        "_jitter",
        "_judges",
        "_last_arrival",
        "_longest",
        "_plain",
        "_queue_us",
        "_random",
        "_reorder",
        "_reorder_by",
        "_source",
        "_us_per_byte",
    )

    def __init__(
        self, conditions: LinkConditions, source: RandomSource, *, headers: int = IPV4_HEADERS
    ) -> None:
        self._headers = headers
        self._source = source
        self._random = source.random
        self._judges: tuple[Judge, ...] = ()
        self._busy_until = 0.0
        self._last_arrival: Micros = 0
        self._conditions: LinkConditions | None = None
        self.change(conditions)

    @property
    def conditions(self) -> LinkConditions:
        """What the link does at present."""
        assert self._conditions is not None
        return self._conditions

    def change(self, conditions: LinkConditions) -> None:
        """Go on under other conditions.

        What passed already arrives as it would have. Loss models start afresh where they differ from before, and
        keep their place in a burst or a script where they are the same.
        """
        before = self._conditions
        self._conditions = conditions
        if before is None or before.loss != conditions.loss:
            self._judges = tuple(model.start(self._source) for model in conditions.loss)
        # Unpacked once: nothing on the path of a packet looks at the description.
        self._delay = micros(conditions.delay - conditions.jitter)
        self._jitter = 2 * conditions.jitter * MICROS_PER_SECOND
        self._reorder = conditions.reorder
        self._reorder_by = micros(conditions.reorder_by)
        self._duplicate = conditions.duplicate
        self._corrupt = conditions.corrupt
        self._us_per_byte = 8 * MICROS_PER_SECOND / conditions.rate if conditions.rate else 0.0
        self._queue_us = float("inf") if conditions.queue is None else conditions.queue * self._us_per_byte
        self._longest = float("inf") if conditions.mtu is None else conditions.mtu
        self._plain = not (conditions.reorder or conditions.duplicate or conditions.corrupt)

    def offer(self, datagram: Buffer, *, now: Micros, headers: int | None = None) -> Passage:
        """Let *datagram* enter the link at *now*; its arrivals, earliest first, or why there are none.

        *headers*, where given, are this one's, on links that both families share.
        """
        if headers is None:
            headers = self._headers
        conditions = self._conditions
        if not conditions.up:  # type: ignore[union-attr]
            return Drop.PARTITIONED
        if len(datagram) + headers > self._longest:
            return Drop.TOO_BIG
        for judge in self._judges:
            if judge(datagram):
                return Drop.LOST
        departure = now
        if self._us_per_byte:
            queued = self._busy_until - now
            size = (len(datagram) + headers) * self._us_per_byte
            if queued <= 0:
                # The wire is free: what is being sent occupies no place in the queue.
                self._busy_until = now + size
            elif queued + size > self._queue_us:
                return Drop.QUEUE_FULL
            else:
                self._busy_until += size
            departure = round(self._busy_until)
        arrival = departure + self._delay
        if self._jitter:
            arrival += int(self._random() * self._jitter)
        if self._plain:
            if arrival < self._last_arrival:
                arrival = self._last_arrival
            else:
                self._last_arrival = arrival
            return [Arrival(arrival, datagram)]
        return self._mangle(datagram, arrival)

    def _mangle(self, datagram: Buffer, arrival: Micros) -> list[Arrival]:
        random = self._random
        if self._reorder and random() < self._reorder:
            # Out of the queue: those behind do not wait for it.
            arrival += self._reorder_by
        else:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        if self._corrupt and len(datagram) and random() < self._corrupt:
            datagram = self._flip_a_bit(datagram)
        arrivals = [Arrival(arrival, datagram)]
        if self._duplicate and random() < self._duplicate:
            arrivals.append(arrivals[0])
        return arrivals

    def _flip_a_bit(self, datagram: Buffer) -> bytes:
        bit = int(self._random() * len(datagram) * 8)
        mangled = bytearray(datagram)
        mangled[bit >> 3] ^= 1 << (bit & 7)
        return bytes(mangled)
