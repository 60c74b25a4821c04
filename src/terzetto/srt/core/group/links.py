"""Backup: which members send, which stand by, and when one takes over from another.

A member that sends is *fresh* until it has proved itself, *stable* while the peer answers, *unstable* when it
has been silent for longer than its stability timeout, and *wary* when it answers again after that, until it has
done so for a while. When none is fresh or stable, or when one that stands by has more weight than all that send,
the best of those that stand by takes over. Once one is stable, all behind it fall silent.

States, timeouts and order are libsrt's. What counts as an answer is ours: silence counts only while something waits
to be acknowledged, so that a source which pauses does not look like a link that failed; and it ends only with an
answer to what we sent, so that a link whose way back still works does not look sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.time import MICROS_PER_MILLI, Micros, micros
from terzetto.srt.core.connection import Connection, State
from terzetto.srt.events import MemberState

__all__ = ["Link", "links_to_activate", "links_to_silence"]

_PROBE_GRACE: Final = 50 * MICROS_PER_MILLI

# How often to look whether a member that fell silent has delivered all it had.
_DRAIN_TICK: Final = 20 * MICROS_PER_MILLI


_RANK: Final = {MemberState.STABLE: 0, MemberState.FRESH: 1, MemberState.WARY: 2, MemberState.UNSTABLE: 3}


class Link:
    """One member's way, judged by what the peer answers on it."""

    def __init__(self, connection: Connection, *, weight: int, age: int, least_timeout: Micros) -> None:
        self.connection = connection
        self.weight = weight
        self.age = age
        """Members are numbered as they come; among equals the older one goes first."""
        self.state = MemberState.STANDBY
        self.is_aligned = False
        """Whether its sequence numbers are the group's already."""
        self._least_timeout = least_timeout
        self._since: Micros = 0
        self._unstable_since: Micros = 0
        self._dropped = 0
        self._owes_keepalive = False

    @property
    def can_send(self) -> bool:
        """Whether it is connected, and nobody has said goodbye."""
        return self.connection.state is State.CONNECTED

    @property
    def order(self) -> tuple[int, int, int]:
        """Sorts the best first."""
        return -self.weight, _RANK.get(self.state, 4), self.age

    @property
    def stability_timeout(self) -> Micros:
        """How long the peer may be silent before this link counts as unstable."""
        latency = max(self.connection.agreement.peer_delay, self._least_timeout)
        round_trip = self.connection.round_trip
        if self.state is MemberState.FRESH:
            return latency
        measured = 2 * round_trip.smoothed + 4 * round_trip.variance
        return min(max(measured, self._least_timeout), latency)

    def silence(self, now: Micros) -> Micros:
        """How long an answer is overdue.

        Keep-alives and repeated reports do not count: they still come when nothing of ours arrives any more.
        """
        sender = self.connection.sender
        if sender.waiting_since is None:
            return 0
        return now - max(sender.news_at, sender.waiting_since)

    def activate(self, *, now: Micros) -> None:
        """It begins to send."""
        self._enter(MemberState.FRESH, now)
        self._dropped = self.connection.counters.dropped_by_sender
        self._owes_keepalive = False

    def stand_by(self, *, now: Micros) -> None:
        """It sends no more; what it has sent is still repeated where the peer asks."""
        self._enter(MemberState.STANDBY, now)
        self._owes_keepalive = True

    def distrust(self, *, now: Micros) -> None:
        """Something went wrong with it that no answer can tell."""
        if self.state is not MemberState.UNSTABLE:
            self._enter(MemberState.UNSTABLE, now)
            if not self._unstable_since:
                self._unstable_since = now

    def judge(self, *, now: Micros) -> bool:
        """Look at what the peer answered; whether the state has changed."""
        before = self.state
        connection = self.connection
        if self._owes_keepalive and connection.sender.is_drained:
            self._owes_keepalive = False
            connection.keep_alive(now=now)
        if not before.is_active:
            return False
        dropped = connection.counters.dropped_by_sender
        has_dropped, self._dropped = dropped > self._dropped, dropped
        elapsed = now - self._since
        if has_dropped or self.silence(now) >= self.stability_timeout:
            self.distrust(now=now)
        elif before is MemberState.UNSTABLE:
            self._enter(MemberState.WARY, now)
        elif (before is MemberState.FRESH and elapsed >= self.stability_timeout + _PROBE_GRACE) or (
            before is MemberState.WARY and elapsed >= 4 * connection.agreement.peer_delay
        ):
            self._enter(MemberState.STABLE, now)
            self._unstable_since = 0
        if self._unstable_since and now - self._unstable_since >= micros(
            connection.options.peer_idle_timeout
        ):
            connection.fail("it has been unstable for too long", now=now)
        return self.state is not before

    def next_look(self, now: Micros) -> Micros | None:
        """When to `judge` again if nothing happens."""
        if self._owes_keepalive:
            return now + _DRAIN_TICK
        if not self.state.is_active:
            return None
        latest = now + self.stability_timeout
        if self.state is MemberState.FRESH:
            latest = min(latest, self._since + self.stability_timeout + _PROBE_GRACE)
        if self.state is not MemberState.UNSTABLE:
            latest = min(latest, now + self.stability_timeout - self.silence(now))
        return max(latest, now + MICROS_PER_MILLI)

    def _enter(self, state: MemberState, now: Micros) -> None:
        self.state = state
        self._since = now


def links_to_activate(links: Sequence[Link]) -> list[Link]:
    """The best of those that stand by, where one is needed or it is better than all that send; else none."""
    standing_by = [link for link in links if link.state is MemberState.STANDBY and link.can_send]
    if not standing_by:
        return []
    best = min(standing_by, key=lambda link: link.order)
    active = [link for link in links if link.state.is_active and link.can_send]
    if not any(link.state.is_trusted for link in active):
        return [best]
    return [best] if best.weight > max(link.weight for link in active) else []


def links_to_silence(links: Sequence[Link]) -> list[Link]:
    """Those that send behind the first stable one."""
    active = sorted((link for link in links if link.state.is_active), key=lambda link: link.order)
    for index, link in enumerate(active):
        if link.state is MemberState.STABLE:
            return active[index + 1 :]
    return []
