"""Listening for groups: one accepted object per group, however many of its members call, at whichever socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub
from terzetto.net.network import Network
from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import Micros, micros
from terzetto.srt.core.connection import Connection
from terzetto.srt.core.group.group import Group
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.events import ConnectionRefused, ConnectionRequested, SrtEvent
from terzetto.srt.group import SrtGroup
from terzetto.srt.listening import Authorize, SrtRefusal, ask
from terzetto.srt.log import log_event
from terzetto.srt.member import Member
from terzetto.srt.options import SrtOptions
from terzetto.srt.runtime import Runtime
from terzetto.srt.wire.extensions import GROUP_BIT, GroupKind
from terzetto.srt.wire.rejection import RejectionReason

__all__ = ["SrtGroupListener"]

# Nobody bonds more paths than this; each costs a copy of every packet.
_MOST_MEMBERS: Final = 16

_KINDS: Final = tuple(GroupKind)


class SrtGroupListener(trio.abc.Listener[SrtGroup]):
    """Accepts groups on one or several sockets; fit for `trio.serve_listeners`."""

    def __init__(
        self,
        doors: Sequence[tuple[Runtime, SrtOptions]],
        network: Network,
        nursery: trio.Nursery,
        authorize: Authorize | None,
    ) -> None:
        self._doors = [_Door(self, runtime, options) for runtime, options in doors]
        self._network = network
        self._nursery = nursery
        self._authorize = authorize
        self._events: EventHub[SrtEvent] = EventHub()
        self._groups: dict[tuple[int, str], SrtGroup] = {}
        self._waiting = sum(options.backlog for _, options in doors)
        self._arrived, self._arrivals = trio.open_memory_channel[SrtGroup](self._waiting + 1)

    @property
    def local_addresses(self) -> list[Address]:
        """Where we listen."""
        return [door.runtime.local_address for door in self._doors]

    async def accept(self) -> SrtGroup:
        """The next group whose first member was let in; further members join it by themselves."""
        try:
            return await self._arrivals.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        """Take no more callers; groups that were accepted live on, with the members they have."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """The same, without a checkpoint."""
        for door in self._doors:
            door.runtime.core.stop_listening(now=current_micros())
            door.runtime.session.drain()
        while True:
            try:
                waiting = self._arrivals.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                break
            waiting.abort()
        self._arrived.close()
        self._arrivals.close()
        self._events.close()
        for door in self._doors:
            door.runtime.end_when_idle()

    def events(self) -> AsyncGenerator[SrtEvent, None]:
        """Who came, who was refused and why, from now on, after the most recent of what has happened."""
        return self._events.listen()

    def publish(self, event: SrtEvent) -> None:
        """Tell an event to everybody who listens."""
        self._events.publish(event)
        log_event(event, getattr(event, "peer", None))

    def consider(self, door: _Door, request: ConnectionRequest) -> None:
        """Somebody is at the door."""
        self.publish(ConnectionRequested(request.peer, request.stream_id))
        if self._authorize is None:
            door.decide(request, None)
        else:
            self._nursery.start_soon(self._ask, door, self._authorize, request)

    async def _ask(self, door: _Door, authorize: Authorize, request: ConnectionRequest) -> None:
        door.decide(request, await ask(authorize, request, door.options))

    def group_for(self, request: ConnectionRequest, options: SrtOptions, now: Micros) -> SrtGroup | str:
        """The group that a caller belongs to, perhaps a new one.

        A group is known by the caller's id of it and by the stream id. Whoever can guess both can join, so where
        that matters there is a passphrase, which every member has to know. A string says why there is none.
        """
        offered = request.group
        if offered is None:
            return "only groups are accepted here"
        if offered.kind not in _KINDS:
            return f"groups of kind {offered.kind} are not accepted here"
        key = (offered.group_id, request.stream_id)
        group = self._groups.get(key)
        if group is not None and not group.is_ended:
            if group.size >= _MOST_MEMBERS:
                return f"the group has {group.size} members already"
            return group
        group = self._groups[key] = SrtGroup(
            Group(
                GroupKind(offered.kind),
                group_id=int.from_bytes(self._network.entropy(4), "big") & (GROUP_BIT - 1) | GROUP_BIT,
                initial_sequence=request.handshake.initial_sequence,
                least_stability_timeout=micros(options.group_stability_timeout),
                # The very moment of the answer: its timestamp counts from here, and must not be negative.
                now=now,
            ),
            options.payload_size or 1456,
        )
        return group

    def joined(self, group: SrtGroup, member: Member) -> None:
        """A caller was let in."""
        group.members.join(member)
        if not group.members.is_started:
            self._nursery.start_soon(self._look_after, group)
            try:
                self._arrived.send_nowait(group)
            except (trio.WouldBlock, trio.ClosedResourceError, trio.BrokenResourceError):
                group.abort()

    async def _look_after(self, group: SrtGroup) -> None:
        await group.members.run()
        self._forget(group)

    def _forget(self, group: SrtGroup) -> None:
        for key in [key for key, known in self._groups.items() if known is group]:
            del self._groups[key]

    def tidy(self, group: SrtGroup) -> None:
        """A group whose first member was not let in after all never was."""
        if not group.size and not group.members.is_started:
            self._forget(group)


class _Door:
    """One of the listener's sockets."""

    def __init__(self, listener: SrtGroupListener, runtime: Runtime, options: SrtOptions) -> None:
        self.runtime = runtime
        self.options = options
        self._listener = listener
        self._joining: dict[int, SrtGroup] = {}
        runtime.on_listener = self._hear
        runtime.make_owner = self._own
        runtime.core.listen(options, now=current_micros())

    def decide(self, request: ConnectionRequest, verdict: SrtOptions | SrtRefusal | None) -> None:
        """Let a caller in, or turn it away."""
        core = self.runtime.core
        now = current_micros()
        if isinstance(verdict, SrtRefusal):
            core.refuse(request, verdict.code, now=now, why=verdict.reason)
        else:
            options = verdict or self.options
            group = self._listener.group_for(request, options, now)
            if isinstance(group, str):
                core.refuse(request, RejectionReason.GROUP, now=now, why=group)
            else:
                terms = group.members.core.terms(0)
                connection = core.accept(request, options, now=now, terms=terms)
                if connection is None:
                    self._listener.tidy(group)
                else:
                    self._joining[connection.agreement.local_id] = group
        self.runtime.session.drain()

    def _own(self, connection: Connection) -> Member:
        return Member(connection, self.runtime, f"srt://{connection.agreement.peer}")

    def _hear(self, what: object) -> None:
        if isinstance(what, ConnectionRequest):
            self._listener.consider(self, what)
        elif isinstance(what, Member):
            if self.runtime.core.listener is not None:
                self.runtime.core.listener.unaccepted -= 1
            group = self._joining.pop(what.socket_id, None)
            if group is None or group.is_ended:
                what.abort(current_micros())
            else:
                self._listener.joined(group, what)
        elif isinstance(what, ConnectionRefused):
            self._listener.publish(what)
