"""Who carries a group: members that join, fail and leave, and the task that looks after them."""

from __future__ import annotations

from typing import Final, Protocol

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub
from terzetto.errors import CallerError, PeerError
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.srt.core.connection import Signal, State
from terzetto.srt.core.group.group import Group
from terzetto.srt.events import MemberChanged, MemberJoined, MemberLost, PacketsSkipped, SrtEvent
from terzetto.srt.log import log_event
from terzetto.srt.member import Member

__all__ = ["Dialler", "GroupMembers"]

_MOST_FAILURES: Final = 16

# What a member that is gone had received is still delivered; nothing waits longer than its latency and this.
_LAST_WORDS: Final = MICROS_PER_SECOND


class Dialler(Protocol):
    """Whoever keeps the members of a group called."""

    @property
    def is_trying(self) -> bool:
        """Whether more members may still come."""

    async def add(self, url: str) -> None:
        """Call one more."""

    async def remove(self, url: str) -> None:
        """Call this one no more, and say goodbye to it."""

    def stop(self) -> None:
        """Call nobody any more."""


class GroupMembers:
    """The members of one group, and what becomes of them."""

    def __init__(self, core: Group, payload_size: int) -> None:
        self.core = core
        """The rules of this group."""
        self.payload_size = payload_size
        """The most that one packet carries on every member."""
        self.present: list[Member] = []
        """Those that are connected, and those whose last words are still to be delivered."""
        self.events: EventHub[SrtEvent] = EventHub()
        """What happened, for everybody who listens."""
        self.readable = trio.Event()
        """Set when a reader should look again; a reader puts a new one here before it looks."""
        self.writable = trio.Event()
        """Set when a writer should look again; a writer puts a new one here before it looks."""
        self.is_closed = False
        """Whether we closed the group."""
        self.is_started = False
        """Whether its own task runs, or has run."""
        self._dialler: Dialler | None = None
        self._wake = trio.Event()
        self._failures: dict[str, Exception] = {}
        self._leaving: dict[Member, Micros] = {}

    @property
    def failures(self) -> list[Exception]:
        """Why those members that are not there are not there."""
        return list(self._failures.values())

    @property
    def is_over(self) -> bool:
        """Whether no member is left and none is on its way."""
        return not self.present and not (self._dialler is not None and self._dialler.is_trying)

    @property
    def is_ended(self) -> bool:
        """Whether the group was closed, or came to its end."""
        return self.is_closed or (self.is_started and self.is_over)

    def need_dialler(self) -> Dialler:
        """Whoever calls the members, where that is us."""
        if self.is_closed:
            raise trio.ClosedResourceError
        if self._dialler is None:
            raise CallerError(
                "the caller decides about the members of a group, and this one was called",
                hint="add and remove members at the other end",
            )
        return self._dialler

    def use_dialler(self, dialler: Dialler) -> None:
        """*dialler* brings the members from now on."""
        self._dialler = dialler

    def join(self, member: Member) -> None:
        """A member is connected."""
        now = current_micros()
        member.link = self.core.join(member.connection, now=now)
        member.owner = self
        self._failures.pop(member.target, None)
        self.present.append(member)
        self.payload_size = min(self.payload_size, member.connection.agreement.payload_limit)
        self.publish(MemberJoined(member.peer_address, member.link.weight))
        self.settle(now)
        self.writable.set()
        self._wake.set()

    def failed(self, target: str, cause: Exception) -> None:
        """A member could not be reached."""
        self._note_failure(target, cause)
        self.publish(MemberLost(target, str(cause)))
        self._wake_all()

    def _note_failure(self, target: str, cause: Exception) -> None:
        # Where we are called every attempt has a target of its own, so the oldest make room.
        self._failures.pop(target, None)
        self._failures[target] = cause
        if len(self._failures) > _MOST_FAILURES:
            del self._failures[next(iter(self._failures))]

    def reconsider(self) -> None:
        """Something changed about who may still come."""
        self._wake_all()

    def hear(self, member: Member, what: SrtEvent | Signal) -> None:
        """Something happened to a member; what follows from it, our own task does."""
        if what is Signal.READABLE:
            self.readable.set()
        elif what is Signal.WRITABLE:
            self.writable.set()
        elif not isinstance(what, Signal | PacketsSkipped):  # what the group gave up, its reader tells
            self.publish(what)
        if member.gone.is_set():
            self._wake_all()

    def publish(self, event: SrtEvent) -> None:
        """Tell an event to everybody who listens."""
        self.events.publish(event)
        log_event(event, getattr(event, "peer", None))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look after the members until the group is closed or has come to its end."""
        self.is_started = True
        task_status.started()
        while not self.is_closed:
            self._wake = trio.Event()
            now = current_micros()
            self._tend(now)
            if self.is_over:
                self.readable.set()
                self.writable.set()
                if self._dialler is None:
                    return
            looks = [*self._leaving.values()]
            look = self.core.next_timeout(now=now)
            if look is not None:
                looks.append(look)
            with trio.move_on_at(min(looks) / MICROS_PER_SECOND if looks else float("inf")):
                await self._wake.wait()

    def _tend(self, now: Micros) -> None:
        for member in list(self.present):
            if not member.gone.is_set():
                continue
            if member not in self._leaving:
                latency = member.connection.agreement.receive_delay
                self._leaving[member] = now + latency + _LAST_WORDS
            if member.is_over or now >= self._leaving[member]:
                self._dismiss(member, now)
        self.core.handle_timeout(now=now)
        self.settle(now)

    def _dismiss(self, member: Member, now: Micros) -> None:
        self.present.remove(member)
        self._leaving.pop(member, None)
        connection = member.connection
        said_goodbye = connection.state is not State.BROKEN
        reason = "the peer said goodbye" if said_goodbye else connection.reason
        if not said_goodbye:
            broke = PeerError(f"the connection with {member.peer_address} broke: {connection.reason}")
            self._note_failure(member.target, broke)
        assert member.link is not None
        self.core.leave(member.link, now=now)
        member.owner = None
        member.abort(now)
        self.publish(MemberLost(member.target, reason))

    def settle(self, now: Micros) -> None:
        """After commands given to the rules: send what they want sent, tell what they want told."""
        for member in list(self.present):
            member.settle(now)
        if self.core.changes:
            changes, self.core.changes = self.core.changes, []
            for link, state in changes:
                self.publish(MemberChanged(link.connection.agreement.peer, state))

    def _wake_all(self) -> None:
        self._wake.set()
        self.readable.set()
        self.writable.set()

    def stop_dialling(self) -> None:
        """Call nobody any more."""
        if self._dialler is not None:
            self._dialler.stop()

    def abort(self) -> None:
        """Say goodbye on every member and close, at once."""
        if self.is_closed:
            return
        self.is_closed = True
        self.stop_dialling()
        now = current_micros()
        for member in self.present:
            member.owner = None
            member.abort(now)
        self.present.clear()
        self._wake_all()
        self.events.close()
