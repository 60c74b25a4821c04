"""Proof that a stranger's address is its own, before it costs us any memory (RFC 6347 section 4.2.1)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["CookieJar"]

# A cookie is good until the end of the period after its own, so 30 to 60 s: much longer than a round trip, too short
# to collect cookies with addresses that are only borrowed.
_PERIOD: Final = 30 * MICROS_PER_SECOND


class CookieJar:
    """Bakes cookies, and recognises its own without having kept them. *key* is secret and random."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def bake(self, peer: Address, parameters: bytes, *, now: Micros) -> bytes:
        """The cookie for a client at *peer* that sent a hello with these *parameters*."""
        return self._cookie(now // _PERIOD, peer, parameters)

    def is_ours(self, cookie: bytes, peer: Address, parameters: bytes, *, now: Micros) -> bool:
        """Whether we gave *cookie* to this peer, for this hello, a short while ago."""
        period = now // _PERIOD
        recent = self._cookie(period, peer, parameters), self._cookie(period - 1, peer, parameters)
        return any(hmac.compare_digest(cookie, each) for each in recent)

    def _cookie(self, period: int, peer: Address, parameters: bytes) -> bytes:
        host = peer.host.encode()
        signed = b"%d %d %d %s %s" % (period, peer.port, len(host), host, parameters)
        return hmac.digest(self._key, signed, hashlib.sha256().name)
