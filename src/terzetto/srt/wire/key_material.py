"""The message that carries wrapped keys, and the one word that may answer it.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-----+-------+-------------------------------+-----------+---+
    |0| ver |   2   |        signature 0x2029       |     0     |KK |
    +-+-----+-------+-------------------------------+-----------+---+
    |                           KEKI (0)                            |
    +---------------+---------------+---------------+---------------+
    |     cipher    |      auth     |       SE      |       0       |
    +---------------+---------------+---------------+---------------+
    |               0               |  salt len / 4 |  key len / 4  |
    +-------------------------------+---------------+---------------+
    |                        salt (16 bytes)                        |
    +---------------------------------------------------------------+
    |         wrapped key, or even and odd key together ...         |
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

import attrs

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer

__all__ = ["LARGEST_KEY_MATERIAL", "SALT_SIZE", "CipherKind", "KeyMaterial", "KmState"]

SALT_SIZE: Final = 16
LARGEST_KEY_MATERIAL: Final = 104

_HEADER: Final = struct.Struct("!BHBIBBBxxxBB")
_VERSION_AND_TYPE: Final = 0x12
_SIGNATURE: Final = 0x2029
_ENCAPSULATION_SRT: Final = 2
_WRAP_OVERHEAD: Final = 8
_KEY_SIZES: Final = (16, 24, 32)


class CipherKind(IntEnum):
    """How payloads are encrypted."""

    AES_CTR = 2
    AES_GCM = 4


class KmState(IntEnum):
    """How one direction of a connection stands with its keys."""

    UNSECURED = 0
    SECURING = 1
    SECURED = 2
    NOSECRET = 3
    BADSECRET = 4
    BADCRYPTOMODE = 5

    @classmethod
    def decode(cls, word: Buffer) -> KmState:
        """Parse the status word, little-endian as libsrt sends it; `MalformedPacket` is the only failure."""
        (value,) = struct.unpack_from("<I", word)
        if value > 0xFFFF:
            # Read the other way round. The values are tiny, so the two cannot be confused.
            (value,) = struct.unpack_from(">I", word)
        try:
            return cls(value)
        except ValueError:
            raise MalformedPacket("key status is unknown") from None

    def encode(self) -> bytes:
        """The word as libsrt sends it."""
        return struct.pack("<I", self)


@attrs.frozen(kw_only=True)
class KeyMaterial:
    """One key material message. The keys inside are wrapped; unwrapping takes the passphrase."""

    keys: int
    """1 the even key, 2 the odd one, 3 both."""
    cipher: CipherKind
    salt: bytes
    key_size: int
    wrapped: bytes

    @classmethod
    def decode(cls, body: Buffer) -> KeyMaterial:
        """Parse bytes from the network; `MalformedPacket` is the only way to fail."""
        if len(body) < _HEADER.size:
            raise MalformedPacket("key material is truncated")
        first, signature, keys, keki, cipher, auth, encapsulation, salt_words, key_words = (
            _HEADER.unpack_from(body)
        )
        if first != _VERSION_AND_TYPE or signature != _SIGNATURE or keki != 0:
            raise MalformedPacket("key material has an unknown form")
        if not 1 <= keys <= 3:
            raise MalformedPacket("key material has no key")
        if (cipher, auth) not in ((CipherKind.AES_CTR, 0), (CipherKind.AES_GCM, 1)):
            raise MalformedPacket("key material has an unknown cipher")
        if encapsulation != _ENCAPSULATION_SRT:
            raise MalformedPacket("key material is not for SRT")
        key_size = 4 * key_words
        if 4 * salt_words != SALT_SIZE or key_size not in _KEY_SIZES:
            raise MalformedPacket("key material has an unknown size")
        count = 2 if keys == 3 else 1
        if len(body) != _HEADER.size + SALT_SIZE + count * key_size + _WRAP_OVERHEAD:
            raise MalformedPacket("key material has the wrong length")
        return cls(
            keys=keys,
            cipher=CipherKind(cipher),
            salt=bytes(body[16:32]),
            key_size=key_size,
            wrapped=bytes(body[32:]),
        )

    def encode(self) -> bytes:
        """The message."""
        header = _HEADER.pack(
            _VERSION_AND_TYPE,
            _SIGNATURE,
            self.keys,
            0,
            self.cipher,
            1 if self.cipher is CipherKind.AES_GCM else 0,
            _ENCAPSULATION_SRT,
            SALT_SIZE // 4,
            self.key_size // 4,
        )
        return header + self.salt + self.wrapped
