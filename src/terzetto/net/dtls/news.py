"""What a DTLS endpoint tells: who its peers are, which came and went, and what it counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import attrs

from terzetto.errors import TerzettoError
from terzetto.primitives.datagrams import Address

__all__ = ["DtlsEnded", "DtlsEstablished", "DtlsEvent", "DtlsPeer", "DtlsStatistics"]


@attrs.frozen
class DtlsPeer:
    """The other end of an established association."""

    address: Address
    cipher_suite: str
    """OpenSSL's name of it."""
    certificate: bytes | None = attrs.field(repr=False)
    """In DER form; None where we did not ask for one."""
    fingerprint: str | None
    """The certificate's SHA-256, as 64 hexadecimal digits."""


@attrs.frozen
class DtlsEstablished:
    """A handshake is complete: datagrams may be exchanged with this peer."""

    peer: DtlsPeer
    replaced: bool = False
    """Whether the peer had an association before, which this one takes the place of."""


@attrs.frozen
class DtlsEnded:
    """An association, or the attempt at one, is over."""

    peer: Address
    error: TerzettoError | None
    """None where the peer said goodbye."""
    was_established: bool


DtlsEvent: TypeAlias = DtlsEstablished | DtlsEnded


@attrs.frozen
class DtlsStatistics:
    """Counters of one DTLS endpoint since it was made."""

    sessions: int
    """Associations that are established now."""
    handshakes: int
    """Handshakes that are going on now."""
    established: int
    failed: int
    """Handshakes that came to nothing."""
    dropped: Mapping[str, int]
    """Datagrams that were not believed or had no association to go to, by reason."""
    unsent: int
    """Datagrams of ours that there was no association for, or that cannot be carried."""
