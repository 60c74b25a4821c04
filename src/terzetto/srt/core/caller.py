"""The calling side of a handshake: two questions, each repeated until it is answered or time is up.

::

    INDUCTION   "do you speak SRT?"            -> the listener's cookie
    CONCLUSION  cookie, capabilities, keys     -> agreement, or a refusal

A listener of before 1.3.0 answers the first in version 4; see `terzetto.srt.core.legacy` for what follows then.
"""

from __future__ import annotations

from typing import Final

import attrs

from terzetto.primitives.datagrams import Address, EntropySource
from terzetto.primitives.time import Micros, micros
from terzetto.srt.core.legacy import agree_legacy, check_legacy
from terzetto.srt.core.negotiation import (
    Agreement,
    GroupTerms,
    RefusedError,
    agree_as_initiator,
    encryption_field,
    make_keys,
    offer_extensions,
    out_of_time,
    refused_by,
)
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.control import ControlType, encode_control
from terzetto.srt.wire.handshake import CONCLUSION, DATAGRAMS, INDUCTION, MAGIC, Handshake, encode_peer_ip
from terzetto.srt.wire.numbers import SEQUENCE_MASK
from terzetto.srt.wire.rejection import RejectionReason

__all__ = ["Caller"]

_REPEAT: Final = 250_000


class Caller:
    """One attempt to connect; ``transmits`` holds what to send."""

    def __init__(
        self,
        peer: Address,
        options: SrtOptions,
        *,
        local_id: int,
        local: str | None,
        entropy: EntropySource,
        now: Micros,
        terms: GroupTerms | None = None,
    ) -> None:
        self.peer = peer
        self.local = local
        self.options = options
        self.transmits: list[bytes] = []
        self.has_heard = False
        """Whether anything answered at all."""
        self._local_id = local_id
        self._initial_sequence = int.from_bytes(entropy(4), "big") % SEQUENCE_MASK
        self._terms = terms
        self._keys = make_keys(options, entropy)
        self._started_at = now
        if terms is not None:
            self._initial_sequence = terms.initial_sequence
            self._started_at = terms.started_at
        self._give_up_at = now + micros(options.connect_timeout)
        self._repeat_at = now
        self._cookie: int | None = None
        self._advertised = 0
        self._is_legacy = False

    def next_timeout(self) -> Micros:
        """When to call `handle_timeout`."""
        return min(self._repeat_at, self._give_up_at)

    def handle_timeout(self, *, now: Micros) -> None:
        """Ask (again); raises `RefusedError` when time is up."""
        if now >= self._give_up_at:
            raise out_of_time(has_heard=self.has_heard)
        if now >= self._repeat_at:
            self._ask(now)

    def handle_handshake(self, answer: Handshake, *, timestamp: int, now: Micros) -> Agreement | None:
        """Take in the listener's answer: the agreement when that was the last one; or `RefusedError`."""
        self.has_heard = True
        if answer.is_rejection:
            raise refused_by(answer)
        if answer.kind == INDUCTION:
            if self._cookie is None:
                self._take_cookie(answer, now)
            return None
        if answer.kind != CONCLUSION or self._cookie is None:
            return None
        if answer.version != (4 if self._is_legacy else 5):
            raise RefusedError(RejectionReason.VERSION, "the listener changes its version")
        if self._is_legacy:
            return agree_legacy(
                answer,
                options=self.options,
                keys=self._keys,
                local_id=self._local_id,
                peer=self.peer,
                local=self.local,
                started_at=self._started_at,
                timestamp=timestamp,
                now=now,
                own_sequence=self._initial_sequence,
            )
        return agree_as_initiator(
            answer,
            options=self.options,
            keys=self._keys,
            local_id=self._local_id,
            initial_sequence=self._initial_sequence,
            peer=self.peer,
            local=self.local,
            timestamp=timestamp,
            started_at=self._started_at,
            now=now,
            terms=self._terms,
        )

    def _take_cookie(self, answer: Handshake, now: Micros) -> None:
        self._is_legacy = answer.version == 4
        if self._is_legacy:
            check_legacy(self.options, terms=self._terms)
        elif answer.extension != MAGIC:
            raise RefusedError(RejectionReason.ROGUE, "what answers is not SRT")
        self._cookie = answer.cookie
        self._advertised = answer.encryption if 2 <= answer.encryption <= 4 else 0
        self._ask(now)

    def _ask(self, now: Micros) -> None:
        self._repeat_at = now + _REPEAT
        question = self._conclusion() if self._cookie is not None else self._greeting(INDUCTION)
        self.transmits.append(
            encode_control(
                ControlType.HANDSHAKE,
                timestamp=now - self._started_at,
                destination=0,
                body=question.encode(),
            )
        )

    def _greeting(self, kind: int, *, cookie: int = 0) -> Handshake:
        """Version 4: an induction, or such a conclusion."""
        return Handshake(
            version=4,
            extension=DATAGRAMS,
            initial_sequence=self._initial_sequence,
            mss=self.options.mss,
            flow_window=self.options.receive_buffer_packets,
            kind=kind,
            socket_id=self._local_id,
            cookie=cookie,
            peer_ip=encode_peer_ip(self.peer.host),
        )

    def _conclusion(self) -> Handshake:
        assert self._cookie is not None
        greeting = self._greeting(CONCLUSION, cookie=self._cookie)
        if self._is_legacy:
            return greeting
        group = None if self._terms is None else self._terms.membership
        blocks = offer_extensions(self.options, self._keys, advertised=self._advertised, group=group)
        return attrs.evolve(
            greeting,
            version=5,
            encryption=self._advertised or encryption_field(self.options),
            extension=blocks.flags,
            blocks=blocks.encode(is_response=False),
        )
