"""Peers of before 1.3.0: a handshake that says next to nothing, and the rest told once data flows.

Version 4 of the handshake is UDT's, without extensions. Whoever sends first is the sender, for data flows one way, and
tells the other in control packets what it can do and under which key it sends::

    INDUCTION, CONCLUSION   as in version 5, and that is all of the handshake
    HSREQ                   sender: version, flags, the delay it wishes for     } before the first data,
    KMREQ                   sender: its key, where there is a passphrase        } repeated until answered
    HSRSP, KMRSP            receiver: its own flags and the delay; the key, or why it is of no use

libsrt sends data at once and lets the peer miss the beginning where a question is lost. We hold ours back until it was
answered, which costs a round trip, unless nobody answers at all.
"""

from __future__ import annotations

from typing import Final

import attrs

from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros, micros
from terzetto.srt.core.key_exchange import KeyExchange
from terzetto.srt.core.negotiation import (
    Agreement,
    GroupTerms,
    RefusedError,
    chosen_key_size,
    own_capability,
)
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.extensions import Capabilities, Capability
from terzetto.srt.wire.handshake import Handshake
from terzetto.srt.wire.key_material import KmState
from terzetto.srt.wire.rejection import RejectionReason

__all__ = ["LEGACY_REFUSAL", "LegacyExchange", "agree_legacy", "check_legacy"]

# What we say we are: they refuse to hear of 1.3.0 in this handshake, as we do.
_LEGACY_VERSION: Final = 0x010203
_BIDIRECTIONAL_VERSION: Final = 0x010300

_BROKEN_DROP: Final = 0x010007

_MOST_QUESTIONS: Final = 10

# How long data waits for answers. Ten questions at the round trip that is taken for granted at first take half of it.
_PATIENCE: Final = 3 * MICROS_PER_SECOND

LEGACY_REFUSAL: Final = 2
"""The one code of refusal that such a peer understands; the reason stays with us."""


def check_legacy(options: SrtOptions, *, terms: GroupTerms | None = None) -> None:
    """Whether these options can be had with such a peer; `RefusedError` says what cannot."""
    if options.min_version >= _BIDIRECTIONAL_VERSION:
        raise RefusedError(RejectionReason.VERSION, "the peer speaks a version of before 1.3.0")
    if terms is not None:
        raise RefusedError(RejectionReason.GROUP, "a peer of before 1.3.0 knows no groups")
    if options.packet_filter:
        raise RefusedError(RejectionReason.FILTER, "a peer of before 1.3.0 knows no packet filter")
    if options.passphrase and options.crypto_mode == "gcm":
        raise RefusedError(RejectionReason.CRYPTO, "a peer of before 1.3.0 knows no AES-GCM")


def agree_legacy(
    theirs: Handshake,
    *,
    options: SrtOptions,
    keys: KeyExchange,
    local_id: int,
    peer: Address,
    local: str | None,
    started_at: Micros,
    timestamp: int,
    now: Micros,
    own_sequence: int | None = None,
) -> Agreement:
    """What a handshake of version 4 leaves two sides with: as yet neither knows what the other can do."""
    keys.begin_one_way(chosen_key_size(options, 0), is_enforced=options.enforced_encryption)
    return Agreement(
        local_id=local_id,
        peer_id=theirs.socket_id,
        peer=peer,
        local=local,
        initial_sequence=theirs.initial_sequence if own_sequence is None else own_sequence,
        peer_sequence=theirs.initial_sequence,
        started_at=started_at,
        playout_base=now - timestamp,
        mss=min(theirs.mss, options.mss),
        flow_window=theirs.flow_window,
        peer_version=0,
        peer_flags=Capability(0),
        receive_delay=0,
        peer_delay=0,
        has_playout=False,
        keys=keys,
        stream_id="",
        options=options,
        is_legacy=True,
    )


