"""What every cipher does that authenticates as well: one kept object per key, and a tag behind the ciphertext.

Setting up a context costs more than sealing a packet, so it is done once for each key.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from terzetto.crypto.aes_ctr import Buffer

__all__ = ["TAG_SIZE", "Aead"]

TAG_SIZE = 16


class Aead:
    """Seals and opens messages under one key; the caller owns the nonces and never repeats one."""

    __slots__ = ("_aead",)

    def __init__(self, aead: AESGCM | ChaCha20Poly1305) -> None:
        self._aead = aead

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
