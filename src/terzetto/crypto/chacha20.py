"""ChaCha20-Poly1305 (RFC 8439) with the object kept per key."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from terzetto.crypto.aes_ctr import Buffer
from terzetto.crypto.aes_gcm import TAG_SIZE

__all__ = ["ChaCha20"]


class ChaCha20:
    """Seals and opens messages under one key of 32 bytes; the caller owns the nonces and never repeats one."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)

    def seal(self, nonce: bytes, data: Buffer, associated: bytes) -> bytes:
        """Ciphertext followed by the 16-byte tag."""
        return self._aead.encrypt(nonce, data, associated)

    def open(self, nonce: bytes, sealed: Buffer, associated: bytes) -> bytes | None:
        """The plaintext, or None when anything was altered."""
        if len(sealed) < TAG_SIZE:
            return None
        try:
            return self._aead.decrypt(nonce, sealed, associated)
        except InvalidTag:
            return None
