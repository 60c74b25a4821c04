"""A group: several connections with one peer that carry one stream, in both directions.

Not a `terzetto.driver.contract.Core` of its own: each member lives on the multiplexer of its socket, and the
group is what they share. Whoever owns both calls `Multiplexer.touch` for the members after each command here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.srt.core.connection import Connection, State
from terzetto.srt.core.group.balanced_reception import BalancedReception
from terzetto.srt.core.group.balancing import Balancing
from terzetto.srt.core.group.clock import GroupClock, MemberClock
from terzetto.srt.core.group.links import Link, links_to_activate, links_to_silence
from terzetto.srt.core.group.reception import Reception
from terzetto.srt.core.group.replay import Replay
from terzetto.srt.core.negotiation import GroupTerms
from terzetto.srt.events import MemberState
from terzetto.srt.wire.extensions import GroupKind, GroupMembership
from terzetto.srt.wire.numbers import MESSAGE_NUMBER_MAX, SEQUENCE_MASK

__all__ = ["Group"]

# A member that got no packet for so long stands by: it follows the others rather than its own numbers.
_IDLE: Final = MICROS_PER_SECOND // 2

# A healthy member that is merely full is waited for; one that has not answered for so long is not.
_HEALTHY: Final = 300 * MICROS_PER_MILLI

_KEPT: Final = MICROS_PER_SECOND + 20 * MICROS_PER_MILLI


class Group:
    """What the members of one group have in common."""

    def __init__(
        self,
        kind: GroupKind,
        *,
        group_id: int,
        initial_sequence: int,
        least_stability_timeout: Micros,
        now: Micros,
    ) -> None:
        self.kind = kind
        self.group_id = group_id
        self.started_at = now
        self.position = initial_sequence
        """Of the next packet to send, counted on from the initial sequence number without wrapping."""
        self.links: list[Link] = []
        self.peer_group: int | None = None
        self.clock = GroupClock()
        self._balancing = Balancing() if kind is GroupKind.BALANCING else None
        self.reception: Reception | BalancedReception = (
            Reception(initial_sequence) if self._balancing is None else BalancedReception(initial_sequence)
        )
        self.sent = 0
        self.changes: list[tuple[Link, MemberState]] = []
        """What became of members, for whoever tells the user."""
        self._first = initial_sequence
        self._least_timeout = least_stability_timeout
        self._replay = Replay(initial_sequence)
        self._clocks: dict[Link, MemberClock] = {}
        self._ages = 0

    def terms(self, weight: int) -> GroupTerms:
        """What a new member's handshake says."""
        return GroupTerms(
            membership=GroupMembership(self.group_id, self.kind, 0, weight),
            started_at=self.started_at,
            initial_sequence=self.position & SEQUENCE_MASK,
            peer_group=self.peer_group if self.is_connected else None,
        )

    def accepts(self, connection: Connection) -> bool:
        """Whether the connection leads to the peer that the other members lead to."""
        membership = connection.agreement.group
        if membership is None or membership.kind != self.kind:
            return False
        return not self.is_connected or membership.group_id == self.peer_group

    def join(self, connection: Connection, *, now: Micros) -> Link:
        """A member is connected."""
        membership = connection.agreement.group
        assert membership is not None
        if membership.group_id != self.peer_group:
            # The first one of all, or the peer has begun anew: so do we with what it sends.
            for old in list(self.links):
                self.leave(old, now=now)
            self.peer_group = membership.group_id
            self.reception.restart(connection.agreement.initial_sequence)
            if self._balancing is not None:
                self._balancing.forget()
        link = Link(connection, weight=membership.weight, age=self._ages, least_timeout=self._least_timeout)
        self._ages += 1
        clock = self._clocks[link] = self.clock.join(connection.receiver.clock)
        if isinstance(self.reception, Reception):
            first = self.reception.frontier([other.connection.receiver for other in self.links])
            connection.receiver.join_group(first, clock)
            connection.before_run = partial(self._prepare, connection, self.reception)
        else:
            connection.receiver.join_balancing(clock)
        self.links.append(link)
        if self._balancing is not None:
            self._balancing.join(link)
        elif self.kind is not GroupKind.BACKUP:
            link.state = MemberState.STABLE
        self.changes.append((link, link.state))
        self.review(now=now)
        return link

    def leave(self, link: Link, *, now: Micros) -> None:
        """A member is gone; the others go on."""
        if link not in self.links:
            return
        self.links.remove(link)
        self.clock.leave(self._clocks.pop(link))
        if self._balancing is not None:
            self._balancing.leave(link, now=now)
        link.connection.before_run = None
        link.state = MemberState.BROKEN
        self.changes.append((link, link.state))
        self.review(now=now)

    def _prepare(self, connection: Connection, reception: Reception, now: Micros) -> None:
        """Before a member takes packets in: after a rest it begins where the others are."""
        heard_at = connection.last_data_at
        receiver = connection.receiver
        if (heard_at is not None and now - heard_at < _IDLE) or not receiver.is_empty or receiver.losses:
            return
        frontier = reception.frontier([link.connection.receiver for link in self.links])
        if frontier > receiver.buffer.frontier:
            receiver.follow(frontier)

    # Receiving

    def take(self, *, now: Micros, limit: int) -> list[tuple[Micros, int, int, Buffer]]:
        """Up to *limit* packets that are due: due time, position, timestamp, payload."""
        connections = [link.connection for link in self.links]
        taken = self.reception.take([c.receiver for c in connections], now=now, limit=limit)
        for connection in connections:
            connection.receiver.acks.reopened(now=now)
            connection.was_read(now=now)
        return taken

    # Sending

    @property
    def _sending(self) -> list[Link]:
        if self._balancing is not None:
            return self._balancing.links
        links = [link for link in self.links if link.can_send]
        if self.kind is GroupKind.BACKUP:
            return [link for link in links if link.state.is_active]
        return links

    def room(self, *, now: Micros) -> int:
        """How many packets would be taken in now."""
        if self._balancing is not None:
            return self._balancing.room(now=now)
        links = self._sending
        if not links:
            return 0
        for link in links:
            link.connection.sender.drop_too_late(now)
        healthy = [link for link in links if link.silence(now) < _HEALTHY]
        rooms = [link.connection.sender.buffer.room for link in healthy or links]
        return max(0, min(rooms) if healthy else max(rooms))

    def send(self, payloads: Sequence[Buffer], *, origin: Micros, now: Micros) -> int:
        """Send payloads; how many found room."""
        self.review(now=now)
        count = min(self.room(now=now), len(payloads))
        if count < len(payloads):
            payloads = payloads[:count]
        if not payloads:
            return 0
        if self._balancing is not None:
            self._balancing.send(payloads, self.position, origin=origin, now=now)
        else:
            for link in self._sending:
                self._send_on(link, payloads, self.position, origin, now)
        if self.kind is GroupKind.BACKUP:
            self._replay.add(self.position, payloads, origin=origin)
        self.position += count
        self.sent += count
        return count

    def wait_for_room(self, *, now: Micros) -> bool:
        """Whether there is room; where there is none, `Signal.WRITABLE` of a member will tell."""
        if self.room(now=now) > 0:
            return True
        for link in self._sending:
            link.connection.wait_for_room()
        return False

    def _send_on(
        self, link: Link, payloads: Sequence[Buffer], position: int, origin: Micros, now: Micros
    ) -> None:
        sender = link.connection.sender
        if not link.is_aligned or sender.buffer.end != position:
            sender.align(position, (position - self._first) % MESSAGE_NUMBER_MAX + 1)
            link.is_aligned = True
        if sender.buffer.room < len(payloads):
            sender.make_room(len(payloads))
            if self.kind is GroupKind.BACKUP:
                link.distrust(now=now)
        link.connection.send(payloads, origin=origin, now=now)

    # Backup

    def handle_timeout(self, *, now: Micros) -> None:
        """Look at the members; harmless at any time."""
        self.review(now=now)

    def next_timeout(self, *, now: Micros) -> Micros | None:
        """When to look at the members next."""
        if self._balancing is not None:
            return self._balancing.next_timeout(now=now)
        if self.kind is not GroupKind.BACKUP:
            return None
        looks = [look for link in self.links if (look := link.next_look(now)) is not None]
        return min(looks, default=None)

    def review(self, *, now: Micros) -> None:
        """Judge the members of a backup or balancing group, and let others take over from the silent ones."""
        if self._balancing is not None:
            self._balancing.review(now=now)
            self.changes += [(link, link.state) for link in self._balancing.changes]
            self._balancing.changes.clear()
        if self.kind is not GroupKind.BACKUP:
            return
        self._trim(now)
        for link in self.links:
            if link.judge(now=now):
                self.changes.append((link, link.state))
        for link in links_to_activate(self.links):
            link.activate(now=now)
            self.changes.append((link, link.state))
            self._replay_on(link, now)
        for link in links_to_silence(self.links):
            link.stand_by(now=now)
            self.changes.append((link, link.state))

    def _trim(self, now: Micros) -> None:
        acknowledged = [link.connection.sender.acknowledged_to for link in self.links if link.is_aligned]
        delays = [link.connection.agreement.peer_delay for link in self.links]
        before = now - max([*delays, _KEPT])
        self._replay.forget(max(acknowledged, default=0), before=before)

    def _replay_on(self, link: Link, now: Micros) -> None:
        """Send what nobody acknowledged on a member that takes over."""
        sender = link.connection.sender
        start = self._replay.start
        if link.is_aligned and sender.buffer.end > start:
            # What it sent before it fell silent is still its own to repeat.
            start = sender.buffer.end
        position = start
        for origin, payloads in self._replay.since(start):
            self._send_on(link, payloads, position, origin, now)
            position += len(payloads)

    @property
    def is_connected(self) -> bool:
        """Whether a member is there to send on."""
        return any(link.connection.state is State.CONNECTED for link in self.links)
