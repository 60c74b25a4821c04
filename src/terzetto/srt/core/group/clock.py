"""One time for all members of a group, whatever way their packets take.

The first member's handshake says when the sender's clock stood at zero; its way's delay is in that, so packets
of a slower way come later against the same moment, and eat of the latency. Every member sees the sender's clock
drift, each over its own way; the group follows one of them, its *leader*. When the leader leaves, the next one
leads from where it stands then, so the time of playout never jumps.
"""

from __future__ import annotations

from terzetto.primitives.time import Micros
from terzetto.srt.core.playout_clock import PlayoutClock

__all__ = ["GroupClock", "MemberClock"]


class GroupClock:
    """What all members play by."""

    def __init__(self) -> None:
        self.base: Micros = 0
        self.delay: Micros = 0
        self.drift: Micros = 0
        self._members: list[MemberClock] = []

    def join(self, own: PlayoutClock) -> MemberClock:
        """A member comes, with the clock of its own handshake; the clock that it goes by from now on."""
        if not self._members:
            self.base, self.delay, self.drift = own.base, own.delay, 0
        # A peer that asks for more of one member gets it from all, or their packets would not meet.
        self.delay = max(self.delay, own.delay)
        member = MemberClock(self, own)
        self._members.append(member)
        return member

    def leave(self, member: MemberClock) -> None:
        """A member goes; the clock stays as it is."""
        if member in self._members:
            self._members.remove(member)

    def followed(self, member: MemberClock, change: Micros) -> None:
        """*member* found that the sender's clock has moved by *change* since it last looked."""
        if self._members and self._members[0] is member:
            self.drift += change


class MemberClock(PlayoutClock):
    """A member's view of the group's clock: it plays by the group's, and watches drift over its own way."""

    __slots__ = ("_group", "_own")

    def __init__(self, group: GroupClock, own: PlayoutClock) -> None:
        self._group = group
        self._own = own

    @property
    def base(self) -> Micros:  # type: ignore[override]
        """The group's."""
        return self._group.base

    @property
    def delay(self) -> Micros:  # type: ignore[override]
        """The group's."""
        return self._group.delay

    @property
    def drift(self) -> Micros:  # type: ignore[override]
        """The group's."""
        return self._group.drift

    @property
    def is_tracing(self) -> bool:
        """Whether this member watches the sender's clock."""
        return self._own.is_tracing

    @is_tracing.setter
    def is_tracing(self, value: bool) -> None:
        self._own.is_tracing = value

    def trace(self, timestamp: int, *, now: Micros, round_trip: Micros | None) -> None:
        """Compare clocks on a control packet of this member."""
        before = self._own.base + self._own.drift
        self._own.trace(timestamp, now=now, round_trip=round_trip)
        change = self._own.base + self._own.drift - before
        if change:
            self._group.followed(self, change)
