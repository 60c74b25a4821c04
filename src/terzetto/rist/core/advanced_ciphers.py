"""The ciphers of the Advanced profile (TR-06-3, 8), each kept for as long as its key is in use.

The key is PBKDF2 of the passphrase with the packet's nonce as salt, as in the Main profile. Counter mode begins at the
packet's IV followed by zeros. A hash covers the whole packet with its own field zeroed, after enciphering; it is the
first half of an HMAC, or the tag of a sealing cipher. What the specification leaves open is decided as other
implementations do: a sealing cipher's twelve bytes are nonce, IV and zeros. The HMAC has the packet's key, the only one
that the specification names; ristgo and ristrust derive another from it where there is counter mode beside it.
"""

from __future__ import annotations

import hmac
from struct import Struct
from typing import Final, Protocol

from terzetto.crypto.aes_ctr import AesCtr
from terzetto.crypto.aes_gcm import AesGcm
from terzetto.crypto.chacha20 import ChaCha20
from terzetto.crypto.pbkdf2 import derive_key
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.advanced_header import HASH_SIZE, PskMode

__all__ = ["SEALED", "PacketCipher", "make_cipher", "make_ciphers"]

SEALED: Final = frozenset({PskMode.HMAC, PskMode.CTR_HMAC, PskMode.GCM, PskMode.CHACHA20})
"""Modes in which a packet that was altered is noticed."""

_ITERATIONS: Final = 1024
_COUNTER: Final = Struct("!I12x")
_AEAD_NONCE: Final = Struct("!4sI4x")
_WORD: Final = Struct("!I")
_NO_HASH: Final = bytes(HASH_SIZE)

# What ristgo and ristrust derive the HMAC's key with, from that of counter mode.
_MAC_KEY_LABEL: Final = b"rist-adv-aes-ctr-hmac-auth-key"


class PacketCipher(Protocol):
    """One mode under one key and nonce."""

    def seal(self, head: bytes, iv: int, body: Buffer) -> bytes:
        """A datagram: *head* is all before hash, nonce and IV."""

    def open(self, datagram: Buffer, clear_size: int, iv: int) -> Buffer | None:
        """The body in the clear, or None where the hash shows that the packet was altered."""


class _Ctr:
    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._apply = AesCtr(key).apply
        self._nonce = nonce

    def seal(self, head: bytes, iv: int, body: Buffer) -> bytes:
        return b"".join((head, self._nonce, _WORD.pack(iv), self._apply(_COUNTER.pack(iv), body)))

    def open(self, datagram: Buffer, clear_size: int, iv: int) -> Buffer | None:
        return self._apply(_COUNTER.pack(iv), datagram[clear_size:])


class _Hmac:
    """Sealed and in the clear; or sealed over counter mode."""

    def __init__(self, key: bytes, nonce: bytes, *, with_ctr: bool, has_mac_key: bool = False) -> None:
        mac_key = hmac.digest(key, _MAC_KEY_LABEL, "sha256") if has_mac_key else key
        self._fresh = hmac.new(mac_key, digestmod="sha256").copy
        self._nonce = nonce
        self._apply = AesCtr(key).apply if with_ctr else None

    def seal(self, head: bytes, iv: int, body: Buffer) -> bytes:
        tail = self._nonce
        if self._apply is not None:
            tail += _WORD.pack(iv)
            body = self._apply(_COUNTER.pack(iv), body)
        seal = self._fresh()
        seal.update(b"".join((head, _NO_HASH, tail, body)))
        return b"".join((head, seal.digest()[:HASH_SIZE], tail, body))

    def open(self, datagram: Buffer, clear_size: int, iv: int) -> Buffer | None:
        hash_at = clear_size - HASH_SIZE - (8 if self._apply is not None else 4)
        seal = self._fresh()
        seal.update(datagram[:hash_at])
        seal.update(_NO_HASH)
        seal.update(datagram[hash_at + HASH_SIZE :])
        if not hmac.compare_digest(seal.digest()[:HASH_SIZE], datagram[hash_at : hash_at + HASH_SIZE]):
            return None
        body = datagram[clear_size:]
        return body if self._apply is None else self._apply(_COUNTER.pack(iv), body)


class _Aead:
    def __init__(self, aead: AesGcm | ChaCha20, nonce: bytes) -> None:
        self._seal = aead.seal
        self._open = aead.open
        self._nonce = nonce

    def seal(self, head: bytes, iv: int, body: Buffer) -> bytes:
        tail = self._nonce + _WORD.pack(iv)
        sealed = self._seal(_AEAD_NONCE.pack(self._nonce, iv), body, b"".join((head, _NO_HASH, tail)))
        return b"".join((head, sealed[-HASH_SIZE:], tail, sealed[:-HASH_SIZE]))

    def open(self, datagram: Buffer, clear_size: int, iv: int) -> Buffer | None:
        hash_at = clear_size - HASH_SIZE - 8
        tail_at = hash_at + HASH_SIZE
        associated = b"".join((datagram[:hash_at], _NO_HASH, datagram[tail_at:clear_size]))
        sealed = b"".join((datagram[clear_size:], datagram[hash_at:tail_at]))
        return self._open(_AEAD_NONCE.pack(self._nonce, iv), sealed, associated)


def make_cipher(
    mode: int, passphrase: bytes, nonce: bytes, *, key_bits: int, has_mac_key: bool = False
) -> PacketCipher:
    """The cipher of a known mode; ChaCha20 has keys of 256 bits and no others.

    With *has_mac_key* the HMAC over counter mode has a key of its own.
    """
    key = _derive(mode, passphrase, nonce, key_bits)
    return cipher_of_key(mode, key, nonce, has_mac_key=has_mac_key)


def make_ciphers(mode: int, passphrase: bytes, nonce: bytes, *, key_bits: int) -> list[PacketCipher]:
    """All that a packet of a known mode may have been made with under that passphrase, the likeliest first."""
    key = _derive(mode, passphrase, nonce, key_bits)
    ciphers = [cipher_of_key(mode, key, nonce)]
    if mode == PskMode.CTR_HMAC:
        ciphers.append(cipher_of_key(mode, key, nonce, has_mac_key=True))
    return ciphers


def _derive(mode: int, passphrase: bytes, nonce: bytes, key_bits: int) -> bytes:
    bits = 256 if mode == PskMode.CHACHA20 else key_bits
    return derive_key(passphrase, nonce, iterations=_ITERATIONS, length=bits // 8)


def cipher_of_key(mode: int, key: bytes, nonce: bytes, *, has_mac_key: bool = False) -> PacketCipher:
    """The cipher of a known mode under a derived key."""
    if mode == PskMode.CTR:
        return _Ctr(key, nonce)
    if mode == PskMode.GCM:
        return _Aead(AesGcm(key), nonce)
    if mode == PskMode.CHACHA20:
        return _Aead(ChaCha20(key), nonce)
    with_ctr = mode == PskMode.CTR_HMAC
    return _Hmac(key, nonce, with_ctr=with_ctr, has_mac_key=has_mac_key and with_ctr)
