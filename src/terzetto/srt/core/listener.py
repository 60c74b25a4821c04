"""The listening side of handshakes: no state before a good cookie, and little before an answer.

A caller's conclusion becomes a `ConnectionRequest`. Whoever owns the listener accepts or refuses it, at once
or later; what was answered is remembered for callers that ask again because the answer was lost.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import attrs

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Address, EntropySource
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.srt.core.cookie import CookieJar
from terzetto.srt.core.flood import AttemptLimit
from terzetto.srt.core.legacy import LEGACY_REFUSAL, agree_legacy, check_legacy
from terzetto.srt.core.negotiation import (
    Agreement,
    GroupTerms,
    RefusedError,
    agree_as_responder,
    encryption_field,
    make_keys,
)
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.control import ControlType, encode_control
from terzetto.srt.wire.extensions import Capability, ExtensionRefused, Extensions, GroupMembership
from terzetto.srt.wire.handshake import (
    CONCLUSION,
    DATAGRAMS,
    HANDSHAKE_SIZE,
    INDUCTION,
    MAGIC,
    REJECTION_BASE,
    Handshake,
)
from terzetto.srt.wire.rejection import APPLICATION_FALLBACK, RejectionReason
from terzetto.srt.wire.stream_id import StreamName, parse_stream_id

__all__ = ["AttemptKey", "ConnectionRequest", "Listener"]

# How long an answer is remembered for callers that did not get it, and how many.
_REMEMBERED_FOR: Final = 10 * MICROS_PER_SECOND
_MOST_REMEMBERED: Final = 4096

AttemptKey: TypeAlias = tuple[Address, int, int]
"""Peer, its socket id, its initial sequence number: what makes repeated conclusions one attempt."""


@attrs.frozen(kw_only=True)
class ConnectionRequest:
    """A caller at the door: what it said of itself, none of it proven but the address."""

    peer: Address
    local: str | None
    stream_id: str
    peer_version: int
    is_encrypted: bool
    group: GroupMembership | None
    handshake: Handshake = attrs.field(repr=False)
    extensions: Extensions = attrs.field(repr=False)
    timestamp: int = attrs.field(repr=False)
    received_at: Micros = attrs.field(repr=False)

    @property
    def name(self) -> StreamName:
        """The stream id, taken apart."""
        return parse_stream_id(self.stream_id)

    @property
    def transmission_type(self) -> str:
        """``"live"`` or ``"file"``: what the caller wants to be let in on; another controller's name is neither."""
        return self.extensions.congestion.decode("ascii", "replace") or "live"

    @property
    def message_api(self) -> bool:
        """Whether the caller keeps messages apart; otherwise it sends a stream of bytes."""
        capabilities = self.extensions.capabilities
        return capabilities is None or not capabilities.flags & Capability.STREAM

    @property
    def handshake_version(self) -> int:
        """5, or 4 of a caller of before 1.3.0, which says nothing of itself before it sends."""
        return self.handshake.version

    @property
    def key(self) -> AttemptKey:
        """What repeated conclusions of this attempt have in common."""
        return self.peer, self.handshake.socket_id, self.handshake.initial_sequence


