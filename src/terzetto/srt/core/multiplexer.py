"""One UDP socket's worth of SRT: finds the connection a datagram belongs to, listens, and calls.

A `terzetto.driver.contract.Core`. Connections are told apart by the socket id in the fourth word, and a
datagram counts only when it comes from the address that the connection was made with.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Address, Buffer, EntropySource, Run
from terzetto.primitives.time import Micros
from terzetto.srt.core.caller import Caller
from terzetto.srt.core.connection import Connection, Signal, State
from terzetto.srt.core.listener import AttemptKey, ConnectionRequest, Listener
from terzetto.srt.core.negotiation import Agreement, GroupTerms, RefusedError
from terzetto.srt.core.rendezvous import Rendezvous
from terzetto.srt.events import ConnectionRefused, PeerConnected, SrtEvent
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.control import ControlHeader, ControlType
from terzetto.srt.wire.data import HEADER_SIZE
from terzetto.srt.wire.handshake import Handshake
from terzetto.srt.wire.rejection import RejectionReason

__all__ = ["LISTENER", "Multiplexer", "Notice"]

LISTENER = 0
"""The id under which a listener's own notices come."""

_HANDSHAKE_WORD = bytes.fromhex("80000000")
_LARGEST_ID = 0x3FFF_FFFF

What: TypeAlias = SrtEvent | Signal | Connection | RefusedError | ConnectionRequest


class Notice(NamedTuple):
    """Something happened to the connection, the call or the listener with this id.

    A `Connection` says that it is established; `RefusedError`, that a call failed; a `ConnectionRequest`,
    that somebody must be let in or turned away.
    """

    socket_id: int
    what: What


