"""A running SRT socket: one endpoint, one core, one pump, and the streams on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.session import Session, SessionPath
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions, Trouble
from terzetto.net.network import Network
from terzetto.srt.core.connection import Connection, Signal
from terzetto.srt.core.multiplexer import LISTENER, Multiplexer, Notice
from terzetto.srt.core.negotiation import GroupTerms, RefusedError
from terzetto.srt.events import SrtEvent
from terzetto.srt.options import SrtOptions
from terzetto.srt.stream import SrtStream

__all__ = ["Owner", "Runtime", "open_endpoint"]


class Owner(Protocol):
    """What a connection belongs to, and who hears of it."""

    @property
    def socket_id(self) -> int:
        """The connection's id."""

    def notify(self, what: SrtEvent | Signal) -> None:
        """Something happened to the connection."""

    def cut_off(self) -> None:
        """The socket below is gone."""


class Runtime:
    """Owns the session of one socket and hands each notice of its core to whom it concerns."""

    def __init__(self, endpoint: DatagramEndpoint, network: Network, options: SrtOptions) -> None:
        self.core = Multiplexer(entropy=network.entropy)
        self.options = options
        self.troubles: list[Trouble] = []
        self.on_listener: Callable[[object], None] = lambda _: None
        """Told what happens at the door: requests, refusals, streams that were let in."""
        self._endpoint = endpoint
        self.make_owner: Callable[[Connection], Owner] = self._make_stream
        """Makes what a new connection belongs to: a stream, unless its listener or caller knows better."""
        self._streams: dict[int, Owner] = {}
        self._callers: dict[int, trio.Event] = {}
        self._outcomes: dict[int, Owner | RefusedError] = {}
        self._is_ending = False
        self._stopped = trio.Event()
        self.session: Session[Notice] = Session(
            self.core,
            [SessionPath(endpoint, options.effective_tick)],
            deliver=self._deliver,
            complain=self._complain,
        )

    @property
    def local_address(self) -> Address:
        """Where our socket is bound."""
        return self._endpoint.local_address

    async def start(self, nursery: trio.Nursery) -> None:
        """Run in *nursery* until closed; cancelled, every peer hears a goodbye."""
        await nursery.start(self.session.run)
        nursery.start_soon(self._say_goodbye_at_the_end)

    async def call(
        self, peer: Address, options: SrtOptions, *, terms: GroupTerms | None = None
    ) -> Owner | RefusedError:
        """Call *peer*: the owner of the connection, or why there is none."""
        return await self._outcome_of(self.core.call(peer, options, now=current_micros(), terms=terms))

    async def meet(self, peer: Address, options: SrtOptions) -> Owner | RefusedError:
        """Call a *peer* that calls us."""
        return await self._outcome_of(self.core.meet(peer, options, now=current_micros()))

    async def _outcome_of(self, socket_id: int) -> Owner | RefusedError:
        answered = self._callers[socket_id] = trio.Event()
        try:
            self.session.drain()
            await answered.wait()
        finally:
            del self._callers[socket_id]
            self.core.hang_up(socket_id)
        return self._outcomes.pop(socket_id)

    def end_when_idle(self) -> None:
        """Close the socket as soon as no stream uses it."""
        self._is_ending = True
        self._end_if_idle()

    def abort(self) -> None:
        """Say goodbye to everybody and close the socket, now."""
        now = current_micros()
        self.core.stop_listening(now=now)
        for connection in list(self.core.connections.values()):
            connection.abort(now=now)
            self.core.touch(connection, now=now)
        self.session.drain()
        self._stop()

    def _stop(self) -> None:
        self._stopped.set()
        self.session.stop()
        for stream in list(self._streams.values()):
            stream.cut_off()

    async def _say_goodbye_at_the_end(self) -> None:
        # A task of its own: when the nursery is cancelled it wakes before the session has closed the
        # endpoint.
        try:
            await self._stopped.wait()
        finally:
            if not self._stopped.is_set():
                self.abort()

    def _deliver(self, notices: list[Notice]) -> None:
        for socket_id, what in notices:
            if isinstance(what, Connection):
                self._add_stream(what)
            elif isinstance(what, RefusedError):
                self._finish_call(socket_id, what)
            elif socket_id == LISTENER:
                self.on_listener(what)
            else:
                stream = self._streams.get(socket_id)
                if stream is not None:
                    stream.notify(what)  # type: ignore[arg-type]
        if self._is_ending:
            self._end_if_idle()

    def _add_stream(self, connection: Connection) -> None:
        socket_id = connection.agreement.local_id
        stream = self.make_owner(connection)
        self._streams[socket_id] = stream
        if socket_id in self._callers:
            self._finish_call(socket_id, stream)
        else:
            self.on_listener(stream)

    def _make_stream(self, connection: Connection) -> SrtStream:
        return SrtStream(connection, self.core, self.session, self.local_address, self.forget)

    def _finish_call(self, socket_id: int, outcome: Owner | RefusedError) -> None:
        waiting = self._callers.get(socket_id)
        if waiting is not None:
            self._outcomes[socket_id] = outcome
            waiting.set()

    def forget(self, stream: Owner) -> None:
        """The owner of a connection is done with it."""
        self._streams.pop(stream.socket_id, None)
        if self._is_ending:
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        if not self._streams and not self.core.connections:
            self._stop()

    def _complain(self, trouble: Trouble) -> None:
        if len(self.troubles) < 64:
            self.troubles.append(trouble)


async def open_endpoint(
    network: Network, options: SrtOptions, local: Address, *, family: int
) -> DatagramEndpoint:
    """The UDP socket that these options ask for."""
    return await network.open_datagram_endpoint(
        EndpointOptions(
            local=local,
            family=family,
            interface=options.interface,
            ttl=options.ttl,
            tos=options.tos,
            send_buffer=options.udp_send_buffer,
            receive_buffer=options.udp_receive_buffer,
        )
    )