class LegacyExchange:
    """One connection's questions and answers; each answer leaves a better `Agreement`."""

    __slots__ = ("_asked", "_has_heard_request", "_hold_until", "_is_answered", "_retry_at", "agreement")

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement
        self._is_answered = False
        self._asked = 0
        self._hold_until: Micros | None = None
        self._retry_at: Micros | None = None
        self._has_heard_request = False

    @property
    def has_begun(self) -> bool:
        """Whether we are the sender."""
        return self._hold_until is not None

    def holds(self, now: Micros) -> bool:
        """Whether data has to wait still: for what the receiver can do, and for its having the key."""
        if self._hold_until is None or now >= self._hold_until:
            return False
        keys = self.agreement.keys
        has_key = keys.sending is None or keys.sending.is_confirmed
        return not self._is_answered or (keys.sending_state is KmState.SECURING and not has_key)

    def begin(self, *, now: Micros) -> None:
        """We are about to send for the first time."""
        self._retry_at = now
        self._hold_until = now + _PATIENCE
        sending = self.agreement.keys.sending
        if sending is not None:
            sending.announce_first()

    def next_timeout(self) -> Micros | None:
        """When to call `question`, or to look whether data is held back still."""
        return self._hold_until if self._retry_at is None else self._retry_at

    def question(self, *, retry_after: Micros, now: Micros) -> bytes | None:
        """The body of HSREQ, when it is time to ask (again)."""
        if self._retry_at is None or now < self._retry_at:
            return None
        if self._asked == _MOST_QUESTIONS:
            self._retry_at = None
            return None
        self._asked += 1
        self._retry_at = now + retry_after
        options = self.agreement.options
        delay = micros(options.peer_latency) // MICROS_PER_MILLI if options.tsbpd else 0
        flags = own_capability(options) & ~(
            Capability.TSBPD_RECEIVER | Capability.TOO_LATE_DROP | Capability.PACKET_FILTER
        )
        return Capabilities(_LEGACY_VERSION, flags | _stream_flag(options), 0, delay).encode()

    def answer(self, body: bytes, *, timestamp: int, now: Micros) -> bytes | None:
        """The sender asks: the body of HSRSP, or None where it does not make sense. `RefusedError` parts us."""
        theirs = Capabilities.decode(body)
        agreement = self.agreement
        options = agreement.options
        if theirs.version >= _BIDIRECTIONAL_VERSION or self.has_begun:
            return None
        if theirs.version < options.min_version:
            raise RefusedError(RejectionReason.VERSION, "the peer's version is below the least we accept")
        if not self._has_heard_request:
            self._has_heard_request = True
            has_playout = bool(options.tsbpd and theirs.flags & Capability.TSBPD_SENDER)
            delay = max(micros(options.receive_latency), theirs.sender_delay_ms * MICROS_PER_MILLI)
            self.agreement = attrs.evolve(
                agreement,
                peer_version=theirs.version,
                peer_flags=theirs.flags,
                playout_base=now - timestamp,
                receive_delay=delay if has_playout else 0,
                has_playout=has_playout,
            )
        flags = own_capability(options) & ~(Capability.TSBPD_SENDER | Capability.PACKET_FILTER)
        if not self.agreement.has_playout:
            flags &= ~(Capability.TSBPD_RECEIVER | Capability.TOO_LATE_DROP)
        if theirs.version <= _BROKEN_DROP and options.nak_report:
            flags &= ~Capability.TOO_LATE_DROP
        if not theirs.flags & Capability.RETRANSMIT_FLAG:
            flags &= ~Capability.RETRANSMIT_FLAG
        delay_ms = self.agreement.receive_delay // MICROS_PER_MILLI
        return Capabilities(_LEGACY_VERSION, flags | _stream_flag(options), 0, delay_ms).encode()

    def conclude(self, body: bytes, *, timestamp: int, now: Micros) -> bool:
        """The receiver answers; whether that was news. `RefusedError` parts us."""
        theirs = Capabilities.decode(body)
        if self._is_answered or not self._asked or not 0 < theirs.version < _BIDIRECTIONAL_VERSION:
            return False
        agreement = self.agreement
        if theirs.version < agreement.options.min_version:
            raise RefusedError(RejectionReason.VERSION, "the peer's version is below the least we accept")
        has_playout = bool(agreement.options.tsbpd and theirs.flags & Capability.TSBPD_RECEIVER)
        self._is_answered = True
        self._retry_at = None
        self.agreement = attrs.evolve(
            agreement,
            peer_version=theirs.version,
            peer_flags=theirs.flags,
            playout_base=now - timestamp,
            peer_delay=theirs.sender_delay_ms * MICROS_PER_MILLI if has_playout else 0,
            has_playout=has_playout,
        )
        return True


def _stream_flag(options: SrtOptions) -> Capability:
    return Capability(0) if options.message_api else Capability.STREAM
