"""AES-GCM with the object kept per key."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from terzetto.crypto.aead import TAG_SIZE, Aead

__all__ = ["TAG_SIZE", "AesGcm"]


class AesGcm(Aead):
    """Seals and opens under an AES key of 16, 24 or 32 bytes."""

    __slots__ = ()

    def __init__(self, key: bytes) -> None:
        super().__init__(AESGCM(key))
