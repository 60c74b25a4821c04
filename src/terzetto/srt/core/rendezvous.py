"""Two sides that call each other at the same time, each from the port where it is called.

Each waves with a cookie. The cookies are compared, and the one that wins plays the caller (*initiator*), the other
the listener (*responder*); from there on both say what they would have said over a listener's socket::

    WAVEAHAND   "here I am"  cookie        both, until each has seen the other's
    CONCLUSION  capabilities, keys         initiator asks, responder answers; empty where there is nothing to say yet
    AGREEMENT   "I have all I need"        initiator, once; anything else of the connection says the same

One side may come late: it sees a wave at once, and its first conclusion meets a peer that is still waving.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import attrs

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Address, EntropySource
from terzetto.primitives.time import Micros, micros
from terzetto.srt.core.negotiation import (
    Agreement,
    RefusedError,
    agree_as_initiator,
    agree_as_responder,
    encryption_field,
    make_keys,
    offer_extensions,
    out_of_time,
    refused_by,
)
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.control import ControlType, encode_control
from terzetto.srt.wire.extensions import ExtensionRefused, Extensions
from terzetto.srt.wire.handshake import (
    AGREEMENT,
    CONCLUSION,
    REJECTION_BASE,
    WAVEAHAND,
    Handshake,
    encode_peer_ip,
)
from terzetto.srt.wire.numbers import SEQUENCE_MASK
from terzetto.srt.wire.rejection import RejectionReason

__all__ = ["PATIENCE_FACTOR", "Rendezvous", "Role", "contest"]

_REPEAT: Final = 250_000

PATIENCE_FACTOR: Final = 10
"""A rendezvous waits ten connect timeouts, as libsrt does: nobody knows when the other side starts."""

_TIE: Final = 0x8000_0000


class Role(Enum):
    """Who asks, and who answers."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


def contest(mine: int, theirs: int) -> Role | None:
    """Who wins by these cookies; None when they are equal and nobody does.

    The difference is taken round the circle of 32 bits. Just half way round it has no sign of its own, so there the
    larger cookie, read with a sign, wins.
    """
    difference = (mine - theirs) & 0xFFFF_FFFF
    if difference == 0:
        return None
    if difference == _TIE:
        return Role.INITIATOR if (mine ^ _TIE) > (theirs ^ _TIE) else Role.RESPONDER
    return Role.RESPONDER if difference & _TIE else Role.INITIATOR


