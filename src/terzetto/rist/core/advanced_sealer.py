"""The enciphering side of the Advanced profile: nonces that never serve twice, and an IV that only counts up.

Protected and unprotected packets each have a nonce of their own. With a rotation the next nonce is drawn as soon as the
present one is in use, so that it can be announced long before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.rist.core.advanced_ciphers import PacketCipher, make_cipher
from terzetto.rist.core.psk_sender import KeySize, fresh_nonce

__all__ = ["AdvancedSealer"]

_ONCE_ROUND: Final = 1 << 32


class AdvancedSealer:
    """Enciphers the packets of one SSRC under one passphrase after the other."""

    def __init__(
        self,
        *,
        mode: int,
        key_size: KeySize,
        rotation: int = 0,
        has_mac_key: bool = False,
        entropy: EntropySource,
    ) -> None:
        self.mode = mode
        self._key_size: KeySize = key_size
        self._rotation = rotation
        self._has_mac_key = has_mac_key
        self._entropy = entropy
        self.apart_from: AdvancedSealer | None = None
        """Another that shares the passphrase: never the same nonce as there."""
        self._passphrase = b""
        self._slot = 0
        self._cipher: PacketCipher | None = None
        self._iv = 0
        self._used = 0
        self.nonce = b""
        self.rotations = 0
        self.announced: bytes = b""
        """The nonce that comes next; empty where none is drawn yet."""

    @property
    def key_bits(self) -> int:
        """The size of key in use."""
        return self._key_size

    def use(self, passphrase: bytes, slot: int) -> None:
        """Encipher with *passphrase*, which belongs to nonces with that highest bit."""
        if passphrase == self._passphrase and slot == self._slot:
            return
        self._passphrase, self._slot = passphrase, slot
        self._cipher, self.announced = None, b""

    def seal_run(self, heads: Iterable[bytes], bodies: list[Buffer]) -> list[Buffer]:
        """Datagrams of *bodies*; *heads* are what goes before hash, nonce and IV."""
        count = len(bodies)
        cipher = self._cipher
        if cipher is None or self._is_spent(count):
            cipher = self._rotate()
        iv = self._iv
        self._iv = iv + count
        self._used += count
        seal = cipher.seal
        return [seal(head, iv, body) for iv, (head, body) in enumerate(zip(heads, bodies, strict=True), iv)]

    def _is_spent(self, count: int) -> bool:
        if self._iv + count > _ONCE_ROUND:
            return True
        return bool(self._rotation) and self._used > 0 and self._used + count > self._rotation

    def _rotate(self) -> PacketCipher:
        if self.nonce:
            self.rotations += 1
        self.nonce = self.announced or self._draw(self.nonce)
        self._cipher = cipher = make_cipher(
            self.mode,
            self._passphrase,
            self.nonce,
            key_bits=self._key_size,
            has_mac_key=self._has_mac_key,
        )
        self._iv = self._used = 0
        self.announced = self._draw(self.nonce) if self._rotation else b""
        return cipher

    def _draw(self, before: bytes) -> bytes:
        while True:
            nonce = fresh_nonce(self._entropy, self._slot, before)
            other = self.apart_from
            if other is None or nonce not in (other.nonce, other.announced):
                return nonce
