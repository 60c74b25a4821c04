"""AES-GCM with the object kept per key: setting up a context costs more than sealing a packet."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from terzetto.crypto.aes_ctr import Buffer

__all__ = ["TAG_SIZE", "AesGcm"]

TAG_SIZE = 16


class AesGcm:
    """Seals and opens short messages under one key; the caller owns the nonces and never repeats one."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, nonce: bytes, data: Buffer, associated: bytes) -> bytes:
        """Ciphertext followed by the 16-byte tag."""
        return self._aead.encrypt(nonce, data, associated)

    def open(self, nonce: bytes, sealed: Buffer, associated: bytes) -> bytes | None:
        """The plaintext, or None when anything was altered: a forged packet is dropped, never raised."""
        if len(sealed) < TAG_SIZE:
            return None
        try:
            return self._aead.decrypt(nonce, sealed, associated)
        except InvalidTag:
            return None