class Rendezvous:
    """One attempt to meet; ``transmits`` holds what to send."""

    def __init__(
        self,
        peer: Address,
        options: SrtOptions,
        *,
        local_id: int,
        local: str | None,
        entropy: EntropySource,
        now: Micros,
    ) -> None:
        self.peer = peer
        self.local = local
        # Neither side may leave the choice to the other here: by itself it is CTR.
        mode = "ctr" if options.crypto_mode == "auto" else options.crypto_mode
        self.options = attrs.evolve(options, crypto_mode=mode)
        self.transmits: list[bytes] = []
        self.has_heard = False
        """Whether anything came from the peer."""
        self.agreement: Agreement | None = None
        """What a responder has agreed to; it holds from the first sign that the initiator has our answer."""
        self._local_id = local_id
        self._initial_sequence = int.from_bytes(entropy(4), "big") % SEQUENCE_MASK
        self._cookie = int.from_bytes(entropy(4), "big") or 1
        self._entropy = entropy
        self._keys = make_keys(options, entropy)
        self._started_at = now
        self._give_up_at = now + PATIENCE_FACTOR * micros(options.connect_timeout)
        self._repeat_at = now
        self._peer_id = 0
        self._advertised = 0
        self._role: Role | None = None
        self._saying = self._make(WAVEAHAND)

    def next_timeout(self) -> Micros:
        """When to call `handle_timeout`."""
        return min(self._repeat_at, self._give_up_at)

    def handle_timeout(self, *, now: Micros) -> None:
        """Say it again; raises `RefusedError` when time is up."""
        if now >= self._give_up_at:
            raise out_of_time(has_heard=self.has_heard)
        if now >= self._repeat_at:
            self._say(now)

    def handle_handshake(self, packet: Handshake, *, timestamp: int, now: Micros) -> Agreement | None:
        """Take in what the peer says: the agreement when nothing more is needed; or `RefusedError`."""
        if packet.is_rejection:
            self.has_heard = True
            raise refused_by(packet)
        if packet.kind not in (WAVEAHAND, CONCLUSION, AGREEMENT):
            return None  # a caller, who is at the wrong door
        self.has_heard = True
        try:
            return self._take(packet, timestamp, now)
        except RefusedError as refusal:
            self._send(attrs.evolve(self._make(REJECTION_BASE + refusal.code), extension=0), now)
            raise

    def _take(self, packet: Handshake, timestamp: int, now: Micros) -> Agreement | None:
        if packet.version != 5:
            raise RefusedError(RejectionReason.VERSION, "the peer speaks a version of before 1.3.0")
        if packet.socket_id != self._peer_id:
            self._meet(packet)
        if packet.kind == AGREEMENT:
            return self.agreement
        if packet.kind == CONCLUSION and packet.blocks:
            if self._role is Role.INITIATOR:
                return self._conclude(packet, timestamp, now)
            if self.agreement is None:
                self._answer(packet, timestamp, now)
        self._say(now)
        return None

    def _meet(self, packet: Handshake) -> None:
        """The peer's first word, or the first after it started anew."""
        role = contest(self._cookie, packet.cookie)
        if role is None:
            raise RefusedError(RejectionReason.RDVCOOKIE, "both sides have the same cookie; try again")
        if self.agreement is not None:
            self._keys = make_keys(self.options, self._entropy)
        self._role = role
        self._peer_id = packet.socket_id
        self._advertised = packet.encryption if 2 <= packet.encryption <= 4 else 0
        self.agreement = None
        if role is Role.RESPONDER:
            self._saying = self._make(CONCLUSION)
            return
        blocks = offer_extensions(self.options, self._keys, advertised=self._advertised)
        self._saying = attrs.evolve(
            self._make(CONCLUSION),
            encryption=self._advertised or encryption_field(self.options),
            extension=blocks.flags,
            blocks=blocks.encode(is_response=False),
        )

    def _answer(self, packet: Handshake, timestamp: int, now: Micros) -> None:
        try:
            offered = Extensions.decode(packet.blocks)
        except ExtensionRefused as exc:
            raise RefusedError(exc.rejection, exc.reason) from None
        except MalformedPacket as exc:
            raise RefusedError(RejectionReason.ROGUE, exc.reason) from None
        if offered.packet_filter != self.options.packet_filter.encode():
            raise RefusedError(
                RejectionReason.FILTER, "at a rendezvous both sides must ask for the same filter"
            )
        agreement, blocks = agree_as_responder(
            packet,
            offered,
            options=self.options,
            keys=self._keys,
            local_id=self._local_id,
            peer=self.peer,
            local=self.local,
            timestamp=timestamp,
            started_at=self._started_at,
            now=now,
            own_sequence=self._initial_sequence,
        )
        self.agreement = attrs.evolve(agreement, last_word=self._make(AGREEMENT).encode())
        self._saying = attrs.evolve(
            self._make(CONCLUSION), extension=blocks.flags, blocks=blocks.encode(is_response=True)
        )

    def _conclude(self, packet: Handshake, timestamp: int, now: Micros) -> Agreement:
        agreement = agree_as_initiator(
            packet,
            options=self.options,
            keys=self._keys,
            local_id=self._local_id,
            initial_sequence=self._initial_sequence,
            peer=self.peer,
            local=self.local,
            timestamp=timestamp,
            started_at=self._started_at,
            now=now,
            peer_sequence=packet.initial_sequence,
        )
        last_word = self._make(AGREEMENT)
        self._send(last_word, now)
        return attrs.evolve(agreement, last_word=last_word.encode())

    def _make(self, kind: int) -> Handshake:
        return Handshake(
            encryption=encryption_field(self.options),
            initial_sequence=self._initial_sequence,
            mss=self.options.mss,
            flow_window=self.options.receive_buffer_packets,
            kind=kind,
            socket_id=self._local_id,
            cookie=self._cookie,
            peer_ip=encode_peer_ip(self.peer.host),
        )

    def _say(self, now: Micros) -> None:
        self._repeat_at = now + _REPEAT
        self._send(self._saying, now)

    def _send(self, what: Handshake, now: Micros) -> None:
        self.transmits.append(
            encode_control(
                ControlType.HANDSHAKE,
                timestamp=now - self._started_at,
                destination=self._peer_id,
                body=what.encode(),
            )
        )
