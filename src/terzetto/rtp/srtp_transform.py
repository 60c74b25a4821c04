"""Sealing and opening one packet whose index is known: AES in counter mode with HMAC-SHA1, or AES-GCM.

Which packets are new, and how often a sequence number has wrapped, is decided elsewhere. Contexts are kept per key:
making one costs several times what sealing a packet does.

::

    RTP    header | payload, enciphered              | [MKI] | tag        AES-CM
           header | payload, enciphered, GCM's tag   | [MKI]              AES-GCM
    RTCP   8 bytes | the rest, enciphered            | E, index | [MKI] | tag
           8 bytes | the rest, enciphered, GCM's tag | E, index | [MKI]
"""

from __future__ import annotations

import hmac
from hashlib import sha1
from typing import Final, Protocol

from terzetto.crypto.aes_ctr import AesCtr
from terzetto.crypto.aes_gcm import TAG_SIZE, AesGcm
from terzetto.primitives.datagrams import Buffer
from terzetto.rtp.srtp_keys import MasterKey, derive_session_keys

__all__ = ["ENCRYPTED_BIT", "RTCP_CLEAR_SIZE", "Transform", "make_transform"]

RTCP_CLEAR_SIZE: Final = 8
"""Bytes of a compound that stay readable: the first header and the sender's SSRC."""
ENCRYPTED_BIT: Final = 0x8000_0000
_INDEX_SIZE: Final = 4


class Transform(Protocol):
    """One master key's work. An index counts packets without wrapping; opening returns None for what is forged."""

    def seal_rtp(self, packet: bytes, start: int, ssrc: int, index: int) -> bytes:
        """*packet* with everything from *start* on enciphered."""

    def open_rtp(self, packet: bytes, start: int, ssrc: int, index: int) -> bytes | None:
        """The packet that was sealed."""

    def seal_rtcp(self, compound: bytes, ssrc: int, index: int) -> bytes:
        """*compound* with everything behind the first SSRC enciphered, and the index."""

    def open_rtcp(self, compound: bytes, ssrc: int, index_word: int) -> bytes | None:
        """The compound that was sealed; *index_word* says whether it is enciphered, and which it is."""


class _CounterMode:
    """AES-CM and HMAC-SHA1 (RFC 3711, 4.1.1 and 4.2)."""

    def __init__(self, master: MasterKey) -> None:
        rtp, rtcp = derive_session_keys(master)
        self._mki = master.mki
        self._rtp_tag = master.profile.rtp_tag_size
        self._rtcp_tag = master.profile.rtcp_tag_size
        self._apply_rtp, self._apply_rtcp = AesCtr(rtp.cipher).apply, AesCtr(rtcp.cipher).apply
        self._rtp_salt = int.from_bytes(rtp.salt, "big") << 16
        self._rtcp_salt = int.from_bytes(rtcp.salt, "big") << 16
        # Copied for each packet: the two blocks that the key makes of itself are hashed once.
        self._rtp_digest = hmac.new(rtp.authentication, digestmod=sha1)
        self._rtcp_digest = hmac.new(rtcp.authentication, digestmod=sha1)

    def _rtp_authentication(self, authenticated: Buffer, index: int) -> bytes:
        digest = self._rtp_digest.copy()
        digest.update(authenticated)
        digest.update((index >> 16).to_bytes(4, "big"))
        return digest.digest()[: self._rtp_tag]

    def _rtcp_authentication(self, authenticated: Buffer) -> bytes:
        digest = self._rtcp_digest.copy()
        digest.update(authenticated)
        return digest.digest()[: self._rtcp_tag]

    def seal_rtp(self, packet: bytes, start: int, ssrc: int, index: int) -> bytes:
        counter = (self._rtp_salt ^ ssrc << 64 ^ index << 16).to_bytes(16, "big")
        sealed = packet[:start] + self._apply_rtp(counter, packet[start:])
        return sealed + self._mki + self._rtp_authentication(sealed, index)

    def open_rtp(self, packet: bytes, start: int, ssrc: int, index: int) -> bytes | None:
        tag_at = len(packet) - self._rtp_tag
        end = tag_at - len(self._mki)
        if end < start or packet[end:tag_at] != self._mki:
            return None
        authenticated = packet[:end]
        if not hmac.compare_digest(self._rtp_authentication(authenticated, index), packet[tag_at:]):
            return None
        counter = (self._rtp_salt ^ ssrc << 64 ^ index << 16).to_bytes(16, "big")
        return packet[:start] + self._apply_rtp(counter, authenticated[start:])

    def seal_rtcp(self, compound: bytes, ssrc: int, index: int) -> bytes:
        counter = (self._rtcp_salt ^ ssrc << 64 ^ index << 16).to_bytes(16, "big")
        rest = self._apply_rtcp(counter, compound[RTCP_CLEAR_SIZE:])
        word = (ENCRYPTED_BIT | index).to_bytes(_INDEX_SIZE, "big")
        sealed = compound[:RTCP_CLEAR_SIZE] + rest + word
        return sealed + self._mki + self._rtcp_authentication(sealed)

    def open_rtcp(self, compound: bytes, ssrc: int, index_word: int) -> bytes | None:
        tag_at = len(compound) - self._rtcp_tag
        end = tag_at - len(self._mki)
        if compound[end:tag_at] != self._mki:
            return None
        authenticated = compound[:end]
        if not hmac.compare_digest(self._rtcp_authentication(authenticated), compound[tag_at:]):
            return None
        body = authenticated[:-_INDEX_SIZE]
        if not index_word & ENCRYPTED_BIT:
            return body
        index = index_word & ~ENCRYPTED_BIT
        counter = (self._rtcp_salt ^ ssrc << 64 ^ index << 16).to_bytes(16, "big")
        return body[:RTCP_CLEAR_SIZE] + self._apply_rtcp(counter, body[RTCP_CLEAR_SIZE:])


