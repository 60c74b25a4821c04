"""What both directions of RIST's pre-shared key have in common: keys from passphrases, and counter blocks.

The key is PBKDF2 of the passphrase with the 4-byte nonce of the GRE header as salt. The counter block holds the GRE
sequence: in its first four bytes since 2021, in its last four before that. The old way repeats keystream between
neighbouring packets and is only ever read, and only where the user insists.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from terzetto.crypto.aes_ctr import AesCtr
from terzetto.crypto.pbkdf2 import derive_key
from terzetto.errors import InvalidOption
from terzetto.primitives.datagrams import Buffer

__all__ = ["LONGEST_PASSPHRASE", "PskKey", "check_passphrase", "slot_of"]

LONGEST_PASSPHRASE: Final = 127
"""What libRIST's buffers hold."""

_ITERATIONS: Final = 1024
_COUNTER: Final = Struct("!I12x")
_OLD_COUNTER: Final = Struct("!12xI")


def check_passphrase(passphrase: bytes) -> bytes:
    """The passphrase, if a RIST peer can have it; else InvalidOption, which does not show it."""
    if not 0 < len(passphrase) <= LONGEST_PASSPHRASE:
        raise InvalidOption(f"secret is {len(passphrase)} bytes long, must be 1 to {LONGEST_PASSPHRASE}")
    return passphrase


def slot_of(nonce: bytes) -> int:
    """Which of the two passphrases a nonce asks for: 0 even, 1 odd."""
    return nonce[0] >> 7


class PskKey:
    """The key of one passphrase, nonce and size, its cipher kept."""

    __slots__ = ("_cipher",)

    def __init__(self, passphrase: bytes, nonce: bytes, *, wide: bool) -> None:
        key = derive_key(passphrase, nonce, iterations=_ITERATIONS, length=32 if wide else 16)
        self._cipher = AesCtr(key)

    def apply(
        self, sequences: Iterable[int], data: Iterable[Buffer], *, old_counter: bool = False
    ) -> list[bytes]:
        """Encipher or decipher packets by their GRE sequences."""
        block = (_OLD_COUNTER if old_counter else _COUNTER).pack
        return self._cipher.apply_each(zip(map(block, sequences), data, strict=True))
