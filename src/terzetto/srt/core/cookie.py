"""The cookie by which a listener knows callers it remembers nothing about.

Whoever can return it receives at the address it claims. It is keyed, so nobody can compute one for an
address that is not theirs; libsrt's is an unkeyed hash of address and minute.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import MICROS_PER_SECOND, Micros

__all__ = ["CookieJar"]

_EPOCH: Final = 30 * MICROS_PER_SECOND


class CookieJar:
    """Bakes cookies, and recognises them for one to two half minutes."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def bake(self, peer: Address, *, now: Micros) -> int:
        """The cookie for *peer*; never zero, which means that there is none."""
        return self._cookie(peer, now // _EPOCH)

    def is_ours(self, cookie: int, peer: Address, *, now: Micros) -> bool:
        """Whether we gave *cookie* to *peer* lately."""
        epoch = now // _EPOCH
        given = cookie.to_bytes(4, "big")
        return any(
            hmac.compare_digest(given, self._cookie(peer, each).to_bytes(4, "big"))
            for each in (epoch, epoch - 1)
        )

    def _cookie(self, peer: Address, epoch: int) -> int:
        text = f"{peer.host}|{peer.port}|{epoch}".encode()
        digest = hashlib.blake2s(text, key=self._secret, digest_size=4).digest()
        return int.from_bytes(digest, "big") or 1