class Listener:
    """Answers inductions, checks conclusions, and answers; ``transmits`` are (peer, local, packet)."""

    def __init__(self, options: SrtOptions, *, entropy: EntropySource, now: Micros) -> None:
        self.options = options
        self.transmits: list[tuple[Address, str | None, bytes]] = []
        self.pending: dict[AttemptKey, ConnectionRequest] = {}
        self.unaccepted = 0
        """Connections that are established and not yet picked up by whoever accepts."""
        self.is_closing = False
        self._entropy = entropy
        self._jar = CookieJar(entropy(32))
        self._limit = AttemptLimit()
        self._started_at = now
        self._remembered: dict[AttemptKey, tuple[Micros, Handshake | None, Micros]] = {}

    def handle_handshake_untrusted(
        self, packet: Handshake, *, peer: Address, local: str | None, timestamp: int, size: int, now: Micros
    ) -> ConnectionRequest | RefusedError | None:
        """A handshake for nobody in particular; a request that waits for `accept` or `refuse`, if it is one.

        `RefusedError` is what the caller has been told already.
        """
        if packet.kind == INDUCTION:
            # Nothing is answered that is larger than the question, so nobody can be flooded through us.
            if size >= HANDSHAKE_SIZE + 16:
                self._induct(packet, peer, local, now)
            return None
        if packet.kind != CONCLUSION or not self._jar.is_ours(packet.cookie, peer, now=now):
            return None
        key = (peer, packet.socket_id, packet.initial_sequence)
        if key in self.pending or self._answer_again(key, peer, local, now):
            return None
        if not self._limit.allows(peer.host, now=now):
            return None
        try:
            request = self._read(packet, peer, local, timestamp, now)
        except RefusedError as refusal:
            self._send_refusal(packet, peer, local, refusal.code, now)
            return refusal
        self.pending[key] = request
        return request

    def accept(
        self,
        request: ConnectionRequest,
        options: SrtOptions,
        *,
        local_id: int,
        now: Micros,
        terms: GroupTerms | None = None,
    ) -> Agreement:
        """Let a caller in on these options; `RefusedError`, and the caller told, when it does not fit."""
        started_at = now if terms is None else terms.started_at
        self.pending.pop(request.key, None)
        try:
            agreement, blocks = self._agree(request, options, local_id, started_at, terms)
        except RefusedError as refusal:
            self._send_refusal(request.handshake, request.peer, request.local, refusal.code, now)
            raise
        answer = attrs.evolve(
            request.handshake,
            encryption=0,
            extension=DATAGRAMS if agreement.is_legacy else blocks.flags,
            mss=agreement.mss,
            flow_window=options.receive_buffer_packets,
            socket_id=local_id,
            blocks=blocks.encode(is_response=True),
        )
        self._remember(request.key, answer, started_at=started_at, until=1 << 62)
        self._send(answer, request, started_at=started_at, now=now)
        return agreement

    def _agree(
        self,
        request: ConnectionRequest,
        options: SrtOptions,
        local_id: int,
        started_at: Micros,
        terms: GroupTerms | None,
    ) -> tuple[Agreement, Extensions]:
        keys = make_keys(options, self._entropy)
        if request.handshake_version == 4:
            check_legacy(options, terms=terms)
            agreement = agree_legacy(
                request.handshake,
                options=options,
                keys=keys,
                local_id=local_id,
                peer=request.peer,
                local=request.local,
                started_at=started_at,
                timestamp=request.timestamp,
                now=request.received_at,
            )
            return agreement, Extensions()
        return agree_as_responder(
            request.handshake,
            request.extensions,
            options=options,
            keys=keys,
            local_id=local_id,
            peer=request.peer,
            local=request.local,
            timestamp=request.timestamp,
            started_at=started_at,
            now=request.received_at,
            terms=terms,
        )

    def refuse(self, request: ConnectionRequest, code: int, *, now: Micros) -> None:
        """Turn a caller away."""
        self.pending.pop(request.key, None)
        self._send_refusal(request.handshake, request.peer, request.local, code or APPLICATION_FALLBACK, now)

    def forget(self, key: AttemptKey, *, now: Micros) -> None:
        """The connection of this attempt is over; a late copy of its conclusion revives nothing."""
        self._remembered.pop(key, None)
        self._remember(key, None, started_at=now, until=now + _REMEMBERED_FOR)

    def close(self, *, now: Micros) -> None:
        """Take no more callers, and say so to those who wait."""
        self.is_closing = True
        for request in list(self.pending.values()):
            self.refuse(request, RejectionReason.CLOSE, now=now)

    def _induct(self, packet: Handshake, peer: Address, local: str | None, now: Micros) -> None:
        answer = attrs.evolve(
            packet,
            version=5,
            encryption=encryption_field(self.options),
            extension=MAGIC,
            cookie=self._jar.bake(peer, now=now),
            blocks=b"",
        )
        self.transmits.append((peer, local, self._encode(answer, packet.socket_id, now - self._started_at)))

    def _read(
        self, packet: Handshake, peer: Address, local: str | None, timestamp: int, now: Micros
    ) -> ConnectionRequest:
        if packet.version not in (4, 5):
            raise RefusedError(RejectionReason.VERSION, "the caller speaks a version that is unknown")
        if packet.version == 4 and (packet.encryption, packet.extension) != (0, DATAGRAMS):
            raise RefusedError(RejectionReason.ROGUE, "what calls is not SRT")
        if self.is_closing:
            raise RefusedError(RejectionReason.CLOSE, "the listener is closing")
        if len(self.pending) + self.unaccepted >= self.options.backlog:
            raise RefusedError(RejectionReason.BACKLOG, "too many callers wait already")
        if packet.version == 4:
            return self._request(packet, Extensions(), peer, local, timestamp, now)
        try:
            extensions = Extensions.decode(packet.blocks)
        except ExtensionRefused as exc:
            raise RefusedError(exc.rejection, exc.reason) from None
        except MalformedPacket as exc:
            raise RefusedError(RejectionReason.ROGUE, exc.reason) from None
        if extensions.capabilities is None:
            raise RefusedError(RejectionReason.ROGUE, "the handshake says nothing of SRT")
        return self._request(packet, extensions, peer, local, timestamp, now)

    @staticmethod
    def _request(
        packet: Handshake,
        extensions: Extensions,
        peer: Address,
        local: str | None,
        timestamp: int,
        now: Micros,
    ) -> ConnectionRequest:
        return ConnectionRequest(
            peer=peer,
            local=local,
            stream_id=extensions.stream_id.decode("utf-8", "replace"),
            peer_version=0 if extensions.capabilities is None else extensions.capabilities.version,
            is_encrypted=bool(extensions.key_material),
            group=extensions.group,
            handshake=packet,
            extensions=extensions,
            timestamp=timestamp,
            received_at=now,
        )

    def _answer_again(self, key: AttemptKey, peer: Address, local: str | None, now: Micros) -> bool:
        known = self._remembered.get(key)
        if known is None:
            return False
        until, answer, started_at = known
        if now >= until:
            del self._remembered[key]
            return False
        if answer is not None:
            # Stamped anew, for the caller counts its peer's time from this very packet.
            self.transmits.append((peer, local, self._encode(answer, key[1], now - started_at)))
        return True

    def _remember(
        self, key: AttemptKey, answer: Handshake | None, *, started_at: Micros, until: Micros
    ) -> None:
        remembered = self._remembered
        remembered[key] = (until, answer, started_at)
        if len(remembered) > _MOST_REMEMBERED + self.options.max_connections:
            del remembered[next(iter(remembered))]

    def _send_refusal(
        self, packet: Handshake, peer: Address, local: str | None, code: int, now: Micros
    ) -> None:
        code = code if packet.version > 4 else LEGACY_REFUSAL
        answer = attrs.evolve(packet, kind=REJECTION_BASE + code, blocks=b"")
        key = (peer, packet.socket_id, packet.initial_sequence)
        self._remember(key, answer, started_at=self._started_at, until=now + _REMEMBERED_FOR)
        self.transmits.append((peer, local, self._encode(answer, packet.socket_id, now - self._started_at)))

    def _send(
        self, answer: Handshake, request: ConnectionRequest, *, started_at: Micros, now: Micros
    ) -> None:
        packet = self._encode(answer, request.handshake.socket_id, now - started_at)
        self.transmits.append((request.peer, request.local, packet))

    def _encode(self, answer: Handshake, destination: int, timestamp: int) -> bytes:
        return encode_control(
            ControlType.HANDSHAKE, timestamp=timestamp, destination=destination, body=answer.encode()
        )
