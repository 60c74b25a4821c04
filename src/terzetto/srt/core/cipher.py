"""Payload encryption under one key: AES-CTR as SRT always had it, and AES-GCM.

Both keep their context per key. Header words go in as they stand on the wire, with the retransmission bit
clear, because a repeat carries the same bytes.
"""

from __future__ import annotations

from typing import Final, Protocol

from terzetto.crypto.aes_ctr import AesCtr
from terzetto.crypto.aes_gcm import TAG_SIZE, AesGcm
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.wire.data import HEADER_SIZE
from terzetto.srt.wire.key_material import CipherKind

__all__ = ["CtrCipher", "GcmCipher", "PacketCipher", "make_cipher", "overhead_of"]

_RETRANSMITTED_BYTE: Final = 0x04


class PacketCipher(Protocol):
    """What both ciphers do."""

    def seal(self, sequence: int, header: bytes, payload: Buffer) -> bytes:
        """What travels behind *header*."""

    def open(self, sequence: int, packet: Buffer) -> bytes | None:
        """The payload of a whole *packet*, or None when it was not sealed under this key."""


class CtrCipher:
    """AES-CTR. The counter block is the salt's first 14 bytes XOR the sequence number, then two counting
    bytes.

    It has no integrity: under a wrong key `open` returns garbage, which is why keys are agreed upon
    beforehand.
    """

    __slots__ = ("_apply", "_salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._apply = AesCtr(key).apply
        self._salt = int.from_bytes(salt[:14], "big") << 16

    def seal(self, sequence: int, header: bytes, payload: Buffer) -> bytes:
        """What travels behind *header*, as long as *payload*."""
        return self._apply((self._salt ^ sequence << 16).to_bytes(16, "big"), payload)

    def open(self, sequence: int, packet: Buffer) -> bytes | None:
        """The payload of a whole *packet*."""
        return self._apply((self._salt ^ sequence << 16).to_bytes(16, "big"), packet[HEADER_SIZE:])


class GcmCipher:
    """AES-GCM as libsrt 1.5.4 and later build it: the whole header is authenticated, the tag is appended."""

    __slots__ = ("_aead", "_salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._aead = AesGcm(key)
        self._salt = int.from_bytes(salt[:12], "big")

    def seal(self, sequence: int, header: bytes, payload: Buffer) -> bytes:
        """What travels behind *header*, sixteen bytes longer than *payload*."""
        return self._aead.seal((self._salt ^ sequence).to_bytes(12, "big"), payload, header)

    def open(self, sequence: int, packet: Buffer) -> bytes | None:
        """The payload of a whole *packet*, or None when any bit of it or of its header was altered."""
        if len(packet) < HEADER_SIZE + TAG_SIZE:
            return None
        header = bytearray(packet[:HEADER_SIZE])
        header[4] &= ~_RETRANSMITTED_BYTE & 0xFF
        nonce = (self._salt ^ sequence).to_bytes(12, "big")
        return self._aead.open(nonce, packet[HEADER_SIZE:], bytes(header))


def make_cipher(kind: CipherKind, key: bytes, salt: bytes) -> PacketCipher:
    """The cipher of this *kind* for one key."""
    return GcmCipher(key, salt) if kind is CipherKind.AES_GCM else CtrCipher(key, salt)


def overhead_of(kind: CipherKind | None) -> int:
    """Bytes that encryption adds to each payload."""
    return TAG_SIZE if kind is CipherKind.AES_GCM else 0
