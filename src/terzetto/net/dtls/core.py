"""Who may hold state, and which association a datagram belongs to; no sockets, no clock, no randomness of its own.

What a stranger costs at a listening end: nothing before its cookie came back, then one of ``max_handshakes`` places for
``handshake_timeout`` at most, and one of ``max_sessions`` only once it has proved what ``verify`` asks. An established
association stays while its address shakes hands anew, and ends when that has succeeded, not before.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from terzetto.errors import MalformedPacket, PeerTimedOut, WrongProtocol
from terzetto.net.dtls.association import Association, State
from terzetto.net.dtls.context import DtlsContext
from terzetto.net.dtls.cookies import CookieJar
from terzetto.net.dtls.news import DtlsEnded, DtlsEstablished, DtlsEvent, DtlsPeer, DtlsStatistics
from terzetto.net.dtls.options import DtlsOptions
from terzetto.net.dtls.records import (
    ClientHello,
    ContentType,
    epoch_of,
    hello_verify_request,
    is_client_hello,
    is_record,
)
from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros, micros

__all__ = ["DtlsCore"]

_EVENTS_KEPT: Final = 256

# The part of all handshakes that one host may have going on: a quarter.
_SHARE_OF_ONE_HOST: Final = 4


class DtlsCore:
    """All associations of one endpoint: one at most, with *remote*, or those of everybody who calls."""

    def __init__(self, options: DtlsOptions, *, remote: Address | None, cookie_key: bytes) -> None:
        self.context = DtlsContext(options, is_server=remote is None)
        self.remote = remote
        self._options = options
        self._cookies = CookieJar(cookie_key)
        self._handshakes: dict[Address, Association] = {}
        self._sessions: dict[Address, Association] = {}
        # The hello that an association answers, so that a repeat of it is not taken for another.
        self._hellos: dict[Association, ClientHello] = {}
        self._locals: dict[Address, str | None] = {}
        self._transmits: list[Run] = []
        self._events: deque[DtlsEvent] = deque(maxlen=_EVENTS_KEPT)
        self._deadline: Micros | None = None
        # A call whose answers made no sense is made again then, as one that began at the second moment.
        self._call_again: tuple[Micros, Micros] | None = None
        self._foreign = False
        self._dropped: Counter[str] = Counter()
        self._established = self._failed = 0
        self.unsent = 0

    # -- what happened

    def start(self, *, now: Micros) -> None:
        """Call the remote end, unless that is going on or done."""
        assert self.remote is not None
        if not self.is_calling and self.remote not in self._sessions:
            self._foreign = False
            self._call(self.remote, now=now, began=now)

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> list[Run]:
        """What the network brought; the runs of datagrams that were in it."""
        received: list[Run] = []
        for run in runs:
            datagrams: list[Buffer] = []
            for datagram in run.datagrams:
                datagrams += self._take(run.peer, run.local, datagram, now)
            if datagrams:
                received.append(run._replace(datagrams=datagrams))
        return received

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""
        if self._deadline is None or now < self._deadline:
            return
        for association in [*self._handshakes.values(), *self._sessions.values()]:
            deadline = association.next_timeout()
            if deadline is not None and deadline <= now:
                association.handle_timeout(now=now)
                self._settle(association, now)
        if self._call_again is not None and self._call_again[0] <= now:
            (_, began), self._call_again = self._call_again, None
            assert self.remote is not None
            self._call(self.remote, now=now, began=began)
        deadlines = [each.next_timeout() for each in (*self._handshakes.values(), *self._sessions.values())]
        if self._call_again is not None:
            deadlines.append(self._call_again[0])
        self._deadline = min((each for each in deadlines if each is not None), default=None)

    def close(self) -> None:
        """Say goodbye to everybody."""
        for association in [*self._sessions.values(), *self._handshakes.values()]:
            association.close()
            self._transmit(association)
        self._sessions.clear()
        self._handshakes.clear()
        self._hellos.clear()
        self._call_again = None
        self._deadline = None

    # -- what to do

    def session(self, peer: Address) -> Association | None:
        """The established association with *peer*."""
        return self._sessions.get(peer)

    @property
    def is_calling(self) -> bool:
        """Whether a handshake with the remote end is going on."""
        return self.remote in self._handshakes or self._call_again is not None

    def peers(self) -> list[DtlsPeer]:
        """Whom we have an association with."""
        return [each.info for each in self._sessions.values() if each.info is not None]

    def poll_transmits(self) -> list[Run]:
        """Datagrams to put on the wire, in order."""
        transmits, self._transmits = self._transmits, []
        return transmits

    def poll_events(self) -> list[DtlsEvent]:
        """Who came and went."""
        events = list(self._events)
        self._events.clear()
        return events

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next; may be earlier than something is due."""
        return self._deadline

    def statistics(self) -> DtlsStatistics:
        """Counters since the endpoint was made."""
        return DtlsStatistics(
            sessions=len(self._sessions),
            handshakes=len(self._handshakes),
            established=self._established,
            failed=self._failed,
            dropped=dict(self._dropped),
            unsent=self.unsent,
        )

    # -- inside

    def _take(self, peer: Address, local: str | None, datagram: Buffer, now: Micros) -> list[bytes]:
        if not is_record(datagram):
            self._foreign = self._foreign or peer == self.remote
            return self._drop("not DTLS")
        if self.remote is None and is_client_hello(datagram):
            return self._greet(peer, local, bytes(datagram), now)
        association = self._whose(peer, datagram)
        if association is None:
            return self._drop("no association")
        was_handshaking = association.state is State.HANDSHAKING
        received = association.handle_datagram(datagram, now=now)
        if was_handshaking or not received:
            self._settle(association, now)
            if not received and not was_handshaking and datagram[0] == ContentType.APPLICATION_DATA:
                self._dropped["forged or repeated"] += 1
        return received

    def _whose(self, peer: Address, datagram: Buffer) -> Association | None:
        session, handshake = self._sessions.get(peer), self._handshakes.get(peer)
        if session is None or handshake is None:
            return session or handshake
        # Two at one address: the new one gets what belongs to handshakes, the old one everything that has keys.
        kind = datagram[0]
        is_handshake = kind in (ContentType.HANDSHAKE, ContentType.CHANGE_CIPHER_SPEC)
        return handshake if is_handshake or not epoch_of(datagram) else session

    def _greet(self, peer: Address, local: str | None, datagram: bytes, now: Micros) -> list[bytes]:
        try:
            hello = ClientHello.decode_untrusted(datagram)
        except MalformedPacket as exc:
            return self._drop(exc.reason)
        if not self._cookies.is_ours(hello.cookie, peer, hello.parameters, now=now):
            cookie = self._cookies.bake(peer, hello.parameters, now=now)
            self._transmits.append(Run(peer, [hello_verify_request(hello, cookie)], 0, local))
            return []
        for known in (self._handshakes.get(peer), self._sessions.get(peer)):
            if known is not None and self._hellos[known].parameters == hello.parameters:
                return self._drop("repeated ClientHello")
        if not self._has_room_for(peer):
            return self._drop("too many peers")
        self._locals[peer] = local
        association = Association(self.context, peer, now=now)
        self._forget(self._handshakes.get(peer))
        self._hellos[association] = hello
        self._handshakes[peer] = association
        association.accept_hello(datagram, now=now)
        self._settle(association, now)
        return []

    def _has_room_for(self, peer: Address) -> bool:
        if peer in self._handshakes:
            return True  # takes the place of its own
        options = self._options
        if len(self._handshakes) >= options.max_handshakes:
            return False
        if len(self._sessions) >= options.max_sessions and peer not in self._sessions:
            return False
        share = max(1, options.max_handshakes // _SHARE_OF_ONE_HOST)
        return sum(each.host == peer.host for each in self._handshakes) < share

    def _call(self, peer: Address, *, now: Micros, began: Micros) -> None:
        association = self._handshakes[peer] = Association(self.context, peer, now=now, began=began)
        association.start(now=now)
        self._settle(association, now)

    def _settle(self, association: Association, now: Micros) -> None:
        """Act on what an association has become."""
        self._transmit(association)
        peer = association.peer
        if association.state is State.ENDED:
            self._bury(association, now)
        elif association.state is State.ESTABLISHED and self._handshakes.get(peer) is association:
            del self._handshakes[peer]
            if len(self._sessions) >= self._options.max_sessions and peer not in self._sessions:
                # Others were faster since the handshake began.
                association.close()
                self._transmit(association)
                self._forget(association)
                self._drop("too many peers")
                return
            replaced = self._sessions.get(peer)
            self._forget(replaced)
            self._sessions[peer] = association
            self._established += 1
            assert association.info is not None
            self._events.append(DtlsEstablished(association.info, replaced is not None))
        deadline = association.next_timeout()
        if deadline is not None and (self._deadline is None or deadline < self._deadline):
            self._deadline = deadline

    def _bury(self, association: Association, now: Micros) -> None:
        peer, error = association.peer, association.error
        was_established = self._sessions.get(peer) is association
        self._forget(association)
        if not was_established:
            again_at = now + micros(self._options.retransmit_after)
            end = association.began + micros(self._options.handshake_timeout)
            if association.malformed and self.remote is not None and again_at < end:
                # Anybody can forge an answer until there are keys, so one that makes no sense proves nothing. Not at
                # once: what is still on its way answers the old call and would make no sense to the new one.
                self._drop("forged answer to a handshake")
                self._call_again = again_at, association.began
                self._deadline = again_at
                return
            self._failed += 1
        if isinstance(error, PeerTimedOut) and not was_established and self._foreign:
            error = WrongProtocol(f"{peer} answers, but not with DTLS", hint="is DTLS on at its end?")
        self._events.append(DtlsEnded(peer, error, was_established))

    def _forget(self, association: Association | None) -> None:
        if association is None:
            return
        self._hellos.pop(association, None)
        for table in (self._handshakes, self._sessions):
            if table.get(association.peer) is association:
                del table[association.peer]
        if association.peer not in self._handshakes and association.peer not in self._sessions:
            self._locals.pop(association.peer, None)

    def _transmit(self, association: Association) -> None:
        datagrams = association.poll_transmits()
        if datagrams:
            local = self._locals.get(association.peer)
            self._transmits.append(Run(association.peer, datagrams, 0, local))

    def _drop(self, reason: str) -> list[bytes]:
        self._dropped[reason] += 1
        return []
