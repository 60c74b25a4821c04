"""ChaCha20-Poly1305 (RFC 8439) with the object kept per key."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from terzetto.crypto.aead import Aead

__all__ = ["ChaCha20"]


class ChaCha20(Aead):
    """Seals and opens under a key of 32 bytes."""

    __slots__ = ()

    def __init__(self, key: bytes) -> None:
        super().__init__(ChaCha20Poly1305(key))
