"""One member of a group: its connection, the socket that carries it, and where its news goes."""

from __future__ import annotations

from typing import Protocol

import trio

from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import Micros
from terzetto.srt.core.connection import Connection, Signal, State
from terzetto.srt.core.group.links import Link
from terzetto.srt.events import SrtEvent
from terzetto.srt.runtime import Runtime

__all__ = ["Member", "MemberOwner"]


class MemberOwner(Protocol):
    """The group, as its members see it."""

    def hear(self, member: Member, what: SrtEvent | Signal) -> None:
        """Something happened to *member*."""


class Member:
    """A `terzetto.srt.runtime.Owner` whose connection belongs to a group."""

    def __init__(self, connection: Connection, runtime: Runtime, target: str) -> None:
        self.connection = connection
        self.target = target
        self.link: Link | None = None
        """The member as the rules of the group know it, once it has joined."""
        self.owner: MemberOwner | None = None
        self.gone = trio.Event()
        """Set when it cannot send any more."""
        self.dismissed = trio.Event()
        """Set when the group has no more use for it."""
        self.is_over = False
        """Nothing will ever come from it."""
        self._runtime = runtime

    @property
    def socket_id(self) -> int:
        """Our socket id."""
        return self.connection.agreement.local_id

    @property
    def peer_address(self) -> Address:
        """Whom this member talks with."""
        return self.connection.agreement.peer

    @property
    def is_writable(self) -> bool:
        """Whether its socket takes more at once."""
        return self._runtime.session.is_writable

    async def wait_writable(self) -> None:
        """Wait until its socket takes more."""
        await self._runtime.session.wait_writable()

    def settle(self, now: Micros) -> None:
        """After commands given to the connection: send what it wants sent, hear what it wants told."""
        self._runtime.core.touch(self.connection, now=now)
        self._runtime.session.drain()

    def notify(self, what: SrtEvent | Signal) -> None:
        """Something happened to the connection."""
        if what is Signal.ENDED:
            self.is_over = True
        if self.connection.state is not State.CONNECTED:
            self.gone.set()
        if self.owner is not None:
            self.owner.hear(self, what)

    def cut_off(self) -> None:
        """The socket below is gone."""
        self.is_over = True
        self.gone.set()
        self.dismissed.set()
        if self.owner is not None:
            self.owner.hear(self, Signal.ENDED)

    def close(self, now: Micros) -> None:
        """Say goodbye once what was sent had its time to arrive."""
        self.connection.close(now=now)
        self.settle(now)

    def abort(self, now: Micros) -> None:
        """Say goodbye at once, and be done."""
        self.connection.abort(now=now)
        self.settle(now)
        self.is_over = True
        self.gone.set()
        self.dismissed.set()
        self._runtime.forget(self)