class Multiplexer:
    """Connections, calls and perhaps a listener on one socket."""

    def __init__(self, *, entropy: EntropySource) -> None:
        self.connections: dict[int, Connection] = {}
        self.listener: Listener | None = None
        self.malformed: dict[str, int] = {}
        self._entropy = entropy
        self._calls: dict[int, Caller | Rendezvous] = {}
        self._attempts: dict[int, AttemptKey] = {}
        self._transmits: list[Run] = []
        self._notices: list[Notice] = []
        self._alarms: list[tuple[Micros, int]] = []
        self._scheduled: dict[int, Micros] = {}

    def listen(self, options: SrtOptions, *, now: Micros) -> None:
        """Begin to answer callers."""
        self.listener = Listener(options, entropy=self._entropy, now=now)

    def call(
        self, peer: Address, options: SrtOptions, *, now: Micros, terms: GroupTerms | None = None
    ) -> int:
        """Begin to call *peer*; the socket id under which notices about it come."""
        socket_id = self._new_id()
        caller = Caller(
            peer, options, local_id=socket_id, local=None, entropy=self._entropy, now=now, terms=terms
        )
        self._calls[socket_id] = caller
        self._run_call(socket_id, caller, now)
        return socket_id

    def meet(self, peer: Address, options: SrtOptions, *, now: Micros) -> int:
        """Begin to call a *peer* that calls us; the socket id under which notices about it come."""
        socket_id = self._new_id()
        call = Rendezvous(peer, options, local_id=socket_id, local=None, entropy=self._entropy, now=now)
        self._calls[socket_id] = call
        self._run_call(socket_id, call, now)
        return socket_id

    def hang_up(self, socket_id: int) -> None:
        """Give a call up."""
        self._calls.pop(socket_id, None)

    def accept(
        self,
        request: ConnectionRequest,
        options: SrtOptions,
        *,
        now: Micros,
        terms: GroupTerms | None = None,
    ) -> Connection | None:
        """Let a caller in; None when its handshake does not fit, which it has been told."""
        listener = self.listener
        if listener is None or request.key not in listener.pending:
            return None
        if len(self.connections) >= options.max_connections:
            self.refuse(request, RejectionReason.RESOURCE, now=now, why="too many connections")
            return None
        socket_id = self._new_id()
        try:
            agreement = listener.accept(request, options, local_id=socket_id, now=now, terms=terms)
        except RefusedError as refusal:
            self._tell_refusal(request.peer, request.stream_id, refusal)
            self._collect_listener()
            return None
        self._collect_listener()
        self._attempts[socket_id] = request.key
        listener.unaccepted += 1
        return self._establish(agreement, now)

    def refuse(self, request: ConnectionRequest, code: int, *, now: Micros, why: str = "") -> None:
        """Turn a caller away."""
        if self.listener is not None and request.key in self.listener.pending:
            self.listener.refuse(request, code, now=now)
            self._tell_refusal(request.peer, request.stream_id, RefusedError(code, why))
            self._collect_listener()

    def stop_listening(self, *, now: Micros) -> None:
        """Turn away everybody who comes from now on; connections stay."""
        if self.listener is not None:
            self.listener.close(now=now)
            self._collect_listener()

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Take in what the network brought."""
        for run in runs:
            datagrams: Sequence[Buffer] = run.datagrams
            connection = self._connection_of(datagrams[0], run.peer) if datagrams else None
            if connection is not None:
                datagrams = connection.handle_run(datagrams, now=now)
                self._settle(connection, now)
            for datagram in datagrams:
                self._handle_single(datagram, run, now)

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due on every connection and call."""
        alarms = self._alarms
        due_now: list[int] = []
        while alarms and alarms[0][0] <= now:
            due, socket_id = heapq.heappop(alarms)
            if self._scheduled.get(socket_id) == due:
                del self._scheduled[socket_id]
                due_now.append(socket_id)
        # Each once: whatever still has something to do afterwards does it at the next call.
        for socket_id in due_now:
            connection = self.connections.get(socket_id)
            if connection is not None:
                soonest = connection.next_timeout()
                if soonest is not None and soonest <= now:
                    connection.handle_timeout(now=now)
                self._settle(connection, now)
            elif socket_id in self._calls:
                self._run_call(socket_id, self._calls[socket_id], now)

    def touch(self, connection: Connection, *, now: Micros) -> None:
        """Call after every command given to *connection*."""
        self._settle(connection, now)

    def poll_transmits(self) -> list[Run]:
        """Datagrams to put on the wire."""
        transmits = self._transmits
        if transmits:
            self._transmits = []
        return transmits

    def poll_events(self) -> list[Notice]:
        """What happened, for whoever owns the streams."""
        notices = self._notices
        if notices:
            self._notices = []
        return notices

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout`."""
        return self._alarms[0][0] if self._alarms else None

    def _connection_of(self, datagram: Buffer, peer: Address) -> Connection | None:
        connection = self.connections.get(int.from_bytes(datagram[12:16], "big"))
        if connection is None or connection.agreement.peer != peer:
            return None
        return connection

    def _handle_single(self, datagram: Buffer, run: Run, now: Micros) -> None:
        """A datagram that is not obviously a connection's."""
        connection = self._connection_of(datagram, run.peer)
        if connection is not None:
            connection.handle_run([datagram], now=now)
            self._settle(connection, now)
        elif datagram[:4] == _HANDSHAKE_WORD:
            try:
                header = ControlHeader.decode(datagram)
                packet = Handshake.decode(datagram[HEADER_SIZE:])
            except MalformedPacket as exc:
                self._count(exc.reason)
                return
            if header.destination == 0 and (meeting := self._meeting_with(run.peer)):
                self._handle_answer(packet, header._replace(destination=meeting), run.peer, now)
            elif header.destination == 0:
                self._handle_stranger(packet, header, run, len(datagram), now)
            else:
                self._handle_answer(packet, header, run.peer, now)
        elif not self._is_sign_of_agreement(datagram, run, now):
            self._count("datagram for no connection of ours")

    def _is_sign_of_agreement(self, datagram: Buffer, run: Run, now: Micros) -> bool:
        """Whether this tells us that a rendezvous is complete, whose last word was lost."""
        call = self._calls.get(int.from_bytes(datagram[12:16], "big"))
        if not isinstance(call, Rendezvous) or call.agreement is None or call.peer != run.peer:
            return False
        del self._calls[call.agreement.local_id]
        connection = self._establish(call.agreement, now)
        connection.handle_run([datagram], now=now)
        self._settle(connection, now)
        return True

    def _handle_stranger(
        self, packet: Handshake, header: ControlHeader, run: Run, size: int, now: Micros
    ) -> None:
        listener = self.listener
        if listener is None:
            self._count("handshake for a listener, and there is none")
            return
        outcome = listener.handle_handshake_untrusted(
            packet, peer=run.peer, local=run.local, timestamp=header.timestamp, size=size, now=now
        )
        self._collect_listener()
        if isinstance(outcome, RefusedError):
            self._tell_refusal(run.peer, "", outcome)
        elif outcome is not None:
            self._notices.append(Notice(LISTENER, outcome))

    def _meeting_with(self, peer: Address) -> int:
        """The rendezvous that a first word from *peer* belongs to, or 0.

        A translator on the way may have moved the peer to another port than it was said to use.
        """
        for socket_id, call in self._calls.items():
            if isinstance(call, Rendezvous) and call.peer.host == peer.host:
                if call.peer != peer and not call.has_heard:
                    call.peer = peer
                if call.peer == peer:
                    return socket_id
        return 0

    def _handle_answer(self, packet: Handshake, header: ControlHeader, peer: Address, now: Micros) -> None:
        caller = self._calls.get(header.destination)
        if caller is None or caller.peer != peer or header.kind != ControlType.HANDSHAKE:
            self._count("handshake for no call of ours")
            return
        try:
            agreement = caller.handle_handshake(packet, timestamp=header.timestamp, now=now)
        except RefusedError as refusal:
            self._collect_call(header.destination, caller)
            self._end_call(header.destination, refusal)
            return
        self._collect_call(header.destination, caller)
        if agreement is not None:
            del self._calls[header.destination]
            self._establish(agreement, now)

    def _run_call(self, socket_id: int, caller: Caller | Rendezvous, now: Micros) -> None:
        try:
            caller.handle_timeout(now=now)
        except RefusedError as refusal:
            self._end_call(socket_id, refusal)
        else:
            self._collect_call(socket_id, caller)

    def _collect_call(self, socket_id: int, caller: Caller | Rendezvous) -> None:
        if caller.transmits:
            self._transmits.append(Run(caller.peer, caller.transmits, local=caller.local))
            caller.transmits = []
        self._schedule(socket_id, caller.next_timeout())

    def _end_call(self, socket_id: int, refusal: RefusedError) -> None:
        del self._calls[socket_id]
        self._notices.append(Notice(socket_id, refusal))

    def _establish(self, agreement: Agreement, now: Micros) -> Connection:
        connection = Connection(agreement, now=now)
        self.connections[agreement.local_id] = connection
        self._notices.append(Notice(agreement.local_id, connection))
        connected = PeerConnected(agreement.peer, agreement.stream_id, agreement.peer_version)
        self._notices.append(Notice(agreement.local_id, connected))
        self._notices.append(Notice(agreement.local_id, connection.security()))
        self._settle(connection, now)
        return connection

    def _settle(self, connection: Connection, now: Micros) -> None:
        """Take what a connection wants sent and told, and set its alarm."""
        socket_id = connection.agreement.local_id
        run = connection.poll_run()
        if run is not None:
            self._transmits.append(run)
        if connection.happenings:
            self._notices += [Notice(socket_id, what) for what in connection.happenings]
            connection.happenings = []
        if connection.state is State.CLOSED:
            if self.connections.pop(socket_id, None) is not None:
                self._scheduled.pop(socket_id, None)
                attempt = self._attempts.pop(socket_id, None)
                if attempt is not None and self.listener is not None:
                    self.listener.forget(attempt, now=now)
            return
        due = connection.next_timeout()
        if due is not None:
            self._schedule(socket_id, due)

    def _schedule(self, socket_id: int, due: Micros) -> None:
        """Make sure of a look at *due*. An earlier look stays: it costs less than finding and moving it."""
        scheduled = self._scheduled.get(socket_id)
        if scheduled is None or due < scheduled:
            self._scheduled[socket_id] = due
            heapq.heappush(self._alarms, (due, socket_id))

    def _collect_listener(self) -> None:
        if self.listener is not None and self.listener.transmits:
            self._transmits += [
                Run(peer, [packet], local=local) for peer, local, packet in self.listener.transmits
            ]
            self.listener.transmits = []

    def _tell_refusal(self, peer: Address, stream_id: str, refusal: RefusedError) -> None:
        self._notices.append(Notice(LISTENER, ConnectionRefused(peer, stream_id, refusal.code, str(refusal))))

    def _count(self, reason: str) -> None:
        self.malformed[reason] = self.malformed.get(reason, 0) + 1

    def _new_id(self) -> int:
        while True:
            socket_id = int.from_bytes(self._entropy(4), "big") & _LARGEST_ID
            if socket_id and socket_id not in self.connections and socket_id not in self._calls:
                return socket_id
