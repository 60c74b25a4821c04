"""Balancing: each packet travels on one member, and which one is decided packet by packet.

Members take turns in proportion to their weights. One that has not acknowledged in the time that its round trip and
a part of the latency allow is full, and the others take its turn: so a slow path carries what it can and no
more, without anybody saying how much that is. One that falls silent altogether gets no more packets; those it has
not acknowledged are handed to the others while there is time to play them, with their own numbers and times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_MILLI, Micros, micros
from terzetto.srt.core.connection import State
from terzetto.srt.core.group.balanced_reception import message_number
from terzetto.srt.core.group.links import Link
from terzetto.srt.events import MemberState

__all__ = ["Balancing"]

# The receiver acknowledges by this clock, at the earliest; as much again for its reading in ticks.
_ACK_TIME: Final = 20 * MICROS_PER_MILLI

# How often to look whether what a lost member left can go out on another one.
_ORPHAN_TICK: Final = 5 * MICROS_PER_MILLI

_CLOSED: Final = (State.PEER_CLOSED, State.BROKEN, State.CLOSED)


class _Batch(NamedTuple):
    """Packets given to a member together."""

    end: int
    """The position behind the last of them on the member's own connection."""
    position: int
    payloads: Sequence[Buffer]
    origin: Micros
    given_at: Micros


class _Share:
    """What one member carries."""

    def __init__(self, link: Link, turn: float) -> None:
        self.link = link
        self.turn = turn
        """Packets it carried by weight; the one with the least is next."""
        self.pending: deque[_Batch] = deque()
        self.least_round_trip: Micros | None = None
        self.distrusted_at: Micros = 0
        self._acknowledged = link.connection.sender.acknowledged_to
        self._news_at: Micros | None = None
        self._time_each: float | None = None

    @property
    def silence_allowed(self) -> Micros:
        """After so long without an answer its packets travel on another member as well, in time to be played."""
        link = self.link
        round_trip = link.connection.round_trip
        soon_enough = link.connection.agreement.peer_delay * 2 // 3
        possible = round_trip.smoothed + round_trip.variance + _ACK_TIME
        return max(min(link.stability_timeout, soon_enough), possible)

    def forget_acknowledged(self, now: Micros) -> None:
        """Keep what the peer does not have and could still play."""
        pending = self.pending
        connection = self.link.connection
        acknowledged = connection.sender.acknowledged_to
        if acknowledged > self._acknowledged:
            if self._news_at is not None:
                each = (now - self._news_at) / (acknowledged - self._acknowledged)
                known = self._time_each
                self._time_each = each if known is None else known + (each - known) / 8
            self._acknowledged, self._news_at = acknowledged, now
        stale = now - connection.agreement.peer_delay
        while pending and (pending[0].end <= acknowledged or pending[0].origin < stale):
            pending.popleft()
        round_trip = connection.round_trip
        if round_trip.is_measured:
            smoothed = round_trip.smoothed
            self.least_round_trip = min(self.least_round_trip or smoothed, smoothed)

    def is_full(self, now: Micros) -> bool:
        """Whether what it has been given waits longer than the path alone explains."""
        if not self.pending:
            return False
        connection = self.link.connection
        path = self.least_round_trip or connection.round_trip.smoothed
        queue = max(0, connection.agreement.peer_delay - path) // 3
        # The oldest tells how long a packet has waited; how long the next one will, the queue before it.
        waited = now - self.pending[0].given_at
        will_wait = connection.sender.buffer.in_flight * (self._time_each or 0.0)
        return max(waited, will_wait) > path + _ACK_TIME + queue

    def given(self, payloads: Sequence[Buffer], position: int, origin: Micros, now: Micros) -> None:
        """Its connection took these in."""
        if not self.pending:
            self._news_at = None  # the first answer comes a whole round trip later, and tells of no rate
        self.pending.append(_Batch(self.link.connection.sender.buffer.end, position, payloads, origin, now))
        self.turn += len(payloads) / max(1, self.link.weight)


