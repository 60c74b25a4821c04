"""The enciphering side of RIST's pre-shared key: whole runs, and nonces that never serve twice.

A nonce and a GRE sequence together must be unique, so a new nonce is drawn before the sequence has gone round, after
as many packets as the user wants (``key_rotation``), and whenever the passphrase changes. The nonce's highest bit
says which of two passphrases it belongs to: a change puts the new one in the other place, so that receivers can hold
both and not a packet is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from terzetto.primitives.datagrams import Buffer, EntropySource
from terzetto.rist.core.psk_keys import PskKey, check_passphrase

__all__ = ["KeySize", "PskSender", "fresh_nonce"]

KeySize = Literal[128, 256]

_ONCE_ROUND: Final = 1 << 32
_MASK: Final = 0xFFFF_FFFF
_NONCE_SIZE: Final = 4


class PskSender:
    """Enciphers one direction of a tunnel.

    Sequences are handed in uncut: they count up for the life of the tunnel, and what goes on the wire is their lower
    half. *rotation* is the packets a nonce serves, 0 for as many as it can.
    """

    def __init__(
        self, passphrase: bytes, *, key_size: KeySize, rotation: int = 0, entropy: EntropySource
    ) -> None:
        self._passphrase = check_passphrase(passphrase)
        self._entropy = entropy
        self._rotation = rotation
        self._slot = 0
        self.wide_key = key_size == 256
        """H of the GRE header."""
        self.nonce = b""
        """The nonce that the last run was enciphered with, for its header."""
        self.rotations = 0
        """New nonces since the first."""
        self._key: PskKey | None = None
        self._first_sequence = 0
        self._used = 0

    def seal_run(self, payloads: Sequence[Buffer], *, first_sequence: int) -> list[bytes]:
        """Encipher what will go out with sequences from *first_sequence* on, all under one nonce: see `nonce`."""
        count = len(payloads)
        key = self._key
        if key is None or self._is_spent(first_sequence, count):
            key = self._rotate(first_sequence)
        self._used += count
        sequences = range(first_sequence, first_sequence + count)
        if first_sequence + count <= _ONCE_ROUND:
            return key.apply(sequences, payloads)
        return key.apply((sequence & _MASK for sequence in sequences), payloads)

    @property
    def passphrase(self) -> bytes:
        """The one in use."""
        return self._passphrase

    @property
    def slot(self) -> int:
        """The highest bit of its nonces."""
        return self._slot

    def change_passphrase(self, passphrase: bytes) -> None:
        """Use another passphrase from the next run on; receivers should have it by then."""
        self._passphrase = check_passphrase(passphrase)
        self._slot ^= 1
        self._key = None

    def _is_spent(self, first_sequence: int, count: int) -> bool:
        if first_sequence + count - self._first_sequence > _ONCE_ROUND:
            return True
        # A run longer than the rotation goes out under one nonce all the same: the header is one for all of it.
        return bool(self._rotation) and self._used > 0 and self._used + count > self._rotation

    def _rotate(self, first_sequence: int) -> PskKey:
        if self.nonce:
            self.rotations += 1
        self.nonce = fresh_nonce(self._entropy, self._slot, self.nonce)
        self._key = key = PskKey(self._passphrase, self.nonce, wide=self.wide_key)
        self._first_sequence = first_sequence
        self._used = 0
        return key


def fresh_nonce(entropy: EntropySource, slot: int, before: bytes) -> bytes:
    """A nonce whose highest bit is *slot*: neither zero, which some take for none, nor the one *before*."""
    while True:
        drawn = entropy(_NONCE_SIZE)
        nonce = bytes((drawn[0] & 0x7F | slot << 7,)) + drawn[1:]
        if any(nonce) and nonce != before:
            return nonce