class _GaloisCounterMode:
    """AES-GCM (RFC 7714, 8 and 9)."""

    def __init__(self, master: MasterKey) -> None:
        rtp, rtcp = derive_session_keys(master)
        self._mki = master.mki
        self._rtp, self._rtcp = AesGcm(rtp.cipher), AesGcm(rtcp.cipher)
        self._rtp_salt = int.from_bytes(rtp.salt, "big")
        self._rtcp_salt = int.from_bytes(rtcp.salt, "big")

    def seal_rtp(self, packet: bytes, start: int, ssrc: int, index: int) -> bytes:
        nonce = (self._rtp_salt ^ ssrc << 48 ^ index).to_bytes(12, "big")
        header = packet[:start]
        return header + self._rtp.seal(nonce, packet[start:], header) + self._mki

    def open_rtp(self, packet: bytes, start: int, ssrc: int, index: int) -> bytes | None:
        end = len(packet) - len(self._mki)
        if packet[end:] != self._mki:
            return None
        nonce = (self._rtp_salt ^ ssrc << 48 ^ index).to_bytes(12, "big")
        header = packet[:start]
        payload = self._rtp.open(nonce, packet[start:end], header)
        return None if payload is None else header + payload

    def seal_rtcp(self, compound: bytes, ssrc: int, index: int) -> bytes:
        nonce = (self._rtcp_salt ^ ssrc << 48 ^ index).to_bytes(12, "big")
        word = (ENCRYPTED_BIT | index).to_bytes(_INDEX_SIZE, "big")
        clear = compound[:RTCP_CLEAR_SIZE]
        return clear + self._rtcp.seal(nonce, compound[RTCP_CLEAR_SIZE:], clear + word) + word + self._mki

    def open_rtcp(self, compound: bytes, ssrc: int, index_word: int) -> bytes | None:
        end = len(compound) - len(self._mki)
        if compound[end:] != self._mki:
            return None
        nonce = (self._rtcp_salt ^ ssrc << 48 ^ index_word & ~ENCRYPTED_BIT).to_bytes(12, "big")
        word_at = end - _INDEX_SIZE
        clear, word = compound[:RTCP_CLEAR_SIZE], compound[word_at:end]
        if index_word & ENCRYPTED_BIT:
            rest = self._rtcp.open(nonce, compound[RTCP_CLEAR_SIZE:word_at], clear + word)
            return None if rest is None else clear + rest
        # Authenticated alone: all of it is associated data, and the tag has nothing before it.
        body, tag = compound[: word_at - TAG_SIZE], compound[word_at - TAG_SIZE : word_at]
        return body if self._rtcp.open(nonce, tag, body + word) is not None else None


def make_transform(master: MasterKey) -> Transform:
    """What seals and opens under *master*."""
    return _GaloisCounterMode(master) if master.profile.is_gcm else _CounterMode(master)