class Balancing:
    """Which member carries what; ``changes`` of members' states are told to the group."""

    def __init__(self) -> None:
        self.changes: list[Link] = []
        self._shares: dict[Link, _Share] = {}
        self._orphans: deque[_Batch] = deque()
        self._turn = 0.0

    def join(self, link: Link) -> None:
        """A member is connected."""
        link.state = MemberState.STABLE
        self._shares[link] = _Share(link, self._turn)

    def leave(self, link: Link, *, now: Micros) -> None:
        """A member is gone; what it has not delivered is for the others."""
        share = self._shares.pop(link)
        share.forget_acknowledged(now)
        self._orphans += share.pending

    def forget(self) -> None:
        """The peer has begun anew: nobody waits for what was not acknowledged."""
        self._orphans.clear()

    def _usable(self) -> list[_Share]:
        able = [share for share in self._shares.values() if share.link.can_send]
        return [share for share in able if share.link.state is MemberState.STABLE] or able

    @property
    def links(self) -> list[Link]:
        """The members that packets go to now."""
        return [share.link for share in self._usable()]

    def room(self, *, now: Micros) -> int:
        """How many packets would be taken in now."""
        room = 0
        for link in self.links:
            link.connection.sender.drop_too_late(now)
            room += max(0, link.connection.sender.buffer.room)
        return room

    def send(self, payloads: Sequence[Buffer], position: int, *, origin: Micros, now: Micros) -> None:
        """Send payloads that there is room for."""
        self._probe(payloads[0], position, origin, now)
        # A run to each member rather than a packet: a batch is one system call, and the turns even out.
        most = max(1, len(payloads) // (2 * len(self._shares)))
        sent = 0
        while sent < len(payloads):
            share = self._choose(now)
            if share is None:
                break
            run = payloads[sent : sent + min(most, share.link.connection.sender.buffer.room)]
            self._give(share, run, position + sent, origin, now)
            sent += len(run)

    def _choose(self, now: Micros) -> _Share | None:
        usable = [share for share in self._usable() if share.link.connection.sender.buffer.room > 0]
        if not usable:
            return None
        ready = [share for share in usable if not share.is_full(now)] or usable
        chosen = min(ready, key=lambda share: share.turn)
        self._turn = chosen.turn
        for share in self._shares.values():
            # A turn that was not taken is gone: no member makes up for it with a burst.
            share.turn = max(share.turn, self._turn)
        return chosen

    def _give(
        self, share: _Share, payloads: Sequence[Buffer], position: int, origin: Micros, now: Micros
    ) -> None:
        sender = share.link.connection.sender
        sender.number_from(message_number(position))
        share.link.connection.send(payloads, origin=origin, now=now)
        share.given(payloads, position, origin, now)

    def _probe(self, payload: Buffer, position: int, origin: Micros, now: Micros) -> None:
        """A copy for each silent member that has nothing left to repeat: it is trusted again when it answers."""
        for share in self._shares.values():
            link = share.link
            if link.state is MemberState.UNSTABLE and link.can_send and link.connection.sender.is_drained:
                link.connection.sender.number_from(message_number(position))
                link.connection.send([payload], origin=origin, now=now)

    def review(self, *, now: Micros) -> None:
        """Judge the members, and hand over what silent ones have not delivered."""
        for share in self._shares.values():
            share.forget_acknowledged(now)
            self._judge(share, now)
        orphans = self._orphans
        while orphans:
            batch = orphans[0]
            heir = self._choose(now)
            if heir is None:
                break
            orphans.popleft()
            connection = heir.link.connection
            if batch.origin < now - connection.agreement.peer_delay:
                continue
            room = connection.sender.buffer.room
            if len(batch.payloads) > room:
                rest = batch.payloads[room:]
                orphans.appendleft(batch._replace(position=batch.position + room, payloads=rest))
            self._give(heir, batch.payloads[:room], batch.position, batch.origin, now)

    def _judge(self, share: _Share, now: Micros) -> None:
        link = share.link
        connection = link.connection
        if connection.state in _CLOSED:
            self._hand_over(share)
        elif link.state is MemberState.STABLE:
            if link.silence(now) >= share.silence_allowed and len(self._shares) > 1:
                link.state = MemberState.UNSTABLE
                share.distrusted_at = now
                self.changes.append(link)
                self._hand_over(share)
        elif connection.sender.news_at > share.distrusted_at:
            link.state = MemberState.STABLE
            self.changes.append(link)
        elif now - share.distrusted_at >= micros(connection.options.peer_idle_timeout):
            connection.fail("it has been silent for too long", now=now)

    def _hand_over(self, share: _Share) -> None:
        self._orphans += share.pending
        share.pending.clear()

    def next_timeout(self, *, now: Micros) -> Micros | None:
        """When to `review` next."""
        looks = [
            max(now + share.silence_allowed - share.link.silence(now), now + MICROS_PER_MILLI)
            if share.link.state is MemberState.STABLE
            else now + share.silence_allowed
            for share in self._shares.values()
            if share.link.can_send
        ]
        if self._orphans:
            looks.append(now + _ORPHAN_TICK)
        return min(looks, default=None)
