"""Payload encryption under one key: AES-CTR as SRT always had it, and AES-GCM.

Both keep their context per key. Header words go in as they stand on the wire, with the retransmission bit
clear, because a repeat carries the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Final, Protocol

from terzetto.crypto.aes_ctr import AesCtr
from terzetto.crypto.aes_gcm import TAG_SIZE, AesGcm
from terzetto.primitives.datagrams import Buffer
from terzetto.srt.wire.data import HEADER_SIZE
from terzetto.srt.wire.key_material import CipherKind
from terzetto.srt.wire.numbers import SEQUENCE_MASK

__all__ = ["CtrCipher", "GcmCipher", "PacketCipher", "make_cipher", "overhead_of"]

_RETRANSMITTED_BYTE: Final = 0x04


class PacketCipher(Protocol):
    """What both ciphers do."""

    def seal(self, sequence: int, header: bytes, payload: Buffer) -> bytes:
        """What travels behind *header*."""

    def seal_run(self, position: int, headers: Sequence[bytes], payloads: Sequence[Buffer]) -> list[bytes]:
        """Whole packets: each payload sealed behind its header, the first of them at *position*."""

    def open(self, sequence: int, packet: Buffer) -> bytes | None:
        """The payload of a whole *packet*, or None when it was not sealed under this key."""


class CtrCipher:
    """AES-CTR. The counter block is the salt's first 14 bytes XOR the sequence number, then two counting
    bytes.

    It has no integrity: under a wrong key `open` returns garbage, which is why keys are agreed upon
    beforehand.
    """

    __slots__ = ("_apply", "_apply_each", "_salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        cipher = AesCtr(key)
        self._apply = cipher.apply
        self._apply_each = cipher.apply_each
        self._salt = int.from_bytes(salt[:14], "big") << 16

    def seal(self, sequence: int, header: bytes, payload: Buffer) -> bytes:
        """What travels behind *header*, as long as *payload*."""
        return self._apply((self._salt ^ sequence << 16).to_bytes(16, "big"), payload)

    def seal_run(self, position: int, headers: Sequence[bytes], payloads: Sequence[Buffer]) -> list[bytes]:
        """Whole packets: each payload sealed behind its header, the first of them at *position*."""
        salt = self._salt
        blocks = [
            (salt ^ (at & SEQUENCE_MASK) << 16).to_bytes(16, "big")
            for at in range(position, position + len(payloads))
        ]
        sealed = self._apply_each(zip(blocks, payloads, strict=True))
        return list(map(add, headers, sealed))

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

    def seal_run(self, position: int, headers: Sequence[bytes], payloads: Sequence[Buffer]) -> list[bytes]:
        """Whole packets: each payload sealed behind its header, the first of them at *position*."""
        return [
            header + self.seal(at & SEQUENCE_MASK, header, payload)
            for at, (header, payload) in enumerate(zip(headers, payloads, strict=True), position)
        ]

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
